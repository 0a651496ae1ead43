"""Refinement: a cheaper file for a photograph, the format as ever, gradients that are those of the cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nicodec
from nicodec import Codec
from nicodec.bitstream import container, tiles
from nicodec.coding import layout, quantize, refine
from nicodec.coding.rates import Rates
from nicodec.coding.refine import Descent, Draw, Refinement, Window
from nicodec.model import checkpoint
from nicodec.model.backends import OnnxNetworks
from nicodec.picture import Picture

TINY = Path(__file__).parents[1] / "fuzz" / "tiny.nicmodel"


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(threads=1)


@pytest.fixture(scope="module")
def tiny() -> Codec:
    """Without corrections: of so small a network they save more than a refined latent does."""
    made = checkpoint.load(TINY)
    tensors = {name: array for name, array in made.tensors.items() if not name.startswith("correction.")}
    return Codec(replace(made, tensors=tensors), threads=1)


@pytest.fixture(scope="module")
def photograph() -> Any:
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[40:150, 180:280])


@pytest.fixture(scope="module")
def whole_cells() -> Any:
    """A part of the same photograph without a margin."""
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[40:168, 180:308])


def cost(codec: Codec, pixels: Any, data: bytes) -> float:
    """Bits and weighed squared error of a file."""
    weight = quantize.lambda_of(container.unpack(data).header.quality)
    back = np.asarray(codec.decode(data)).reshape(pixels.shape)
    return float(8 * len(data) + weight * np.square(back - pixels.astype(float)).mean(-1).sum())


@pytest.mark.parametrize(("quality", "left"), [(10, 0.98), (50, 0.98), (90, 0.99)])
def test_a_photograph_costs_less(codec: Codec, whole_cells: Any, quality: float, left: float) -> None:
    """So much of the cost is left at most after ten steps, and less after twenty."""
    files = [codec.encode(whole_cells, quality=quality, effort=effort) for effort in (1, 2, 3)]
    costs = [cost(codec, whole_cells, data) for data in files]
    assert costs[1] < left * costs[0]
    assert costs[2] < costs[1]


def test_refinement_makes_the_same_bytes_every_time(codec: Codec, photograph: Any) -> None:
    """With any number of threads, too."""
    first = codec.encode(photograph, effort=2)
    assert codec.encode(photograph, effort=2) == first
    assert Codec(codec.checkpoint, threads=2).encode(photograph, effort=2) == first
    assert list(codec.encode_many([photograph], effort=2, workers=1)) == [first]
    assert nicodec.info(first).version == nicodec.info(codec.encode(photograph)).version


@pytest.mark.parametrize("shape", [(1, 1), (70, 37), (65, 64, 4), (9, 130, 3)])
def test_a_picture_of_any_shape_costs_no_more(codec: Codec, photograph: Any, shape: tuple[int, ...]) -> None:
    """What is beyond the picture in its last cells does not count; alpha stays exact."""
    tall = np.concatenate([photograph, photograph[:, ::-1]], axis=1)[: shape[0], : shape[1]]
    if len(shape) == 2:
        pixels = tall[:, :, 1]
    elif shape[2] == 4:
        clear = np.arange(shape[0] * shape[1], dtype=np.uint32).reshape(*shape[:2], 1) % 251
        pixels = np.concatenate([tall, clear.astype(np.uint8)], axis=2)
    else:
        pixels = tall
    plain, refined = (codec.encode(pixels, effort=effort, lossless=False) for effort in (1, 2))
    back = [np.asarray(codec.decode(data)) for data in (plain, refined)]
    assert back[1].shape == shape
    if shape[-1:] == (4,):
        assert np.array_equal(back[1][:, :, 3], pixels[:, :, 3])
    samples = pixels.reshape(*shape[:2], -1)[:, :, :3].astype(float)
    error = [np.square(b.reshape(*shape[:2], -1)[:, :, :3] - samples).mean(-1).sum() for b in back]
    weight = quantize.lambda_of(5000)
    assert 8 * len(refined) + weight * error[1] <= 8 * len(plain) + weight * error[0]


def test_many_windows_and_bands_gain_as_one_does(
    codec: Codec, photograph: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows of one cell, bands and tiles of two, gain most of what one window gains."""
    pixels = np.tile(photograph, (2, 2, 1))[:200, :190]
    plain, whole = (cost(codec, pixels, codec.encode(pixels, effort=e)) for e in (1, 2))
    monkeypatch.setattr(refine, "WINDOW", 1)
    monkeypatch.setattr(layout, "TILE", (2, 2))
    seen: list[tuple[float, float]] = []
    data = codec.encode(pixels, effort=2, progress=lambda *shares: seen.append(shares))
    tiled = cost(codec, pixels, codec.encode(pixels))  # more tiles take some bytes of their own
    assert tiled - cost(codec, pixels, data) > 0.6 * (plain - whole)
    done, left = zip(*seen, strict=True)
    assert len(done) == 16 * 10 - 4 * 10
    assert list(done) == sorted(done)
    assert done[-1] == 1
    assert 0.5 < left[-1] < 1


def test_a_target_is_met_with_a_smaller_error(codec: Codec, whole_cells: Any) -> None:
    """The number of the quality may be lower, as a correction takes bytes too."""
    plain, refined = (codec.encode(whole_cells, target_bytes=1500, effort=effort) for effort in (1, 2))
    assert 1470 <= len(refined) <= 1500
    picture = Picture(whole_cells)
    assert codec.psnr(picture, refined) > codec.psnr(picture, plain) + 0.2


def test_a_size_is_met_with_less_error(codec: Codec, photograph: Any) -> None:
    """A picture with a margin too, which has little to gain there."""
    plain, refined = (codec.encode(photograph, target_bytes=1500, effort=effort) for effort in (1, 2))
    assert 1470 <= len(refined) <= 1500
    back = [codec.decode(data, dtype=np.uint8) for data in (plain, refined)]
    errors = [np.square(samples - photograph.astype(float)).mean() for samples in back]
    assert errors[1] < 0.97 * errors[0]


@pytest.mark.parametrize("quality", [20, 50, 90])
def test_each_effort_costs_less_with_a_tiny_model(tiny: Codec, photograph: Any, quality: float) -> None:
    files = [tiny.encode(photograph, quality=quality, effort=effort, lossless=False) for effort in (1, 2, 3, 4)]
    costs = [cost(tiny, photograph, data) for data in files]
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == 4


def test_samples_under_alpha_0_do_not_count(tiny: Codec, photograph: Any) -> None:
    alpha = np.full(photograph.shape[:2], 255, np.uint8)
    alpha[20:90, 30:] = 0
    noisy = np.where(alpha[..., None] == 0, 255 - photograph, photograph)
    latents = [window(tiny, Picture(pixels, alpha), photograph).refined() for pixels in (photograph, noisy)]
    assert np.array_equal(*latents)
    assert not np.array_equal(latents[0], window(tiny, Picture(noisy), photograph).refined())


def test_windows_bound_the_memory(tiny: Codec, photograph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No array of gradients is larger than a window and its surroundings, however large the picture is."""
    pixels = np.tile(photograph, (3, 6, 1))
    monkeypatch.setattr(refine, "WINDOW", 4)
    shapes: list[tuple[int, ...]] = []
    made = OnnxNetworks.g_s_back

    def seen(self: Any, y: Any, *given: Any) -> Any:
        shapes.append(y.shape)
        return made(self, y, *given)

    monkeypatch.setattr(OnnxNetworks, "g_s_back", seen)
    tiny.encode(pixels, effort=2, lossless=False)
    assert len(shapes) > 10 * 10
    assert all(shape[2] * shape[3] <= (4 + 2 * 2) * (16 + 2 * 2) for shape in shapes)


def window(codec: Codec, picture: Picture, analysed: Any = None, q: int = 5000) -> Window:
    """The only window of a small picture, with the latent of these pixels, or of its own."""
    pixels = picture.pixels if analysed is None else analysed
    height, width, _ = pixels.shape
    whole, tables = tiles.cells(width, height), codec.z_tables
    z = np.zeros((1, tables.channels, whole.rows, whole.columns), np.int8)
    _, y = next(codec.crew.alone.analysis(pixels, q, tables.ranges(q), z, whole.rows))
    assert isinstance(codec.networks, OnnxNetworks)
    return Window(refinement(codec, picture, q), codec.networks, whole, y, z)


def refinement(codec: Codec, picture: Picture, q: int, progress: Any = None) -> Refinement:
    return Refinement(codec.crew, Rates(codec.y_tables), picture, q, 10, progress)


def test_progress_tells_of_each_step_and_of_the_cost_that_is_left(tiny: Codec, photograph: Any) -> None:
    seen: list[tuple[float, float]] = []
    tiny.encode(photograph, effort=2, lossless=False, progress=lambda *shares: seen.append(shares))
    done, left = zip(*seen, strict=True)
    assert done == pytest.approx(np.arange(1, 11) / 10)
    assert set(left[:9]) == {1.0}
    assert left[9] < 1


def test_the_gradient_of_the_error_is_its_slope(tiny: Codec, photograph: Any) -> None:
    """By differences of the error along random directions."""
    networks, rng = tiny.networks, np.random.default_rng(0)
    assert isinstance(networks, OnnxNetworks)
    config = tiny.checkpoint.config
    y = rng.normal(0, 3, (1, config.latent, 4, 8)).astype(np.float32)
    target = quantize.planes(photograph[:64, :64].repeat(2, 1)[:, :128])
    counted = rng.uniform(0, 1, (1, 1, 64, 128)).astype(np.float32)
    error, gradient = networks.g_s_back(y, target, counted, 50.0)
    off = np.clip(networks.g_s(y, 50.0), -0.5, 0.5) - target
    assert error == pytest.approx(float((counted * off**2).sum()), rel=1e-5)
    for _ in range(5):
        way = np.zeros_like(y)
        way[:, : config.deep] = rng.normal(0, 0.01, gradient.shape)
        ends = [networks.g_s_back(y + sign * way, target, counted, 50.0)[0] for sign in (1, -1)]
        slope = float((gradient * way[:, : config.deep]).sum())
        assert (ends[0] - ends[1]) / 2 == pytest.approx(slope, rel=0.02, abs=1e-3 * abs(error))


def test_the_gradient_of_the_mean_is_its_slope(tiny: Codec) -> None:
    networks, rng = tiny.networks, np.random.default_rng(1)
    assert isinstance(networks, OnnxNetworks)
    config = tiny.checkpoint.config
    y0, seed, way = (rng.normal(0, s, (1, config.deep, 4, 6)).astype(np.float32) for s in (2, 1, 0.01))
    features = rng.normal(0, 0.5, (1, config.context, 4, 6)).astype(np.float32)
    gradient = networks.context_back(y0, features, seed, 50.0)
    ends = [float((networks.context(y0 + sign * way, features, 50.0) * seed).sum()) for sign in (1, -1)]
    assert (ends[0] - ends[1]) / 2 == pytest.approx(float((gradient * way).sum()), rel=0.02, abs=1e-4)


@pytest.mark.parametrize("network", ["tiny", "codec"])
def test_the_gradient_of_the_cost_is_its_slope(network: str, photograph: Any, request: pytest.FixtureRequest) -> None:
    """Of rate, error and the mean of the second phase together, for one draw of the noise."""
    here = window(request.getfixturevalue(network), Picture(photograph[:64, :64].copy()))
    noise, inner = Descent(here.start[here._inner].shape, 2).noise(1), here._inner
    gradient = here._gradient(here.start, Draw(noise))
    # Uphill everywhere, by random steps. Otherwise the rounding of float32 hides the difference.
    way = np.float32(1e-3) * np.random.default_rng(0).random(gradient.shape, np.float32) * np.sign(gradient)

    def expense(sign: int) -> float:
        latent = here.start.copy()
        latent[inner] += np.float32(sign) * way
        r, mu = here._decoded(latent, Draw(noise))
        error, _ = here._error(r + mu)
        low = np.floor(r)
        return here._rates.total(low) + float(((r - low) * here._rates.slopes(low)).sum(dtype=float)) + error

    slope = float((gradient * way).sum(dtype=float))
    assert (expense(1) - expense(-1)) / 2 == pytest.approx(slope, rel=0.06)


def test_what_is_drawn_lies_between_two_integers_and_nearer_to_the_nearer() -> None:
    r = np.tile(np.float32([-1.8, -0.1, 0.0, 0.3, 2.95]), (4000, 1))
    made = Draw(Descent(r.shape, 1).noise(1))(r)
    low = np.floor(r)
    assert ((made >= low) & (made <= low + 1)).all()
    assert np.floor(made.mean(0) + 0.5).tolist() == [-2, 0, 0, 0, 3]


def test_what_is_drawn_has_a_slope() -> None:
    draw = Draw(Descent((3,), 1).noise(1))
    r = np.float32([0.2, 1.5, -3.4])
    draw(r)
    slope = draw.slope
    measured = (draw(r + np.float32(1e-2)) - draw(r - np.float32(1e-2))) / 2e-2
    assert measured == pytest.approx(slope, rel=0.02)
    assert (slope > 0).all()


def test_each_second_noise_is_the_one_before_negated() -> None:
    descent = Descent((4, 5), 4)
    noise = [descent.noise(step) for step in (1, 2, 3, 4)]
    assert np.array_equal(noise[0], -noise[1])
    assert np.array_equal(noise[2], -noise[3])
    assert not np.array_equal(noise[0], noise[2])
    assert np.array_equal(Descent((4, 5), 4).noise(1), noise[0])


def test_the_cost_weighs_bits_against_error(tiny: Codec) -> None:
    """Of a file of 10 bytes whose samples of a range of one are off by a tenth."""
    picture = refinement(tiny, Picture(np.zeros((6, 5, 3), np.uint8)), 5000)
    error = 255**2 * 6 * 5 * 0.01
    assert picture.cost(10, 20.0) == pytest.approx(80 + quantize.lambda_of(5000) * error)
