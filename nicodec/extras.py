"""What needs torch, which is not a part of the runtime: found when it is asked for, or said to be missing.

Beside `codec`, for other devices and for efforts above 1.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from nicodec.errors import MissingExtra


def from_torch(name: str, wish: str) -> Any:
    """A module of `nicodec.train`. wish: what it is for. Raises MissingExtra."""
    try:
        return import_module(f"nicodec.train.{name}")
    except ImportError as error:
        raise _missing(wish, error.name) from None


def check_effort(effort: int) -> None:
    """Raises the MissingExtra that `Codec.encode` would, before any picture is read; loads nothing."""
    try:
        found = effort == 1 or find_spec("torch")
    except ValueError:  # its place among the modules was taken by something else
        found = None
    if not found:
        raise _missing(f"effort={effort}", "torch")


def _missing(wish: str, name: str | None) -> MissingExtra:
    return MissingExtra(f"{wish} needs {name}: pip install 'nicodec[train]'")
