"""The maker of conformance vectors: it covers the format, adds, and never changes what is there."""

import json
from dataclasses import replace
from pathlib import Path

import conformance
import numpy as np
import pytest

from nicodec import NicError
from nicodec.bitstream.container import Kind, unpack
from nicodec.coding.correction import features
from nicodec.model import checkpoint
from nicodec.model.checkpoint import Checkpoint

pytest.importorskip("skimage", reason="needs the photographs of the extra [bench]")

FILES = ("file.nic", "picture.png", "expect.json")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("vectors")
    (folder / conformance.SUMS).write_text("0  older/file.nic\n")
    return folder, conformance.write(folder, with_filters(checkpoint.load(checkpoint.find("photo"))))


def with_filters(found: Checkpoint) -> Checkpoint:
    """The same model with a basis of corrections, which it may lack."""
    basis = np.eye(3 * features(3), dtype=np.float32).reshape(-1, 3, features(3))
    added = {"correction.basis": basis, "correction.widths": np.zeros(len(basis), np.int8)}
    return replace(found, tensors={**found.tensors, **added})


def test_vectors_have_every_feature(made: tuple[Path, list[Path]]) -> None:
    _, paths = made
    headers, chunks = zip(*(unpack((path / "file.nic").read_bytes()) for path in paths), strict=True)
    assert {header.channels for header in headers} == {1, 3}
    assert {0, 10000} <= {header.quality for header in headers}
    assert any(header.quality % 100 for header in headers)
    assert (1, 1) in {(header.width, header.height) for header in headers}
    assert {header.version[1] > 0 for header in headers} == {False, True}
    assert len({header.tile for header in headers}) > 1
    payloads = {kind: [c.payload for part in chunks for c in part if c.kind == kind] for kind in range(256)}
    assert all(payloads[kind] for kind in (*Kind, 0xFF))
    assert {payload[0] for payload in payloads[Kind.ALPHA]} == {0, 1, 2, 3}
    metadata = payloads[Kind.ICC] + payloads[Kind.EXIF] + payloads[Kind.XMP]
    assert {payload[0] for payload in metadata} == {0, 1}
    assert {payload[0] > 0 for payload in payloads[Kind.Y]} == {False, True}  # length of the escapes
    assert any(sum(c.kind == Kind.Y for c in part) > 1 for part in chunks)


def test_vectors_have_their_names_and_digests_and_stay_small(made: tuple[Path, list[Path]]) -> None:
    folder, paths = made
    identity = with_filters(checkpoint.load(checkpoint.find("photo"))).identity
    assert all(path.parent == folder and path.name.startswith(identity[:8] + "-") for path in paths)
    assert all(json.loads((path / "expect.json").read_text())["model"] == identity for path in paths)
    lines = (folder / conformance.SUMS).read_text().splitlines()
    assert lines[0] == "0  older/file.nic"
    assert [line.split("  ")[1] for line in lines[1:]] == [f"{p.name}/{n}" for p in paths for n in FILES]
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 300_000


def test_vectors_that_exist_are_left_alone(made: tuple[Path, list[Path]]) -> None:
    folder, _ = made
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(NicError, match="never change"):
        conformance.write(folder, with_filters(checkpoint.load(checkpoint.find("photo"))))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "_png", lambda coder, data: 1 / 0)
    monkeypatch.setattr(conformance, "files", lambda coder: {"one": b""})
    with pytest.raises(ZeroDivisionError):
        conformance.write(tmp_path / "vectors", "photo")
    assert not (tmp_path / "vectors").exists()
