"""The codec through torch: the same files, the same pictures, the same errors."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import nicodec  # noqa: E402
from nicodec import Codec, container  # noqa: E402

VECTORS = Path(__file__).parent / "vectors"


@pytest.fixture(scope="module")
def ours() -> Codec:
    return Codec(threads=1)


@pytest.fixture(scope="module")
def theirs() -> Codec:
    return Codec(device="cpu-torch")


@pytest.fixture(scope="module")
def picture() -> Any:
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:130, :200]
    planes = [128 + 80 * np.sin(x / (7 + p)) * np.cos(y / 13) for p in range(3)]
    return np.clip(np.stack(planes, -1) + rng.normal(0, 4, (130, 200, 3)), 0, 255).astype(np.uint8)


def test_each_decodes_what_the_other_wrote(ours: Codec, theirs: Codec, picture: Any) -> None:
    for writer, reader in ((ours, theirs), (theirs, ours)):
        for quality in (0, 50, 100):
            data = writer.encode(picture, quality=quality)
            pictures = [np.asarray(c.decode(data)).astype(int) for c in (writer, reader)]
            assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_the_symbols_are_the_same(ours: Codec, theirs: Codec, picture: Any) -> None:
    """But for a rare coefficient on the border between two steps; scale indices exactly."""
    files = [c.encode(picture, quality=70) for c in (ours, theirs)]
    first, second = (ours.symbols_of(*container.unpack(data)) for data in files)
    assert (first.z != second.z).mean() < 1e-2
    assert (first.whole() != second.whole()).mean() < 1e-3


def test_conformance_vectors_decode(theirs: Codec) -> None:
    found = sorted(VECTORS.glob("*/file.nic"))
    mine = [p for p in found if container.unpack(p.read_bytes())[0].model == theirs.checkpoint.id]
    assert len(mine) >= 10
    for path in mine:
        theirs.decode(path.read_bytes())  # every symbol is held against the checksum


def test_previews_and_many(ours: Codec, theirs: Codec, picture: Any) -> None:
    data = ours.encode(picture)
    one, other = (np.asarray(c.decode(data, scale=1 / 8)).astype(int) for c in (ours, theirs))
    assert np.abs(one - other).max() <= 1
    assert len(list(theirs.encode_many([picture] * 3))) == 3


def test_devices_that_are_not_there(ours: Codec) -> None:
    with pytest.raises(nicodec.NicError, match="cannot be used"):
        Codec(device="nothing")
    if not torch.cuda.is_available():
        with pytest.raises(nicodec.NicError, match="cannot be used"):
            Codec(device="cuda")
    strange = replace(ours.checkpoint, config=ours.checkpoint.config | {"width": 8})
    with pytest.raises(nicodec.BadModel):
        Codec(strange, device="cpu-torch")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda(ours: Codec, picture: Any) -> None:
    theirs = Codec(device="cuda")
    data = theirs.encode(picture)
    one, other = (np.asarray(c.decode(data)).astype(int) for c in (ours, theirs))
    assert np.abs(one - other).max() <= 1
