"""Vectors that are kept for ever: every release decodes them all, and so does a decoder of another make."""

import hashlib
import json
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import independent_decoder
import numpy as np
import png
import pytest
from PIL import Image

from nicodec import api, codec
from nicodec.bitstream import container
from nicodec.bitstream.container import Chunk, Kind
from nicodec.coding import beside
from nicodec.errors import NicError
from nicodec.model import shelf

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "tests" / "vectors"
VECTORS = sorted(path for path in FOLDER.glob("*") if path.is_dir())
NAMES = [path.name for path in VECTORS]


@lru_cache(maxsize=1)
def models(identity: str) -> tuple[codec.Codec, independent_decoder.Model]:
    found = codec.Codec(identity, threads=1)
    return found, independent_decoder.Model(found.checkpoint.path.read_bytes())


def load(vector: Path) -> tuple[bytes, dict[str, Any], Any]:
    """The file, what is expected, and the samples expected: int32 (H, W, channels), alpha last."""
    expected = json.loads((vector / "expect.json").read_text("utf-8"))
    with Image.open(vector / "picture.png") as picture:
        assert list(picture.size) == expected["size"]
        assert picture.info == {}
    _, height, rows, info = png.Reader(bytes=(vector / "picture.png").read_bytes()).read()
    assert (info["bitdepth"], info["greyscale"]) == (expected["depth"], expected["mode"] in ("L", "LA"))
    assert info["alpha"] == ("A" in expected["mode"])
    samples = np.array([list(row) for row in rows], np.int32).reshape(height, -1, info["planes"])
    return (vector / "file.nic").read_bytes(), expected, samples


def colours(samples: Any, expected: dict[str, Any]) -> Any:
    return samples[:, :, : 1 if expected["mode"] in ("L", "LA") else 3]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_no_vector_was_changed() -> None:
    lines = (FOLDER / "SHA256SUMS").read_text("utf-8").splitlines() if VECTORS else []
    files = [path for path in sorted(FOLDER.rglob("*")) if path.is_file() and path.parent != FOLDER]
    found = [f"{sha256(path.read_bytes())}  {path.relative_to(FOLDER).as_posix()}" for path in files]
    assert sorted(lines) == sorted(found)


def test_the_newest_model_of_each_name_has_vectors() -> None:
    manifest = ROOT / "checkpoints" / shelf.MANIFEST
    if not manifest.is_file():
        pytest.skip("no model is released")
    newest = {e["name"]: e["id"] for e in json.loads(manifest.read_text("utf-8"))["models"]}
    with_vectors = {load(vector)[1]["model"] for vector in VECTORS}
    assert set(newest.values()) <= with_vectors, "run `make vectors`"


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_codec(vector: Path) -> None:
    data, expected, samples = load(vector)
    ours, _ = models(expected["model"])
    picture = ours.decode(data)
    assert (list(picture.size), picture.mode) == (expected["size"], expected["mode"])
    dtype = np.uint16 if expected["depth"] == 16 else np.uint8
    decoded = np.atleast_3d(ours.decode(data, dtype=dtype)).astype(np.int32)
    if expected["depth"] == 8:
        assert np.array_equal(np.atleast_3d(np.asarray(picture)), decoded)
    difference = np.abs(colours(decoded, expected) - colours(samples, expected))
    assert difference.max() <= expected["peak_error"]
    assert np.array_equal(decoded[:, :, -1], samples[:, :, -1]) or "A" not in expected["mode"]

    if not expected["lossless"]:
        symbols = ours.symbols_of(container.unpack(data))
        z, r = symbols.z, symbols.whole()
        assert sha256(z.tobytes() + r.astype("<i2").tobytes()) == expected["symbols_sha256"]

    held = beside.metadata(container.unpack(data))
    found = {kind.name: getattr(held, name) for kind, name in beside.METADATA.items()}
    digests = {kind: sha256(blob) for kind, blob in found.items() if blob is not None}
    assert digests == expected["metadata_sha256"]

    told = api.info(data)
    assert [told.width, told.height] == expected["size"]
    assert (told.mode, told.quality, told.version) == (expected["mode"], expected["quality"], expected["version"])
    assert (told.depth, told.lossless) == (expected["depth"], expected["lossless"])
    assert list(told.tiles) == expected["tiles"]
    assert [kind for kind, _ in told.chunks] == expected["chunks"]
    assert sorted(told.metadata) == sorted(expected["metadata_sha256"])


FORGED = {
    "alpha, a byte behind its stream": ("alpha-plain", Kind.ALPHA, lambda old: old + b"\0"),
    "alpha, cut short": ("alpha-plain", Kind.ALPHA, lambda old: old[:-5]),
    "alpha, one sample too many": ("alpha-plain", Kind.ALPHA, lambda old: old[:1] + longer(old[1:])),
    "alpha, nothing": ("alpha-plain", Kind.ALPHA, lambda old: b""),
    "metadata, a byte behind its stream": ("metadata", Kind.XMP, lambda old: zipped(b"<x/>") + b"\0"),
    "metadata, too long": ("metadata", Kind.XMP, lambda old: zipped(bytes(2**26 + 1))),
    "metadata, stored in another way": ("metadata", Kind.XMP, lambda old: b"\2" + old[1:]),
    "patches, a byte behind": ("patches", Kind.PATCHES, lambda old: zipped(container.inflate(old)) + b"\0"),
    "flats, a byte behind": ("flats", Kind.FLATS, lambda old: zipped(container.inflate(old)) + b"\0"),
    "symbols of z, cut short": ("photograph", Kind.Z, lambda old: old[:-4]),
    "symbols of a tile, words too many": ("photograph", Kind.Y, lambda old: old + bytes(8)),
    "a correction that does not end": ("correction", Kind.CORRECTION, lambda old: old + b"\0"),
}


def zipped(plain: bytes) -> bytes:
    return b"\1" + zlib.compress(plain)


def longer(stream: bytes) -> bytes:
    return zlib.compress(zlib.decompress(stream) + b"\0")


@pytest.mark.parametrize(("name", "kind", "forge"), FORGED.values(), ids=FORGED)
def test_both_decoders_refuse_what_the_format_refuses(name: str, kind: Kind, forge: Callable[[bytes], bytes]) -> None:
    data, expected, _ = load(next(path for path in VECTORS if path.name.endswith(f"-{name}")))
    header, chunks = container.unpack(data)
    assert kind in [chunk.kind for chunk in chunks]
    forged = [Chunk(c.kind, forge(c.payload)) if c.kind == kind else c for c in chunks]
    ours, theirs = models(expected["model"])
    with pytest.raises(NicError):
        ours.decode(container.pack(header, forged))
    with pytest.raises(ValueError, match=r"."):
        independent_decoder.decode(container.pack(header, forged), theirs)


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_independent_decoder(vector: Path) -> None:
    data, expected, samples = load(vector)
    _, model = models(expected["model"])
    found = independent_decoder.decode(data, model)
    assert sha256(found.z.tobytes() + found.r.astype("<i2").tobytes()) == expected["symbols_sha256"]
    difference = np.abs(found.pixels.astype(np.int32) - colours(samples, expected))
    assert difference.max() <= expected["peak_error"]
    assert (found.alpha is not None) == ("A" in expected["mode"])
    assert found.alpha is None or np.array_equal(found.alpha, samples[:, :, -1])
    digests = {independent_decoder.METADATA[kind]: sha256(blob) for kind, blob in found.metadata.items()}
    assert digests == expected["metadata_sha256"]
