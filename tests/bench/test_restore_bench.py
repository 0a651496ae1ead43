"""bench/restore.py: damage repeats, is where the mask says, and every filter and model gets its figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("scipy")
pytest.importorskip("skimage")

import restore

from nicodec.codec import Codec
from nicodec.model import checkpoint
from nicodec.train.damage import Damage

WORDS = ("noise:25", "salt:5%", "lines:10%", "holes:32")


def slope(height: int = 128, width: int = 144) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.dstack([x, y, (x + y) / 2]).astype(np.uint8)


@pytest.mark.parametrize("word", WORDS)
def test_damage_repeats_and_is_where_the_mask_says(word: str) -> None:
    damage, clean = Damage.of(word), slope()
    made, where = restore.damaged(damage, clean, 1)
    again, _ = restore.damaged(damage, clean, 1)
    assert np.array_equal(made, again)
    assert not np.array_equal(made, restore.damaged(damage, clean, 2)[0])
    assert where.any()
    assert (made[~where] == clean[~where]).all()
    assert np.array_equal(clean, slope())


def test_the_noise_has_its_sigma_and_the_holes_their_size() -> None:
    gray = np.full((224, 224, 3), 128, np.uint8)
    noisy, _ = restore.damaged(Damage.of("noise:25"), gray, 0)
    assert (noisy.astype(float) - 128).std() == pytest.approx(25, rel=0.02)
    _, where = restore.damaged(Damage.of("holes:32"), gray, 0)
    assert where.sum() == 4 * 32 * 32


def test_lines_across_a_slope_are_interpolated() -> None:
    clean = slope()
    bad, where = restore.damaged(Damage.of("lines:10%"), clean, 0)
    assert restore.psnr(clean, restore.interpolated(bad, where), where) > 30
    assert restore.psnr(clean, bad, where) < 25


def test_all_that_is_compared_has_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(slope()).save(tmp_path / "a.png")
    monkeypatch.setattr(restore, "QUALITIES", (50,))
    monkeypatch.setattr(restore, "FAITHFUL", (50,))
    fast = checkpoint.load(checkpoint.find("photo-fast"))
    codec = Codec(replace(fast, restores="salt:5%"), threads=1)
    with pytest.warns(UserWarning):  # noqa: PT030
        found = restore.measure(Damage.of("salt:5%"), codec, Codec(fast, threads=1), [tmp_path / "a.png"])
    names = ["damaged", "median 3x3", "restored, quality 50", "restored, at most 1 bpp", "photo-fast, quality 50"]
    assert list(found["whole"]) == list(found["inside"]) == names
    assert list(found["bpp"]) == names[2:]
    table = restore.lines("salt:5%", found, ["a.png"])
    assert [row[:34].strip() for row in table[2:]] == names
