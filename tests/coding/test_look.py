"""The look: an encoder finds what would be painted badly and sends it as it is; photographs stay alone."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import drawings
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

import nicodec
from nicodec.bitstream import container, patches
from nicodec.bitstream.tiles import Box
from nicodec.codec import Codec
from nicodec.coding.look import POOR, Familiar, Look, boxes, drawn
from nicodec.model import checkpoint
from nicodec.picture import Picture, metrics, reader

Array = npt.NDArray[np.uint8]
MODELS = ("photo", "photo-fast")
QUALITIES = (30, 36, 42, 48, 54, 60, 66, 72, 78, 84, 90, 95)


@pytest.fixture(scope="module", params=MODELS)
def codec(request: pytest.FixtureRequest) -> Codec:
    return Codec(request.param, threads=1)


FAMILIAR = Familiar(checkpoint.load(checkpoint.find("photo-fast")))


def decoded(codec: Codec, data: bytes) -> Array:
    image = codec.decode(data)
    return np.asarray(image).reshape(image.height, image.width, -1)


def latents(codec: Codec, pixels: Array, quality: int) -> Array:
    """A picture as its latents bring it back, though it may cost less as a drawing or without loss."""
    return decoded(codec, codec.encode(pixels, quality=quality, lossless=False))


def chunks(data: bytes) -> dict[str, int]:
    return dict(nicodec.info(data).chunks)


def frame(side: int) -> Array:
    """A green frame on black, as large as the one that came back as a disc of noise."""
    canvas = Image.new("RGB", (side, side))
    ImageDraw.Draw(canvas).rectangle((25, 25, side - 25, side - 25), outline=(0, 128, 0), width=5)
    return np.array(canvas)


def zone_plate(side: int, k: int) -> Array:
    i, j = np.ogrid[:side, :side]
    return (127.5 + 127.5 * np.cos((i**2 + j**2) * np.pi / k)).astype(np.uint8)[:, :, None]


def photograph() -> Array:
    data = pytest.importorskip("skimage.data")
    pixels: Array = data.chelsea()[20:276, 60:444]
    return pixels


@pytest.mark.parametrize("quality", [65, 75, 80, 90])
def test_a_frame_comes_back(codec: Codec, quality: int) -> None:
    pixels = frame(100)
    assert metrics.worst_cell(pixels, latents(codec, pixels, quality)).psnr > 25


@pytest.mark.parametrize("k", [512, 1024])
@pytest.mark.parametrize("quality", [30, 60, 90])
def test_a_zone_plate_comes_back(codec: Codec, k: int, quality: int) -> None:
    pixels = zone_plate(256, k)
    assert metrics.worst_cell(pixels, latents(codec, pixels, quality)).psnr > POOR


def test_a_half_tone_whose_blot_lay_beside_its_strange_cells_comes_back(codec: Codec) -> None:
    pixels = drawings.draw(0, 159)[:, :, None]
    assert metrics.worst_cell(pixels, latents(codec, pixels, 71)).psnr > 25


@cache
def small_drawings() -> list[tuple[str, Array]]:
    """One small picture of each kind."""
    found: dict[str, Array] = {}
    for number in range(400):
        kind = drawings.kind(number)
        if kind not in found:
            pixels = drawings.draw(1, number)
            if 32**2 < pixels.shape[0] * pixels.shape[1] < 130**2:
                found[kind] = pixels.reshape(*pixels.shape[:2], -1)
    assert len(found) == len(drawings.KINDS)
    return list(found.items())


@pytest.mark.parametrize("number", range(len(QUALITIES)))
def test_no_drawn_picture_has_a_destroyed_cell(codec: Codec, number: int) -> None:
    """Each kind at four qualities, each quality with four or five kinds; `bench/blots.py` tries them all."""
    share, quality = len(QUALITIES) // 4, QUALITIES[number]
    for kind, pixels in small_drawings()[number % share :: share]:
        worst = metrics.worst_cell(pixels, latents(codec, pixels, quality))
        assert worst.psnr > POOR, (kind, worst)


def spoiled(codec: Codec, monkeypatch: pytest.MonkeyPatch, top: int, left: int) -> None:
    """From now on g_s paints noise over 32 x 32 pixels, as a network does that runs away."""
    paint = codec.networks.g_s

    def g_s(y: npt.NDArray[np.float32], quality: float) -> npt.NDArray[np.float32]:
        x = paint(y, quality)
        part = x[:, :, top : top + 32, left : left + 32]
        part[...] = np.random.default_rng(0).uniform(-0.5, 0.5, part.shape)
        return x

    monkeypatch.setattr(codec.networks, "g_s", g_s)


def test_a_cell_that_g_s_destroys_is_sent_as_it_is(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = photograph()
    spoiled(codec, monkeypatch, 64, 128)
    blind = decoded(codec, codec.encode(pixels, quality=60))
    assert metrics.worst_cell(pixels, blind).psnr < 15
    data = codec.encode(pixels, quality=60, check=True)
    assert metrics.worst_cell(pixels, decoded(codec, data)).psnr > 25
    assert chunks(data)["PATCHES"] < 4 * 768
    monkeypatch.undo()
    part = np.asarray(codec.decode(data, region=(100, 50, 90, 70)))
    assert np.abs(part.astype(int) - decoded(codec, data)[50:120, 100:190]).max() <= 1
    small = np.asarray(codec.decode(data, scale=1 / 8)).astype(float)
    theirs = np.asarray(Image.fromarray(pixels).reduce(8))
    assert np.abs(small[8:12, 16:20] - theirs[8:12, 16:20]).max() < 10


def test_a_strange_latent_is_looked_at(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a wish for it: the network of this codec calls everything strange."""
    pixels = photograph()
    spoiled(codec, monkeypatch, 64, 128)
    monkeypatch.setattr(codec.familiar, "_familiar", np.zeros(1, np.float32))
    data = codec.encode(pixels, quality=60)
    assert metrics.worst_cell(pixels, decoded(codec, data)).psnr > 25


def test_what_lies_around_a_bad_cell_is_looked_at_too(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """A strange latent spoils its neighbours, whose own latents may be like those of photographs."""
    pixels, noise = photograph(), Box(80, 112, 144, 144)  # parts of four cells of 64 pixels
    paint, strange = codec._painted, np.zeros((4, 6), bool)
    strange[1, 1] = True

    def painted(*arguments: Any, **options: Any) -> Iterator[tuple[Box, Array]]:
        for part, samples in paint(*arguments, **options):
            spoil = noise.cut(part)
            if spoil.rows > 0 and spoil.columns > 0:
                samples[spoil.within(part)] = 255 - pixels[spoil.within(Box(0, 0, 256, 384))]
            yield part, samples

    monkeypatch.setattr(codec, "_painted", painted)
    monkeypatch.setattr(codec.familiar, "strange", lambda *_: strange)
    _, found = container.unpack(codec.encode(pixels, quality=60))
    (sent,) = (chunk.payload for chunk in found if chunk.kind == container.Kind.PATCHES)
    assert patches.decode(sent, 384, 256, 3).where[5:9, 7:9].all()


def test_around_bad_cells_only_what_was_not_seen_is_asked_for() -> None:
    pixels = (np.indices((200, 300, 1)).sum(0) % 2).astype(np.uint8)  # flat cells would come back whatever is painted
    seen, painted = Look(Picture(pixels), 5000, FAMILIAR), np.zeros((64, 64, 1), np.uint8)
    assert not seen.spread(1).any()
    seen.see(Box(64, 64, 128, 128), painted)
    assert not seen.spread(1).any()
    painted[20:30, 20:30] = 255
    seen.see(Box(64, 128, 128, 192), painted)
    expected = np.zeros((4, 5), bool)
    expected[:3, 1:4] = True
    expected[1, 1:3] = False
    assert np.array_equal(seen.spread(1), expected)


def test_what_the_encoder_saw_is_what_a_decoder_gives(codec: Codec) -> None:
    for pixels in (frame(90), photograph(), zone_plate(70, 128)):
        data = codec.encode(pixels, quality=70, check=True, lossless=False)
        back = decoded(codec, data)
        assert data.psnr == pytest.approx(metrics.psnr(pixels, back), abs=0.01)
        assert data.worst_cell is not None
        assert data.worst_cell.psnr == pytest.approx(metrics.worst_cell(pixels, back).psnr, abs=0.05)


def test_a_look_keeps_no_symbols_when_it_is_over(codec: Codec) -> None:
    """A search for a target keeps the look of each trial, and a look keeps up to 64 MiB of symbols."""
    noise = reader.read(np.random.default_rng(2).integers(0, 256, (200, 200, 3)).astype(np.uint8))
    made = codec._code(noise, True, True, 5000, None)
    assert isinstance(made.seen, Look)
    assert made.seen.worst is not None
    assert not made.seen.known


def test_a_photograph_is_not_looked_at(codec: Codec) -> None:
    for quality in (10, 50, 90):
        data = codec.encode(photograph(), quality=quality)
        assert data.worst_cell is None
        assert data.psnr is None
        assert "PATCHES" not in chunks(data)


def test_checking_a_photograph_costs_the_bytes_of_its_correction_alone(codec: Codec) -> None:
    pixels = photograph()
    checked = chunks(codec.encode(pixels, quality=50, check=True))
    assert checked.pop("CORRECTION", 0) < 100
    assert checked == chunks(codec.encode(pixels, quality=50))


def test_results_keep_what_was_seen_through_worker_processes(codec: Codec) -> None:
    (data,) = codec.encode_many([frame(80)], check=True, workers=2)
    assert isinstance(data, bytes)
    assert data.psnr is not None


def test_drawn_are_flats_with_sharp_edges_and_noise() -> None:
    flat = np.full((64, 192, 3), 200, np.uint8)
    flat[10:20, 70:80] = 0
    flat[:, 128:] = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    assert drawn(flat).tolist() == [[False, True, True]]


@pytest.mark.parametrize(("top", "left"), [(0, 0), (0, 32), (32, 0), (32, 32)])
def test_a_cell_with_a_hatched_quarter_looks_drawn(top: int, left: int) -> None:
    """`photo-fast` painted thin red lines as a pattern of dots, 13 dB, where the rest of the cell was smooth."""
    i, j = np.mgrid[:64, :128]
    smooth = np.stack([120 + i / 4, 140 - j / 4, 100 + j / 8], -1).astype(np.uint8)
    hatched = smooth.copy()
    lines = np.zeros((64, 128), np.bool_)
    lines[top : top + 32, left : left + 32] = ((i + j) % 3 == 0)[:32, :32]
    hatched[lines] = 255, 0, 0
    assert drawn(smooth).tolist() == [[False, False]]
    assert drawn(hatched).tolist() == [[True, False]]


def test_dots_of_single_pixels_come_back(codec: Codec) -> None:
    """A network may take them for an even gray, whose latent is as ordinary as can be."""
    dots = np.zeros((100, 130, 1), np.uint8)
    dots[::2, ::2] = dots[1::2, 1::2] = 255
    assert metrics.psnr(dots, latents(codec, dots, 70)) > 25


def test_boxes_hold_all_strange_cells_and_no_more() -> None:
    strange = np.zeros((4, 6), bool)
    strange[1, 1] = strange[3, 2] = strange[0, 5] = True
    assert boxes(strange, [Box(0, 0, 4, 3), Box(0, 3, 4, 6)]) == [Box(0, 5, 1, 6), Box(1, 1, 4, 3)]
    assert not boxes(np.zeros((4, 6), bool), [Box(0, 0, 4, 6)])


def test_strange_cells_may_lie_high_and_low_in_windows_side_by_side() -> None:
    """The symbols above a box are forgotten, and the next box may need them again."""
    codec, (i, j) = Codec("photo-fast", threads=1), np.mgrid[: 15 * 64, : 16 * 64]
    pixels = np.stack([60 + i // 8, 60 + j // 8, 128 + 0 * i], -1).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 2, (64, 64, 1), np.uint8) * np.uint8(255)
    for row, column in ((0, 1), (14, 7), (0, 12)):
        pixels[64 * row : 64 * (row + 1), 64 * column : 64 * (column + 1)] = noise
    data = codec.encode(pixels, quality=50, lossless=False)
    assert data.worst_cell is not None
    assert metrics.psnr(pixels, decoded(codec, data)) > 30


def test_only_what_costs_less_is_patched_unless_it_is_poor() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (16, 32, 3)).astype(np.uint8)
    painted = pixels.copy()
    painted[:, :16] = np.clip(pixels[:, :16] + rng.normal(0, 12, (16, 16, 3)), 0, 255)
    painted[:, 16:] = 128
    seen = Look(Picture(pixels), 3000, FAMILIAR)
    seen.see(Box(0, 0, 16, 32), painted)
    found = seen.mend()
    assert found is not None
    assert found.where.tolist() == [[False, True]]
    assert seen.worst is not None
    assert seen.worst.psnr > POOR


def test_the_command_says_what_it_checked(run, here: Path) -> None:  # type: ignore[no-untyped-def]
    code, _, said = run("encode", "a.png", "--check")
    assert code == 0
    assert "dB, worst cell" in said
    code, out, _ = run("encode", "a.png", "-f", "--check", "--json")
    assert code == 0
    assert b'"worst_cell": {"psnr"' in out
    assert b'"psnr"' in out
