"""Model files for tests: made of a few bytes, or changed and sealed again, as their makers would."""

import json
import re
from dataclasses import asdict
from typing import Any

from nicodec.model import modelfile
from nicodec.model.config import NETWORKS
from nicodec.model.modelfile import FORMAT, UNSEALED

META = {"format": FORMAT, "sha256": UNSEALED, "name": "mine", "config": json.dumps(asdict(NETWORKS["fast"]))}


def model_bytes(entries: Any = None, body: bytes = bytes(range(12)), meta: Any = META) -> bytes:
    """A file of two small arrays, or of a header as given."""
    entries = entries if entries is not None else {
        "log_gain": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
        "spread": {"dtype": "I16", "shape": [2], "data_offsets": [8, 12]},
    }  # fmt: skip
    return resealed(raw(json.dumps({"__metadata__": meta} | entries).encode(), body))


def raw(header: bytes, body: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + body


def entry(*, dtype: Any = "U8", shape: Any = (12,), offsets: Any = (0, 12)) -> dict[str, Any]:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


def resealed(data: bytes) -> bytes:
    """A model file whose bytes were changed -> the same with the right seal, if it has a place for one."""
    opened = re.sub(rb'("sha256": ?)"[0-9a-f]{64}"', rb'\1"' + UNSEALED.encode() + rb'"', data, count=1)
    return modelfile.sealed(opened) if UNSEALED.encode() in opened else opened


def with_another_id(data: bytes) -> bytes:
    """A model file -> the same model but for the last bit of a spread, which hardly changes its pictures."""
    spread = modelfile.parse(data, "a model")[1]["spread"].tobytes()
    other = resealed(data.replace(spread, spread[:-4] + bytes([spread[-4] ^ 1]) + spread[-3:]))
    metadata, tensors = modelfile.parse(other, "a model")
    own = modelfile.identity(modelfile.config_of(metadata, "a model"), tensors)
    return resealed(other.replace(metadata["id"].encode(), own.encode())) if "id" in metadata else other
