"""Previews: small pictures from the latent alone, about what the whole comes to when reduced."""

from typing import Any

import numpy as np
import pytest
from program import Run

import nicodec
from nicodec.bitstream import container
from nicodec.bitstream.container import Kind
from nicodec.codec import Codec
from nicodec.coding import layout
from nicodec.model.backends import OnnxNetworks as Networks
from nicodec.picture import metrics


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(threads=1)


@pytest.fixture(scope="module")
def picture() -> Any:
    """239x157 with smooth parts, edges and noise."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:157, :239]
    planes = [128 + 70 * np.sin(x / (17 + p)) * np.cos(y / 23) + 50 * ((x + 2 * y) // 60 % 2) for p in range(3)]
    return np.clip(np.stack(planes, -1) + rng.normal(0, 5, (157, 239, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("quality", "least"), [(5, 32), (50, 38), (95, 40)])
def test_a_preview_is_about_the_whole_reduced(codec: Codec, picture: Any, quality: float, least: float) -> None:
    data = codec.encode(picture, quality=quality)
    small = codec.decode(data, scale=1 / 8)
    assert small.size == (30, 20)
    whole = codec.decode(data).reduce(8)
    assert metrics.psnr(np.asarray(small)[:-1, :-1], np.asarray(whole)[:-1, :-1]) > least


def test_a_preview_needs_no_synthesis(codec: Codec, picture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(picture)
    monkeypatch.setattr(Networks, "g_s", None)
    codec.decode(data, scale=1 / 8)
    with pytest.raises(TypeError):
        codec.decode(data)


def test_windows_make_no_difference_to_a_preview(codec: Codec, picture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(picture)
    whole = np.asarray(codec.decode(data, scale=1 / 8)).astype(int)
    monkeypatch.setattr(layout, "PREVIEW_WINDOW", 1)
    pieces = np.asarray(codec.decode(data, scale=1 / 8)).astype(int)
    assert np.abs(whole - pieces).max() <= 1


def test_a_preview_keeps_gray_alpha_and_metadata(codec: Codec, picture: Any) -> None:
    alpha = np.where(np.arange(239) < 120, 255, 0).astype(np.uint8)
    clear = np.dstack([picture, np.broadcast_to(alpha, (157, 239))])
    image = codec.decode(codec.encode(clear), scale=1 / 8)
    assert image.mode == "RGBA"
    assert np.asarray(image)[:, 0, 3].tolist() == [255] * 20
    assert np.asarray(image)[:, -1, 3].tolist() == [0] * 20
    gray = codec.decode(codec.encode(picture[:, :, 0]), scale=1 / 8)
    assert gray.mode == "L"
    source = codec.decode(codec.encode(picture))
    source.info["xmp"] = b"<x/>"
    assert codec.decode(codec.encode(source), scale=1 / 8).info["xmp"] == b"<x/>"


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (64, 65), (3, 200)])
def test_the_sides_of_a_preview_are_rounded_up(codec: Codec, picture: Any, size: tuple[int, int]) -> None:
    height, width = size
    source = np.resize(picture, (height, width, 3))
    small = codec.decode(codec.encode(source), scale=1 / 8)
    assert small.size == (-(-width // 8), -(-height // 8))


def test_damage_is_noticed(codec: Codec, picture: Any) -> None:
    header, chunks = container.unpack(codec.encode(picture))
    z = chunks[0].payload
    forged = container.pack(header, [container.Chunk(Kind.Z, z[:-1] + bytes([z[-1] ^ 64])), *chunks[1:]])
    with pytest.raises(nicodec.NicError):
        codec.decode(forged, scale=1 / 8)


@pytest.mark.parametrize("wrong", [{"scale": 0.5}, {"scale": 1 / 8, "region": (0, 0, 8, 8)}, {"scale": "x"}])
def test_other_scales_are_refused(codec: Codec, picture: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(nicodec.NicError, match="scale"):
        codec.decode(codec.encode(picture), **wrong)


def test_the_command_line_writes_a_preview(run: Run, here: Any) -> None:
    run("encode", "a.png")
    assert run("decode", "a.nic", "small.png", "--preview")[2] == "a.nic -> small.png: 8x5 RGB\n"
    assert run("decode", "a.nic", "--preview", "--region", "0,0,4,4")[0] == 2
