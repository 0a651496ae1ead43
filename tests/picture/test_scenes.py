"""What is drawn on patches: scenes that repeat by their seed, differ from seed to seed, and survive broken fonts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import features

from nicodec.picture import scenes
from nicodec.picture.scenes import charts, lettering, lights, patterns, windows
from nicodec.picture.scenes.fonts import Fonts

PHOTOGRAPH = np.random.default_rng(3).integers(0, 256, (16, 16, 3), np.uint8).repeat(16, 0).repeat(16, 1)


@pytest.fixture(scope="module")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> Fonts:
    """None but Pillow's own."""
    return Fonts(tmp_path_factory.mktemp("fonts"))


@pytest.mark.parametrize("kind", scenes.KINDS, ids=lambda kind: f"{kind.__module__.split('.')[-1]}-{kind.__name__}")
def test_scenes_repeat_and_differ(kind: scenes.Draw, fonts: Fonts) -> None:
    for side in (64, 128, 256):
        photograph = PHOTOGRAPH[:side, :side]
        made = [kind(np.random.default_rng(seed), photograph, fonts) for seed in (0, 0, *range(1, 9))]
        assert all(patch.shape == (side, side, 3) and patch.dtype == np.uint8 for patch in made)
        assert np.array_equal(made[0], made[1])
        assert len({patch.tobytes() for patch in made[1:]}) > 5


@pytest.mark.parametrize("kind", dict.fromkeys(patterns.KINDS), ids=lambda kind: kind.__name__)
def test_patterns_repeat_and_differ(kind: patterns.Pattern) -> None:
    made = [np.array(kind(np.random.default_rng(seed), PHOTOGRAPH[:64, :64])) for seed in (0, 0, *range(1, 9))]
    assert made[0].shape == (64, 64, 3)
    assert np.array_equal(made[0], made[1])
    assert len({patch.tobytes() for patch in made[1:]}) > 5


def test_shares_add_up_and_each_kind_is_drawn(fonts: Fonts, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(scenes.KINDS.values()) == pytest.approx(1)
    drawn: list[int] = []
    kinds = {(lambda rng, photograph, fonts, i=i: drawn.append(i)): s for i, s in enumerate(scenes.KINDS.values())}
    monkeypatch.setattr(scenes, "KINDS", kinds)
    for seed in range(400):
        scenes.draw(np.random.default_rng(seed), PHOTOGRAPH, fonts)
    assert set(drawn) == set(range(len(kinds)))


def test_broken_fonts_are_skipped(tmp_path: Path) -> None:
    for i in range(5):
        (tmp_path / f"{i} broken.ttf").write_bytes(b"\0\1\0\0" + bytes(range(i, 200)))
    (tmp_path / "folder.otf").mkdir()
    (tmp_path / "gone.ttc").symlink_to(tmp_path / "nowhere")
    hand = Fonts(tmp_path).hand(np.random.default_rng(0), 20)
    assert hand.size == 20
    assert hand.length("letters") > 50 or not features.check("freetype2")


def test_a_font_that_fails_while_it_writes_costs_its_words_alone(fonts: Fonts, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("execution of invalid instructions")

    monkeypatch.setattr("PIL.ImageFont.FreeTypeFont.getmask2", fail)
    monkeypatch.setattr("PIL.ImageFont.FreeTypeFont.getlength", fail)
    for kind in (lettering.page, lettering.overlay, lights.neon, charts.chart, windows.window):
        for seed in range(8):
            assert kind(np.random.default_rng(seed), PHOTOGRAPH[:64, :64], fonts).shape == (64, 64, 3)
