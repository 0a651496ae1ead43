"""Refinement: a cheaper file for a photograph, the format as ever, and symbols that cost what tables say."""

# ruff: noqa: E402

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import nicodec
from nicodec import Codec
from nicodec.bitstream import container
from nicodec.coding import layout, quantize
from nicodec.nn import refine
from nicodec.picture import Picture


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(threads=1)


@pytest.fixture(scope="module")
def photograph() -> Any:
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[40:150, 180:280])


def cost(codec: Codec, pixels: Any, data: bytes) -> float:
    """Bits and weighed squared error of a file."""
    weight = quantize.lambda_of(container.unpack(data).header.quality)
    back = np.asarray(codec.decode(data)).reshape(pixels.shape)
    return float(8 * len(data) + weight * np.square(back - pixels.astype(float)).mean(-1).sum())


@pytest.mark.parametrize(("quality", "left"), [(10, 0.98), (50, 0.98), (90, 0.99)])
def test_a_photograph_costs_less(codec: Codec, photograph: Any, quality: float, left: float) -> None:
    """So much of the cost is left at most after ten steps, and less after twenty."""
    costs = [cost(codec, photograph, codec.encode(photograph, quality=quality, effort=effort)) for effort in (1, 2, 3)]
    assert costs[1] < left * costs[0]
    assert costs[2] < costs[1]


def test_refinement_makes_the_same_bytes_every_time(codec: Codec, photograph: Any) -> None:
    first = codec.encode(photograph, effort=2)
    assert codec.encode(photograph, effort=2) == first
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
    plain, refined = (codec.encode(pixels, effort=effort) for effort in (1, 2))
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
    """Windows of one cell, bands and tiles of two, gain nearly what one window gains."""
    pixels = np.tile(photograph, (2, 2, 1))[:200, :190]
    plain, whole = (cost(codec, pixels, codec.encode(pixels, effort=e)) for e in (1, 2))
    monkeypatch.setattr(refine, "WINDOW", 1)
    monkeypatch.setattr(layout, "TILE", (2, 2))
    seen: list[tuple[float, float]] = []
    data = codec.encode(pixels, effort=2, progress=lambda *shares: seen.append(shares))
    tiled = cost(codec, pixels, codec.encode(pixels))  # more tiles take some bytes of their own
    assert tiled - cost(codec, pixels, data) > 0.7 * (plain - whole)
    done, left = zip(*seen, strict=True)
    assert len(done) == 16 * 10 - 4 * 10
    assert list(done) == sorted(done)
    assert done[-1] == 1
    assert 0.5 < left[-1] < 1
    assert left[0] <= 1


def test_a_target_is_met_at_a_higher_quality(codec: Codec, photograph: Any) -> None:
    plain, refined = (codec.encode(photograph, target_bytes=1500, effort=effort) for effort in (1, 2))
    assert 1470 <= len(refined) <= 1500
    assert nicodec.info(refined).quality > nicodec.info(plain).quality


def test_a_codec_through_torch_refines_as_well(photograph: Any) -> None:
    codec = Codec(device="cpu-torch")
    plain, refined = (codec.encode(photograph, effort=effort) for effort in (1, 2))
    assert cost(codec, photograph, refined) < 0.98 * cost(codec, photograph, plain)


def test_what_is_drawn_lies_between_two_integers_and_nearer_to_the_nearer() -> None:
    r = torch.tensor([-1.8, -0.1, 0.0, 0.3, 2.95]).repeat(4000, 1)
    made = refine.drawn(r, torch.Generator().manual_seed(0))
    low = torch.floor(r)
    assert ((made >= low) & (made <= low + 1)).all()
    assert torch.equal(torch.floor(made.mean(0) + 0.5), torch.tensor([-2.0, 0.0, 0.0, 0.0, 3.0]))


def test_what_is_drawn_has_a_gradient() -> None:
    r = torch.tensor([0.2, 1.5, -3.4], requires_grad=True)
    refine.drawn(r, torch.Generator().manual_seed(0)).sum().backward()
    assert (r.grad > 0).all()


def test_the_cost_weighs_bits_against_error() -> None:
    """Of a file of 10 bytes whose samples of a range of one are off by a tenth."""
    refiner = SimpleNamespace(device="cpu", model=SimpleNamespace(gain=lambda hat: hat))
    picture: Any = refine.Refinement(refiner, Picture(np.zeros((6, 5, 3), np.uint8)), 5000, 0, lambda done, cost: None)  # type: ignore[arg-type]
    error = 255**2 * 6 * 5 * 0.01
    assert picture.cost(10, 20.0) == pytest.approx(80 + quantize.lambda_of(5000) * error)
