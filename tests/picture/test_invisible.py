"""What stands under alpha 0 is made smooth before analysis, and counts nowhere."""

import tracemalloc
from pathlib import Path
from typing import Any

import fuzz_decode
import numpy as np
import numpy.typing as npt
import pytest

import nicodec
from nicodec import Codec
from nicodec.picture import Picture, invisible, metrics

Array = npt.NDArray[np.uint8]
SIDE = 192


def scene(height: int, width: int, channels: int = 3) -> Array:
    y, x, c = np.ogrid[:height, :width, :channels]
    grain = np.random.default_rng(0).normal(0, 2, (height, width, channels))
    soft = 120 + 80 * np.sin(x / 17 + c) + 40 * np.cos((x + y) / (13 + 5 * c))
    return np.clip(soft + grain, 0, 255).astype(np.uint8)


def disc(side: int = SIDE) -> npt.NDArray[np.bool_]:
    y, x = np.ogrid[:side, :side]
    inside: npt.NDArray[np.bool_] = (y - side / 2) ** 2 + (x - side / 2) ** 2 < (0.36 * side) ** 2
    return inside


def noise(shape: Any) -> Array:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def cut_out(hidden: Array | None = None) -> Picture:
    """A disc of the scene; outside of it, under alpha 0, `hidden`."""
    pixels, seen = scene(SIDE, SIDE), disc()
    outside = pixels if hidden is None else hidden
    return Picture(np.where(seen[:, :, None], pixels, outside), seen.astype(np.uint8) * np.uint8(255))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (16, 16), (33, 61), (257, 300), (300, 40)])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_visible_samples_stay_and_hidden_ones_do_not_matter(size: tuple[int, int], channels: int, share: float) -> None:
    pixels, alpha = scene(*size, channels), np.random.default_rng(2).choice([0, 1, 255], size, p=[share, 0, 1 - share])
    alpha = alpha.astype(np.uint8)
    other = np.where(alpha[:, :, None] > 0, pixels, noise(pixels.shape))
    before = other.copy()
    found, same = invisible.filled(Picture(pixels, alpha)), invisible.filled(Picture(other, alpha))
    assert np.array_equal(found.pixels, same.pixels)
    assert np.array_equal(found.pixels[alpha > 0], pixels[alpha > 0])
    assert np.array_equal(other, before)
    assert found.pixels.flags.c_contiguous
    if alpha.any():  # nothing brighter or darker than what is seen
        seen = pixels[alpha > 0]
        assert np.all(found.pixels >= seen.min(0))
        assert np.all(found.pixels <= seen.max(0))


def test_strips_join_without_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, alpha = scene(700, 90), np.zeros((700, 90), np.uint8)
    alpha[100:110, 20:40] = alpha[300:420, 60:] = alpha[650:, 5] = 255
    pieces = invisible.filled(Picture(pixels, alpha)).pixels
    monkeypatch.setattr(invisible, "STRIP", 1024)
    assert np.array_equal(pieces, invisible.filled(Picture(pixels, alpha)).pixels)


def test_the_fill_goes_on_where_the_visible_ends() -> None:
    filled = invisible.filled(cut_out(noise((SIDE, SIDE, 3)))).pixels.astype(int)
    steps = np.abs(np.diff(filled, axis=1))[~disc()[:, 1:] | ~disc()[:, :-1]]
    assert steps.mean() < 1.5  # that of the visible samples is 4
    assert steps.max() < 40


def test_nothing_is_done_where_all_is_visible_or_nothing() -> None:
    for picture in (Picture(scene(9, 9)), Picture(scene(9, 9), np.full((9, 9), 1, np.uint8))):
        assert invisible.filled(picture) is picture
    clear = invisible.filled(Picture(noise((9, 9, 3)), np.zeros((9, 9), np.uint8)))
    assert np.all(clear.pixels == invisible.GRAY)


def test_memory_follows_the_width_and_not_the_area() -> None:
    def peak(height: int) -> int:
        picture = Picture(np.zeros((height, 256, 3), np.uint8), np.zeros((height, 256), np.uint8))
        assert picture.alpha is not None
        picture.alpha[::50, ::50] = 255
        tracemalloc.start()
        invisible.filled(picture)
        found = tracemalloc.get_traced_memory()[1] - picture.pixels.nbytes
        tracemalloc.stop()
        return found

    assert peak(8192) < 1.3 * peak(1024)


# In files


@pytest.fixture(scope="module")
def tiny() -> Codec:
    return Codec(fuzz_decode.TINY, threads=1)


@pytest.mark.parametrize("model", ["photo", "photo-fast"])
@pytest.mark.parametrize("quality", [30, 50, 80])
def test_hidden_noise_costs_no_byte_and_spoils_no_edge(model: str, quality: float) -> None:
    codec = Codec(model, threads=1)
    smooth, noisy = cut_out(), cut_out(noise((SIDE, SIDE, 3)))
    data = codec.encode(noisy, quality=quality)
    assert data == codec.encode(smooth, quality=quality)
    assert noisy.alpha is not None
    opaque = codec.encode(smooth.pixels, quality=quality)
    assert len(data) - dict(nicodec.info(data).chunks)["ALPHA"] < 1.15 * len(opaque)
    y, x = np.ogrid[:SIDE, :SIDE]
    edge = (disc() & ((y - 96) ** 2 + (x - 96) ** 2 > 65**2)).astype(np.uint8)
    there, whole = (np.asarray(codec.decode(d))[:, :, :3] for d in (data, opaque))
    assert metrics.psnr(smooth.pixels, there, edge) > metrics.psnr(smooth.pixels, whole, edge) - 1.5


def test_a_target_and_a_look_count_visible_samples_alone(tiny: Codec) -> None:
    picture = cut_out(noise((SIDE, SIDE, 3)))
    made = Codec("photo-fast", threads=1).encode(picture, target_psnr=36, check=True)
    back = np.asarray(nicodec.decode(made))[:, :, :3]
    seen = metrics.psnr(picture.pixels, back, picture.alpha)
    assert 36 <= seen <= 36.1
    assert made.psnr == pytest.approx(seen, abs=0.01)
    worst = metrics.worst_cell(picture.pixels, back, picture.alpha)
    assert made.worst_cell is not None
    assert made.worst_cell.psnr == pytest.approx(worst.psnr, abs=0.05)
    assert "PATCHES" not in dict(nicodec.info(made).chunks)
    assert tiny.psnr(picture, tiny.encode(picture)) == tiny.psnr(cut_out(), tiny.encode(cut_out()))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_that_is_clear_everywhere_works(channels: int, tmp_path: Path) -> None:
    pixels, alpha = noise((70, 50, channels)), np.zeros((70, 50), np.uint8)
    codec = Codec("photo-fast", threads=1)
    data = codec.encode(Picture(pixels, alpha), check=True)
    assert len(data) < 200
    assert data.psnr == float("inf")
    assert not np.asarray(codec.decode(data))[:, :, -1].any()
    with pytest.warns(UserWarning, match="quality 0 gives inf dB"):
        assert codec.encode(Picture(pixels, alpha), target_psnr=40).quality == 0


def test_effort_refines_for_visible_samples_alone() -> None:
    codec = Codec("photo-fast", threads=1)
    noisy, smooth = cut_out(noise((SIDE, SIDE, 3))), cut_out()
    plain = codec.encode(noisy, quality=40)
    refined = codec.encode(noisy, quality=40, effort=3)
    assert refined == codec.encode(smooth, quality=40, effort=3)
    assert refined != plain
    codec.encode(Picture(noisy.pixels, np.zeros((SIDE, SIDE), np.uint8)), quality=40, effort=2)
