"""The conditions of a benchmark: versions, processor, load, and the sha256 of the model.

Under `run`; `report` writes them into results.json.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from nicodec.bench import coders
from nicodec.bench.report import WINDOW
from nicodec.errors import ModelNotFound
from nicodec.model import backends, checkpoint

_PACKAGES = ("nicodec", "numpy", "pillow", "onnxruntime", "constriction", "bjontegaard", "pillow-jxl-plugin")


def conditions(model: str, further: Sequence[str], points: int, threads: int) -> dict[str, Any]:
    """All conditions, for JSON. The arguments are those of `run`."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    versions |= coders.versions()
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "model": model,
        "model_sha256": _sha256(model),
        "further": {coders.FURTHER + other: _sha256(other) for other in further},
        "points_per_codec": points,
        "threads": threads,
        "backend": backends.chosen(None),
        "bd_rate": f"bjontegaard, Akima; window {WINDOW[0]:g} to {WINDOW[1]:g} bpp of the tested codec",
        "cpu": _cpu(),
        "cpu_count": os.cpu_count(),
        "load_average_before": load_average(),
        "system": platform.platform(),
        "versions": versions,
    }


def _sha256(model: str) -> str | None:
    """The sha256 of the model that the name stands for; None if there is no such model."""
    try:
        return checkpoint.load(checkpoint.find(model)).sha256
    except ModelNotFound:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def load_average() -> list[float] | None:
    return [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None
