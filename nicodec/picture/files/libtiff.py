"""What libtiff says while Pillow decodes: counted here, not printed to the standard error of the program.

Under `reader`. libtiff writes past Python, a line for each fault, and decodes on.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import _imaging

_Handler = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)  # module, format, va_list
_SETTERS = ("TIFFSetErrorHandler", "TIFFSetWarningHandler")

_lock = threading.Lock()
_depth = 0  # calls of `listened` that are not over
_before: list[tuple[Any, int | None]] = []  # setters, each with the handler before ours
_faults: defaultdict[int, int] = defaultdict(int)  # thread -> faults


def _forked() -> None:
    global _lock
    _lock = threading.Lock()  # another thread may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _count(module: int, form: int, values: int) -> None:
    _faults[threading.get_ident()] += 1


def _ignore(module: int, form: int, values: int) -> None:
    pass


_HANDLERS = (_Handler(_count), _Handler(_ignore))


def _setters() -> list[Any]:
    """The functions of the libtiff of Pillow. It is looked for among what Pillow's own library brought with it.

    That finds it where libtiff is a shared library: not on Windows, where it goes on printing.
    """
    try:
        library = ctypes.CDLL(_imaging.__file__)
        found = [getattr(library, name) for name in _SETTERS]
    except (OSError, AttributeError, TypeError):
        return []
    for setter in found:
        setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
    return found


@contextmanager
def listened(notes: list[str]) -> Iterator[None]:
    """Adds one line to `notes` if libtiff reports faults inside, in this thread. Its handlers come back after it."""
    global _depth
    me = threading.get_ident()
    with _lock:
        _depth += 1
        if _depth == 1:
            for setter, handler in zip(_setters(), _HANDLERS, strict=False):
                _before.append((setter, setter(ctypes.cast(handler, ctypes.c_void_p))))
    _faults.pop(me, None)
    try:
        yield
    finally:
        count = _faults.pop(me, 0)
        with _lock:
            _depth -= 1
            if _depth == 0:
                for setter, earlier in _before:
                    setter(earlier)
                _before.clear()
    if count:
        notes.append(f"a damaged TIFF, whose decoder had to guess, so parts may be wrong: libtiff found {count} faults")
