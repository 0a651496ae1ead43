"""The state of a run on disk: weights, best weights, held-out pictures, counters; atomic, and never pickled.

Beside `loop`, which goes on from it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nicodec.errors import BadFile, NicError, one_line
from nicodec.storage.files import shown
from nicodec.train.held import Held

STATE_VERSION = 2
MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def read_meta(path: Path) -> dict[str, Any]:
    """Metadata of a state file, without reading the rest; raises BadFile if it is not one."""
    try:
        with safe_open(path, "pt") as f:
            meta: dict[str, Any] = json.loads((f.metadata() or {})["nicodec"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise BadFile(f"{shown(path)}: not a training state ({error})") from None
    version = meta.get("version") if isinstance(meta, dict) else None
    if version != STATE_VERSION:
        raise BadFile(f"{shown(path)}: a training state of version {version}, not {STATE_VERSION}")
    return meta


def read_progress(meta: dict[str, Any], path: Path) -> tuple[int, float]:
    """Steps of the schedule that are done, and the share of its seconds, 0 to 1; raises BadFile without them."""
    try:
        return int(meta["schedule_step"]), min(1.0, max(0.0, meta["spent"] / meta["length"]))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise BadFile(f"{shown(path)}: not a training state ({error})") from None


def read_state(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Metadata and tensors of a state file; raises BadFile if it is not one."""
    meta = read_meta(path)
    try:
        with safe_open(path, "pt") as f:
            return meta, {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise BadFile(f"{shown(path)}: not a training state ({error})") from None


def read_held(path: Path) -> Held:
    """The pictures that a run holds out; raises BadFile if the file is no state."""
    meta = read_meta(path)
    try:
        with safe_open(path, "np") as f:
            names = [name for name in f.keys() if name.startswith("held.")]  # noqa: SIM118 (not a dict)
            names.sort(key=lambda name: int(name.removeprefix("held.")))  # "held.100" comes after "held.11"
            return Held.of(meta["held"], [f.get_tensor(name) for name in names])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BadFile(f"{shown(path)}: not a training state ({error})") from None


def write_state(path: Path, meta: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write a state file whole or not at all. Raises NicError if it cannot be written; what was there stays."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    try:
        save_file(tensors, temporary, metadata={"nicodec": json.dumps(meta, allow_nan=False)})
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        kept = "; the state before is kept" if path.exists() else ""
        raise NicError(f"{shown(path)}: the state cannot be written ({one_line(error)}){kept}") from None
    finally:
        with suppress(OSError):
            temporary.unlink()
