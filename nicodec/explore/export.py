"""An index -> one file for other programs: NumPy or Parquet.

Beside `search`; under the command `index`.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from nicodec import extras
from nicodec.explore.index import Index


def numpy_file(index: Index) -> bytes:
    """An .npz without pickles: path, encoder, size, width, height (N,), hash uint8 (N, 64), vector float16 (N, ...)."""
    buffer = io.BytesIO()
    columns = _columns(index)
    np.savez_compressed(buffer, **columns, encoder=np.array(index.encoder))
    return buffer.getvalue()


def parquet_file(index: Index) -> bytes:
    """The same columns as Parquet; hash and vector are lists. Raises MissingExtra without pyarrow."""
    arrow = extras.load("pyarrow", "ray", "Parquet")
    parquet = extras.load("pyarrow.parquet", "ray", "Parquet")
    columns: dict[str, Any] = dict(_columns(index))
    for name in ("hash", "vector"):
        values = columns[name]
        flat = arrow.array(values.reshape(-1).astype(np.float32 if name == "vector" else np.uint8))
        columns[name] = arrow.FixedSizeListArray.from_arrays(flat, values.shape[1])
    table = arrow.table(columns).replace_schema_metadata({"encoder": index.encoder})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


def _columns(index: Index) -> dict[str, Any]:
    parts = list(index.blocks())
    entries = [entry for part in parts for entry in part[0]]
    # A name that is no text has escapes in place of its bytes, because neither format holds these.
    paths = [entry.path.encode("utf-8", "backslashreplace").decode() for entry in entries]
    return {
        "path": np.array(paths, dtype=np.str_),
        "size": np.array([entry.size for entry in entries], np.int64),
        "width": np.array([entry.width for entry in entries], np.int64),
        "height": np.array([entry.height for entry in entries], np.int64),
        "hash": np.concatenate([part[1] for part in parts] or [np.zeros((0, 64), np.uint8)]),
        "vector": np.concatenate([part[2] for part in parts] or [np.zeros((0, 1), np.float16)]),
    }
