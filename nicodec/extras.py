"""Packages outside the plain install: loaded when they are needed, or named in an error.

Beside `errors`; every room that needs such a package asks here.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from nicodec.errors import MissingExtra


def load(module: str, extra: str, wish: str) -> Any:
    """A module that comes with an extra of nicodec. wish: the feature that needs it. Raises MissingExtra."""
    try:
        return import_module(module)
    except ImportError as error:
        raise missing((error.name or module).partition(".")[0], extra, wish) from error


def is_installed(package: str) -> bool:
    """Whether a package is installed. Loads nothing."""
    try:
        return find_spec(package) is not None
    except ValueError:  # a module of this name was put into sys.modules without a spec
        return False


def missing(package: str, extra: str, wish: str) -> MissingExtra:
    """The error that names the extra to install."""
    return MissingExtra(f"{wish} needs {package}: pip install 'nicodec[{extra}]'")
