"""Corrections: a filter that is fitted to one picture, sent where it pays, and painted by every decoder alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import fuzz_decode
import independent_decoder
import numpy as np
import numpy.typing as npt
import pytest

import nicodec
from nicodec.bitstream import container
from nicodec.bitstream import correction as stored
from nicodec.bitstream.container import Chunk, Kind
from nicodec.bitstream.correction import Correction
from nicodec.bitstream.flats import found as flat_cells
from nicodec.bitstream.tiles import Box
from nicodec.codec import Codec
from nicodec.coding import correction, fitting, layout, quantize
from nicodec.coding.correction import REACH, Filters, features, rounding
from nicodec.coding.encoded import Encoded
from nicodec.coding.fitting import Fit
from nicodec.coding.look import Look
from nicodec.errors import BadFile, BadModel
from nicodec.model import checkpoint
from nicodec.model.checkpoint import Checkpoint
from nicodec.picture import Picture, metrics

Array = npt.NDArray[np.uint8]
EVERYWHERE = np.ones((290, 427), np.bool_)


@pytest.fixture(scope="module")
def picture() -> Array:
    data = pytest.importorskip("skimage.data")
    pixels: Array = data.chelsea()[5:295, 10:437]
    return pixels


def planes_of(pixels: Array) -> npt.NDArray[np.float32]:
    """Softened samples with a cast, as the planes of a bad decoder: (1, 3, h, w)."""
    x = quantize.planes(pixels)
    soft = (x + np.roll(x, 1, 2) + np.roll(x, 1, 3)) / 3
    return (0.98 * soft[:, [1, 1, 2]] * 0.1 + 0.9 * soft + 0.01).astype(np.float32)


def padded(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.pad(x[0], ((0, 0), (REACH, REACH), (REACH, REACH)), mode="edge")


def naive(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The features, one tap at a time: (F, h, w)."""
    around, (h, w) = padded(x).astype(np.float64), x.shape[2:]
    sums, steps = np.zeros((3, 3, 3, h, w)), np.zeros((3, 3, h, w))

    def at(m: int, n: int) -> npt.NDArray[np.float64]:
        return around[:, 2 + m : 2 + m + h, 2 + n : 2 + n + w]

    for m, n in np.ndindex(5, 5):
        sums[abs(m - 2), abs(n - 2)] += at(m - 2, n - 2)
    for m, n in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        steps[0] += np.clip(at(m, n) - at(0, 0), -1 / 32, 1 / 32)
        steps[2] += np.clip(at(2 * m, 2 * n) - at(m, n), -1 / 32, 1 / 32)
    for m, n in ((1, 1), (-1, -1), (1, -1), (-1, 1)):
        steps[1] += np.clip(at(m, n) - at(0, 0), -1 / 32, 1 / 32)
    return np.concatenate([sums.reshape(-1, h, w), steps.reshape(-1, h, w), np.ones((1, h, w))])


def based(found: Checkpoint, pixels: Array) -> Checkpoint:
    """The same model with filters that are orthonormal for the features of a picture."""
    every = np.ones(pixels.shape[:2], np.bool_)
    sums = correction.products(padded(quantize.planes(pixels)), pixels, every)[: features(3), : features(3)]
    root = np.linalg.cholesky(sums / every.size + rounding(3))
    basis = np.kron(np.eye(3), np.linalg.inv(root)).reshape(-1, 3, features(3)).astype(np.float32)
    added = {"correction.basis": basis, "correction.widths": np.zeros(len(basis), np.int8)}
    return replace(found, tensors={**found.tensors, **added})


@pytest.fixture(scope="module")
def model(picture: Array) -> Checkpoint:
    return based(checkpoint.load(checkpoint.find("photo")), picture)


@pytest.fixture(scope="module")
def codec(model: Checkpoint) -> Codec:
    return Codec(model, threads=1)


@pytest.fixture(scope="module")
def coded(codec: Codec, picture: Array) -> bytes:
    data = slowly(codec, picture, 90)
    assert sent(data) is not None
    return data


def slowly(codec: Codec, pixels: Array, quality: float, *, check: bool = False) -> bytes:
    """A file as of an encoder that paints every cell, but without torch."""
    return Encoded.of(codec._code(Picture(pixels), check, True, round(100 * quality), None), checked=check)


def sent(data: bytes) -> bytes | None:
    return container.unpack(data).extra(Kind.CORRECTION)


def without(data: bytes) -> bytes:
    """The same file without its correction."""
    header, chunks = container.unpack(data)
    return container.pack(header, [chunk for chunk in chunks if chunk.kind != Kind.CORRECTION])


def forced(codec: Codec, data: bytes, made: Correction) -> bytes:
    """The same file with this correction, and no cells that would hide it."""
    header, chunks = container.unpack(without(data))
    chunks = [chunk for chunk in chunks if chunk.kind not in (Kind.PATCHES, Kind.FLATS)]
    chunks.append(Chunk(Kind.CORRECTION, stored.encode(made, codec.crew.alone.filters.widths)))
    return container.pack(header, sorted(chunks, key=lambda chunk: chunk.kind))


def decoded(codec: Codec, data: bytes, **options: Any) -> npt.NDArray[np.int64]:
    return np.asarray(codec.decode(data, **options)).astype(np.int64)


# The filter


@pytest.mark.parametrize("in_cache", [1, 1000, 10**6])
def test_the_filter_is_the_sum_of_its_taps(picture: Array, monkeypatch: pytest.MonkeyPatch, in_cache: int) -> None:
    monkeypatch.setattr(correction, "IN_CACHE", in_cache)
    x = planes_of(picture[:50, :41])
    weights = np.random.default_rng(0).normal(0, 0.1, (3, features(3))).astype(np.float32)
    expected = x[0] + np.tensordot(weights.astype(np.float64), naive(x), 1)
    assert np.abs(correction.corrected(x, weights)[0] - expected).max() < 1e-5


@pytest.mark.parametrize("channels", [1, 3])
def test_products_are_those_of_the_counted_pixels(picture: Array, channels: int) -> None:
    source = picture[:50, :41, :channels]
    x, counted = planes_of(picture[:50, :41]), np.random.default_rng(0).random((50, 41)) > 0.3
    own = x[0] if channels == 3 else x[0].mean(0, keepdims=True)
    both = np.concatenate([naive(x), quantize.planes(source)[0, :channels] - own])[:, counted]
    assert np.allclose(correction.products(padded(x), source, counted), both @ both.T, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_correction_saves_what_it_promises(model: Checkpoint, picture: Array, channels: int) -> None:
    """And a larger weight of the error makes a finer one, which saves more."""
    x, source, filters = planes_of(picture), picture[:, :, :channels], Filters(model)
    sums = correction.products(padded(x), source, EVERYWHERE)

    def error(planes: npt.NDArray[np.float32]) -> float:
        shown = planes[0] if channels == 3 else planes[0].mean(0, keepdims=True)
        return float(np.square(quantize.planes(source)[0, :channels] - shown, dtype=np.float64).sum())

    saved = []
    for weight in (10, 10000):
        best = filters.best(sums, weight)
        assert best is not None
        saved.append(filters.saves(sums, best))
        after = error(correction.corrected(x, filters.weights(best)))
        assert error(x) - after == pytest.approx(saved[-1], rel=1e-3)
        bits = stored.lengths(best.coefficients, stored.low_bits(filters.widths, best.wider)[: len(best.coefficients)])
        assert weight * saved[-1] > bits.sum()
    assert saved[1] > saved[0] > 0


def test_no_correction_is_found_where_none_pays(model: Checkpoint, picture: Array) -> None:
    filters, x = Filters(model), quantize.planes(picture)
    assert filters.best(correction.products(padded(x), picture, EVERYWHERE), 1e4) is None
    assert filters.best(correction.products(padded(planes_of(picture)), picture, EVERYWHERE), 1e-6) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("basis", np.zeros((5, 3, features(3) - 1), np.float32)),
        ("basis", np.zeros((4, 3, features(3)), np.float32)),
        ("basis", np.zeros((5, 3, features(3)))),
        ("basis", np.full((5, 3, features(3)), np.nan, np.float32)),
        ("basis", np.full((5, 3, features(3)), 2000, np.float32)),
        ("widths", np.zeros(5, np.int16)),
        ("widths", np.zeros((5, 1), np.int8)),
        ("widths", np.full(5, 17, np.int8)),
        ("widths", np.full(5, -128, np.int8)),
    ],
)
def test_an_impossible_basis_is_refused(model: Checkpoint, name: str, value: Any) -> None:
    good = {"correction.basis": np.zeros((5, 3, features(3)), np.float32), "correction.widths": np.zeros(5, np.int8)}
    broken = replace(model, tensors={**model.tensors, **good, f"correction.{name}": value})
    with pytest.raises(BadModel, match="basis"):
        Filters(broken)


# The fit


@pytest.mark.parametrize("quality", [70, 95])
def test_a_photograph_costs_less_with_its_correction(codec: Codec, picture: Array, quality: float) -> None:
    data = slowly(codec, picture, quality)
    assert sent(data) is not None
    assert cost(codec, data, picture) < cost(codec, without(data), picture)


def cost(codec: Codec, data: bytes, pixels: Array) -> float:
    """bits + lambda * squared error."""
    file, back = container.unpack(data), decoded(codec, data).reshape(pixels.shape)
    error = float(np.square(back - pixels).sum()) / pixels.shape[2]
    return 8 * len(data) + quantize.lambda_of(file.header.quality) * error


@pytest.mark.parametrize("quality", [5, 50, 95])
def test_no_picture_costs_more_with_its_correction(codec: Codec, quality: float) -> None:
    """Drawn ones neither, nor gray or small ones, nor noise: over some bits, the rounding of samples."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:200, :260]
    slope = np.stack([x, y, 255 - x], -1).clip(0, 255).astype(np.uint8)
    shapes = slope.copy()
    shapes[40:90, 30:200], shapes[120:180, 100:130] = (255, 0, 0), 0
    noise = rng.integers(0, 256, (130, 70, 3)).astype(np.uint8)
    half = np.concatenate([slope[:130, :70], noise], axis=1)
    for pixels in (slope, shapes, noise, half, half[:, :, :1], slope[:3, :5], slope[:64, :1, :1], shapes[:130, :129]):
        whole = np.ascontiguousarray(pixels)
        data = slowly(codec, whole, quality)
        assert cost(codec, data, whole) <= cost(codec, without(data), whole)


def test_what_nobody_sees_and_flat_cells_do_not_count(
    codec: Codec, picture: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = picture[:128, :150].copy()
    pixels[8:48, 16:64] = 9
    alpha = np.full((128, 150), 255, np.uint8)
    alpha[100:, :50] = 0
    look = Look(Picture(pixels, alpha), 9000, codec.familiar)
    monkeypatch.setattr(Look, "flats", flat_cells(pixels))
    expected = np.ones((128, 150), np.bool_)
    expected[8:48, 16:64] = expected[100:, :50] = False
    assert np.array_equal(look.counted(Box(10, 20, 126, 150)), expected[10:126, 20:150])


@pytest.mark.parametrize("quality", [50, 90])
def test_a_plain_encoder_does_no_harm_where_it_has_not_looked(picture: Array, quality: float) -> None:
    """A picture that is mostly black, with one busy corner: painted cells alone would choose a filter that harms it."""
    released = Codec("photo", threads=1)
    black = np.zeros((512, 576, 3), np.uint8)
    black[:160, :200] = picture[:160, :200]
    for pixels in (black, 255 - black, np.concatenate([picture, picture[::-1] // 16])):
        whole = np.ascontiguousarray(pixels)
        made = released._code(Picture(whole), False, False, round(100 * quality), None)
        data = Encoded.of(made, checked=False)
        assert cost(released, data, whole) <= cost(released, without(data), whole)


def test_a_picture_with_patches_has_no_correction(codec: Codec, picture: Array) -> None:
    """It would be fitted to cells that the patches replace."""
    pixels = picture.copy()
    pixels[100:200, 100:200] = np.indices((100, 100, 1)).sum(0) % 2 * 255
    chunks = dict(nicodec.info(slowly(codec, pixels, 90)).chunks)
    assert "PATCHES" in chunks
    assert "CORRECTION" not in chunks


def test_a_plain_encoder_sends_a_correction_in_colour(codec: Codec, picture: Array) -> None:
    """In gray, and in a small picture, it gains little. There it is left to a patient encoder, or to a check."""
    gray, small = picture[:, :, :1], picture[:200, :300]
    assert sent(bytes(codec.encode(picture, quality=90))) is not None
    assert sent(bytes(codec.encode(gray, quality=90))) is None
    assert sent(bytes(codec.encode(small, quality=90))) is None
    assert sent(bytes(codec.encode(small, quality=90, check=True))) is not None
    assert fitting.share(codec.checkpoint, Picture(gray), patient=True) == 1


def test_a_quick_encoder_and_one_that_restores_send_none(model: Checkpoint, picture: Array) -> None:
    """Fitting would take the one too long. The other's correction would bring the damage back."""
    whole, quick = Picture(picture), checkpoint.load(checkpoint.find("photo-fast"))
    assert fitting.share(model, whole, patient=False) == fitting.HURRIED
    assert fitting.share(quick, whole, patient=False) == 0
    assert fitting.share(quick, whole, patient=True) == 1
    assert fitting.share(replace(model, restores="noise:25"), whole, patient=False) == 0
    codec = Codec(quick, threads=2)
    assert sent(bytes(codec.encode(picture, quality=90))) is None
    assert "_several" not in vars(codec.crew)  # which would be networks for nothing


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_the_busiest_blocks_are_painted(codec: Codec, share: float) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(100, 120, (700, 1300, 3)).astype(np.uint8)
    pixels[192:384, 576:960] = rng.integers(0, 256, (192, 384, 3))
    whole = Picture(pixels)
    fit = Fit(codec.crew, whole, 5000, Look(whole, 5000, codec.familiar), (16, 8), share)
    painted = [block.times(64).cut(Box(0, 0, 700, 1300)) for block in fit._painted]
    assert {Box(192, 576, 384, 768), Box(192, 768, 384, 960)} <= set(painted)
    assert share - 0.05 < sum(box.rows * box.columns for box in painted) / (700 * 1300) <= share


def test_a_small_picture_is_painted_whole(codec: Codec, picture: Array) -> None:
    whole = Picture(picture[:70, :90])
    fit = Fit(codec.crew, whole, 5000, Look(whole, 5000, codec.familiar), (16, 8), 0.1)
    assert fit._painted == {Box(0, 0, 2, 2)}


def test_files_of_plain_encoders_do_not_depend_on_the_threads(model: Checkpoint, picture: Array) -> None:
    one, two = (Codec(model, threads=threads).encode(picture, quality=90) for threads in (1, 2))
    assert one == two


def test_files_do_not_depend_on_the_threads(model: Checkpoint, coded: bytes, picture: Array) -> None:
    assert slowly(Codec(model, threads=2), picture, 90) == coded


def test_a_check_sees_the_correction(codec: Codec, picture: Array) -> None:
    made = slowly(codec, picture, 90, check=True)
    assert sent(made) is not None
    assert isinstance(made, Encoded)
    assert made.psnr == pytest.approx(metrics.psnr(picture, np.asarray(codec.decode(made))), abs=1e-6)


# The decoder

STRONG = Correction(8, 2, np.random.default_rng(1).laplace(0, 3, 111).clip(-60, 60).astype(np.int64))


@pytest.mark.parametrize("side", [1, 2])
@pytest.mark.parametrize("strong", [False, True])
def test_a_corrected_picture_in_windows_is_that_in_one_piece(
    codec: Codec, coded: bytes, monkeypatch: pytest.MonkeyPatch, side: int, strong: bool
) -> None:
    data = forced(codec, coded, STRONG) if strong else coded
    whole = decoded(codec, data)
    monkeypatch.setattr(layout, "WINDOW", side**2)
    assert np.abs(decoded(codec, data) - whole).max() <= 1
    assert np.abs(whole - decoded(codec, without(coded))).max() > 1


@pytest.mark.parametrize("region", [(0, 0, 427, 290), (60, 62, 9, 5), (426, 289, 1, 1), (100, 0, 130, 290)])
def test_a_region_is_the_crop_of_a_corrected_whole(
    codec: Codec, coded: bytes, region: tuple[int, int, int, int]
) -> None:
    x, y, width, height = region
    for data in (coded, forced(codec, coded, STRONG)):
        part = decoded(codec, data, region=region)
        assert np.abs(part - decoded(codec, data)[y : y + height, x : x + width]).max() <= 1


def test_a_preview_is_not_corrected(codec: Codec, coded: bytes) -> None:
    data = forced(codec, coded, STRONG)
    assert np.array_equal(decoded(codec, data, scale=1 / 8), decoded(codec, without(data), scale=1 / 8))


@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_the_second_decoder_paints_the_same(which: int) -> None:
    """In colour, gray and depth 16, on files of the tiny model."""
    tiny = fuzz_decode.tiny()
    rng = np.random.default_rng(which)
    shape = ((90, 70, 3), (64, 65, 1), (130, 66, 3), (70, 140, 1))[which]
    noise = rng.integers(0, 256, shape).astype(np.uint8)
    pixels: Any = noise if which < 2 else noise.astype(np.uint16) * 200
    data = forced(tiny, bytes(tiny.encode(Picture(pixels), quality=40, lossless=False)), STRONG)
    theirs = independent_decoder.decode(data, independent_decoder.Model(fuzz_decode.TINY.read_bytes())).pixels
    ours = np.asarray(tiny.decode(data, dtype=pixels.dtype)).reshape(shape)
    assert np.abs(ours.astype(int) - theirs).max() <= (1 if which < 2 else 64)
    plain = np.asarray(tiny.decode(without(data), dtype=pixels.dtype)).reshape(shape)
    assert np.abs(ours.astype(int) - plain).max() > 3


@pytest.mark.filterwarnings("error")
def test_the_strongest_correction_is_a_picture() -> None:
    tiny = fuzz_decode.tiny()
    noise = np.random.default_rng(0).integers(0, 256, (90, 70, 3)).astype(np.uint8)
    most = stored.largest(stored.low_bits(tiny.crew.alone.filters.widths, 7), 31)
    data = forced(tiny, bytes(tiny.encode(noise, quality=0, lossless=False)), Correction(31, 7, most))
    assert np.asarray(tiny.decode(data)).shape == noise.shape
    assert np.asarray(tiny.decode(data, dtype=np.uint16)).shape == noise.shape


def test_a_model_without_filters_refuses_a_correction(codec: Codec, coded: bytes) -> None:
    plain = {n: a for n, a in codec.checkpoint.tensors.items() if not n.startswith("correction.")}
    other = Codec(replace(codec.checkpoint, tensors=plain, sha256=""), threads=1)
    assert (
        sent(bytes(other.encode(nicodec.decode(without(other.encode(np.zeros((9, 9), np.uint8)))), quality=9))) is None
    )
    header, chunks = container.unpack(coded)
    with pytest.raises(BadFile):
        other.decode(container.pack(replace(header, model=other.checkpoint.id), chunks))
    assert other.checkpoint.id != codec.checkpoint.id


def test_a_lossless_file_with_a_correction_is_refused(codec: Codec, coded: bytes, picture: Array) -> None:
    header, chunks = container.unpack(codec.encode(picture[:20, :20], lossless=True))
    chunk = Chunk(Kind.CORRECTION, sent(coded) or b"")
    with pytest.raises(BadFile, match="out of order"):
        container.unpack(container.pack(header, [*chunks, chunk]))
