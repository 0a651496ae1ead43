"""The bytes of a .nicmodel file: read as they were written, or refused as a BadModel, never half believed."""

import contextlib
import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sealing import META, entry, model_bytes, raw, resealed

from nicodec.errors import BadModel
from nicodec.model import modelfile
from nicodec.model.checkpoint import find, load
from nicodec.model.config import NETWORKS
from nicodec.model.modelfile import MAX_HEADER, identity, parse


def test_a_file_is_read_as_it_was_written() -> None:
    metadata, tensors = parse(model_bytes(), "m")
    assert metadata == META | {"sha256": metadata["sha256"]}
    assert list(tensors) == ["log_gain", "spread"]
    assert tensors["log_gain"].dtype == np.float32
    assert tensors["log_gain"].tobytes() == bytes(range(8))
    assert tensors["log_gain"].shape == (2, 1)
    assert tensors["spread"].tolist() == [0x0908, 0x0B0A]
    assert not tensors["log_gain"].flags.writeable


def test_safetensors_reads_the_released_file() -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    path = find("photo")
    ours, theirs = load(path).tensors, safetensors.load_file(path)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert array.dtype == ours[name].dtype
        assert np.array_equal(array, ours[name])


def test_what_safetensors_writes_is_read() -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    arrays = {name: np.arange(6).reshape(2, 3).astype(np.dtype(kind)) for name, kind in modelfile.DTYPES.items()}
    arrays |= {"scalar": np.array(3, np.int32), "nothing": np.zeros((0, 5), np.float32)}
    metadata, tensors = parse(modelfile.sealed(safetensors.save(arrays, META)), "m")
    assert metadata == META | {"sha256": metadata["sha256"]}
    assert tensors.keys() == arrays.keys()
    for name, array in arrays.items():
        assert tensors[name].dtype == array.dtype
        assert tensors[name].shape == array.shape
        assert np.array_equal(tensors[name], array)


def test_every_prefix_is_refused() -> None:
    data = model_bytes()
    for end in range(len(data)):
        with pytest.raises(BadModel):
            parse(data[:end], "m")
    with pytest.raises(BadModel, match="left over"):
        parse(data + b"\0", "m")


@pytest.mark.parametrize(
    "entries",
    [
        entry(shape=[11]), entry(shape=[13]), entry(shape=[3, 5]), entry(shape=[-12]), entry(shape=[-3, -4]),
        entry(shape=[12.0]), entry(shape=["12"]), entry(shape=[True] * 3), entry(shape="12"),
        entry(shape=12), entry(shape=None), entry(shape=[1] * 9 + [12]),
        entry(shape=[2**62, 4, 12]), entry(shape=[10**300, 0]),
        entry(shape=[float("inf")]), entry(shape=[[12]]), entry(shape=[12, 0]),
        entry(offsets=[0, 11]), entry(offsets=[1, 12]), entry(offsets=[0, 13]), entry(offsets=[12, 0]),
        entry(offsets=[-12, 0]), entry(offsets=[0.0, 12.0]), entry(offsets=[0]), entry(offsets=[0, 12, 24]),
        entry(offsets="ab"), entry(offsets=None), entry(offsets=[False, 12]), entry(offsets=[0, 10**300]),
        entry(offsets={}), entry(dtype="F64"), entry(dtype=None), entry(dtype=["U8"]),
        {}, {"x": {}}, {"x": 1}, {"x": None}, {"x": [1, 2]},
        entry(shape=[8], offsets=[0, 8]) | {"hole": entry(shape=[3], offsets=[9, 12])["x"]},
        entry(shape=[8], offsets=[0, 8]) | {"overlap": entry(shape=[5], offsets=[7, 12])["x"]},
        entry() | {"again": entry()["x"]},
        entry() | {"mixed": entry(offsets=["0", "12"])["x"]},
    ],
    ids=str,
)  # fmt: skip
def test_arrays_that_do_not_tile_the_file_are_refused(entries: Any) -> None:
    assert parse(model_bytes(entry()), "m")[1]["x"].tolist() == list(range(12))
    with pytest.raises(BadModel, match=r"^m: "):
        parse(model_bytes(entries), "m")


@pytest.mark.parametrize(
    "header",
    [b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"{}", b'{"__metadata__": null}',
     b"[" * 100_000, b'{"a":' * 100_000, b'{"__metadata__": []}', b'{"__metadata__": {"format": "pickle"}}',
     b'{"__metadata__": {"format": ["nicmodel-1"]}}', b"9" * 5000, b"NaN"],
    ids=lambda h: repr(h[:40]),
)  # fmt: skip
def test_headers_that_are_not_ours_are_refused(header: bytes) -> None:
    with pytest.raises(BadModel, match="not a nicodec model"):
        parse(raw(header), "m")


def test_a_header_is_limited() -> None:
    header = json.dumps({"__metadata__": META}).encode()
    assert parse(resealed(raw(header.ljust(MAX_HEADER))), "m")[1] == {}
    for data in (raw(header.ljust(MAX_HEADER + 1)), b"\xff" * 8 + header):
        with pytest.raises(BadModel):
            parse(data, "m")


@given(st.data())
def test_any_damage_is_read_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(model_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(BadModel):
        parse(bytes(damaged), "m")


# The seal


def test_the_seal_is_the_hash_of_the_file_with_zeros_in_its_place() -> None:
    data = model_bytes()
    metadata, _ = parse(data, "m")
    assert hashlib.sha256(data.replace(metadata["sha256"].encode(), b"0" * 64)).hexdigest() == metadata["sha256"]


def test_a_bit_that_is_changed_anywhere_is_noticed() -> None:
    data = model_bytes()
    for at in range(len(data)):
        for bit in (1, 128):
            damaged = bytearray(data)
            damaged[at] ^= bit
            with pytest.raises(BadModel):
                parse(bytes(damaged), "m")
    with pytest.raises(BadModel, match=r"^m: the file is damaged: its sha256 is not the one that it states$"):
        parse(data[:-1] + b"\xff", "m")


@pytest.mark.parametrize("seal", [None, 5, "", "0" * 63, "0" * 64, "f" * 64, ["0" * 64], "\u00e9" * 64], ids=repr)
def test_a_file_without_its_seal_is_refused(seal: Any) -> None:
    data = raw(json.dumps({"__metadata__": META | {"sha256": seal}} | entry()).encode(), bytes(12))
    with pytest.raises(BadModel, match=r"^m: "):
        parse(data, "m")
    bare = {name: value for name, value in META.items() if name != "sha256"}
    with pytest.raises(BadModel, match="not a nicodec model"):
        parse(raw(json.dumps({"__metadata__": bare} | entry()).encode(), bytes(12)), "m")


@pytest.mark.parametrize("field", [{"licence": 5}, {"restores": 5}, {"decodes": ["x"]}, {"made": None}], ids=repr)
def test_all_metadata_are_texts(field: dict[str, Any]) -> None:
    data = resealed(raw(json.dumps({"__metadata__": META | field} | entry()).encode(), bytes(12)))
    with pytest.raises(BadModel, match="its metadata are not texts"):
        parse(data, "m")


# The id

CONFIG = NETWORKS["fast"]
DECODER = ("context.fuse.weight", "g_s.head.bias", "h_mu.up1.weight", "h_sigma.layers.0.scale", "log_gain", "spread",
           "tables.y.low")  # fmt: skip
OTHERS = ("familiar", "g_a.head.bias", "graph.g_s", "graph.g_s.weights", "h_a.embed.weight", "halos", "preview.bias",
          "natural.head.bias", "thresholds", "z_prior.mean", "filter.weight")  # fmt: skip


def small(*names: str) -> modelfile.Tensors:
    return {name: np.arange(6, dtype=np.float32).reshape(2, 3) for name in names}


def test_the_id_is_that_of_the_document() -> None:
    text = (
        '[{"blocks_s":2,"context":96,"context_blocks":1,"hyper":64,"latent":512,"latent_blocks_s":1,"linear":272,'
        '"width":96,"z":48},[["log_gain","F32",[2,3]],["spread","F32",[2,3]]]]'
    )
    numbers = np.arange(6, dtype="<f4").tobytes()
    assert identity(CONFIG, small("spread", "log_gain")) == hashlib.sha256(text.encode() + 2 * numbers).hexdigest()


@pytest.mark.parametrize("name", DECODER)
def test_whatever_decides_what_a_file_means_changes_the_id(name: str) -> None:
    tensors = small(*DECODER)
    first = identity(CONFIG, tensors)
    assert identity(CONFIG, tensors | {name: tensors[name] + 1}) != first
    assert identity(CONFIG, tensors | {name: tensors[name].reshape(3, 2)}) != first
    assert identity(CONFIG, tensors | {name: tensors[name].view(np.int32)}) != first
    assert identity(CONFIG, {other: value for other, value in tensors.items() if other != name}) != first
    for field in ("latent", "z", "blocks_s", "context_blocks", "linear"):
        assert identity(replace(CONFIG, **{field: 7}), tensors) != first


def test_nothing_else_changes_the_id() -> None:
    tensors = small(*DECODER)
    first = identity(CONFIG, tensors)
    assert identity(replace(CONFIG, blocks_a=9, latent_blocks_a=9, repair=9), tensors | small(*OTHERS)) == first
    assert identity(CONFIG, dict(reversed(tensors.items()))) == first


def test_every_tensor_of_a_released_model_is_one_or_the_other() -> None:
    """A new kind of tensor has to be put on one side."""
    names = load(find("photo")).tensors.keys()
    others = ("familiar", "g_a.", "graph.", "h_a.", "halos", "natural.", "preview.", "thresholds", "z_prior.")
    assert [name for name in names if name.startswith(modelfile.DECODER) == name.startswith(others)] == []
