"""Damage for training: its words, that it repeats, and that it is what it says."""

# ruff: noqa: E402

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from nicodec.train import corrupt, restoring
from nicodec.train.corrupt import corrupted
from nicodec.train.damage import BadDamage, Damage

WORDS = ("noise:25", "noise:5-50", "salt:5%", "lines", "holes:16")
GRAY = torch.full((6, 64, 64, 3), 100, dtype=torch.uint8)


def test_a_word_says_kind_and_amount() -> None:
    assert Damage.of("noise:25") == Damage.of("noise") == Damage("noise", 25, 25)
    assert Damage.of("noise:5-50") == Damage("noise", 5, 50)
    assert Damage.of("salt:5%") == Damage("salt", 0.05, 0.05)
    assert Damage.of("holes") == Damage("holes", 32, 32)


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("", "noise:25"),
        ("rain", "not 'rain'"),
        ("noise:", "not 'noise:'"),
        ("noise:0", "1 to 100"),
        ("noise:50-5", "1 to 100"),
        ("noise:5%", "without %"),
        ("salt:5", "with %"),
        ("salt:99%", "0.1% to 50%"),
        ("holes:nan", "not 'holes:nan'"),
        ("noise:25\n", "not 'noise:25"),
    ],
)
def test_a_word_that_says_no_damage_is_one_line(word: str, why: str) -> None:
    with pytest.raises(BadDamage, match="--clean-from") as caught:
        Damage.of(word)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", WORDS)
def test_damage_repeats_and_differs_from_step_to_step(word: str) -> None:
    damage = Damage.of(word)
    made = corrupted(damage, GRAY, 3, 7)
    assert made.dtype == torch.uint8
    assert (GRAY == 100).all()
    assert torch.equal(made, corrupted(damage, GRAY, 3, 7))
    for other in (corrupted(damage, GRAY, 3, 8), corrupted(damage, GRAY, 4, 7)):
        assert not torch.equal(made, other)


def test_noise_has_the_sigma_that_was_asked_for() -> None:
    noise = corrupted(Damage.of("noise:10"), GRAY, 0, 0).float() - 100
    assert float(noise.std()) == pytest.approx(10, rel=0.02)
    assert abs(float(noise.mean())) < 0.2
    spread = (corrupted(Damage.of("noise:2-60"), GRAY, 0, 0).float() - 100).std((1, 2, 3))
    assert float(spread.max()) > 2 * float(spread.min())


def test_salt_and_pepper_are_whole_pixels_of_the_share_that_was_asked_for() -> None:
    made = corrupted(Damage.of("salt:10%"), GRAY, 0, 0)
    hit = (made != 100).any(-1)
    assert float(hit.float().mean()) == pytest.approx(0.1, abs=0.01)
    assert set(made[hit].unique().tolist()) == {0, 255}
    assert (made[hit] == made[hit][:, :1]).all()


def test_lines_are_whole_rows_or_columns() -> None:
    for patch in (corrupted(Damage.of("lines"), GRAY, 0, 0) != 100).any(-1):
        rows, columns = patch.all(1), patch.all(0)
        assert rows.any() or columns.any()
        assert (patch == (rows[:, None] | columns[None])).float().mean() > 0.99  # noise may be gray by chance


def test_holes_grow_during_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrupt, "STROKES", 0)
    monkeypatch.setattr(corrupt, "LETTERS", 0)
    damage = Damage.of("holes:32")

    def largest(progress: float) -> int:
        hit = (corrupted(damage, GRAY, 0, 0, progress) != 100).any(-1)
        return int(torch.nn.functional.avg_pool2d(hit.float()[:, None], 12, 1).eq(1).sum())

    assert largest(0) == 0
    assert largest(1) > 0


def test_lettering_needs_no_more_than_the_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrupt, "LETTERS", 1)
    assert (corrupted(Damage.of("holes"), GRAY[..., :1], 0, 0) != 100).any()
    assert corrupted(Damage.of("holes"), GRAY[:, :32], 0, 0).shape == (6, 32, 64, 3)


def test_held_out_pictures_have_the_same_damage_in_every_run() -> None:
    pictures = [patch.numpy() for patch in GRAY]
    first, second = (restoring.held(Damage.of("noise:25"), pictures) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert all((p[..., 3:] == 100).all() for p in first)
    assert not (first[0] == first[1]).all()
    assert restoring.held(None, pictures) is pictures
