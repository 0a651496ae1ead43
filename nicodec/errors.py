"""The errors that nicodec raises on purpose about an input, a file or a model.

Under all other modules; it imports nothing of the package.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias


class NicError(Exception):
    """Base of these errors. Its text is one line for a person.

    exit_code: the exit status of the command line.
    """

    exit_code = 3


class BadImage(NicError):
    """The picture to encode cannot be read or coded."""


class BadFile(NicError):
    """The bytes are not a whole, well-formed .nic file."""


class ChecksumMismatch(BadFile):
    """A checksum differs: the bytes are damaged, or they decode to other symbols than those encoded."""


class LimitExceeded(NicError):
    """A size in the input passes a safety limit."""


class TargetMissed(NicError):
    """No quality keeps to the target, neither the most bytes nor the least PSNR."""


class UnsupportedVersion(NicError):
    """The file has a format version, or needs a feature, that this release cannot decode."""

    exit_code = 4


class ModelNotFound(NicError):
    """No model that can be found has the wanted name or id."""


class BadModel(NicError):
    """The model file is damaged, or not a nicodec model."""


class MissingExtra(NicError):
    """An optional dependency is needed; the message names the extra to install."""

    exit_code = 4


def one_line(error: Exception) -> str:
    """The message of another library's error, on one line of at most 200 characters."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200]


Told: TypeAlias = list[tuple[str, type[Warning]]]
_held: ContextVar[Told | None] = ContextVar("held", default=None)


@contextmanager
def holding() -> Iterator[Told]:
    """Collects the warnings of this thread instead of giving them: of work whose result may not be kept."""
    told: Told = []
    before = _held.set(told)
    try:
        yield told
    finally:
        _held.reset(before)


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the program that called nicodec, whichever way the call took inside."""
    held = _held.get()
    if held is not None:
        held.append((text, category))
        return
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("nicodec", "PIL"):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level + 1)


@contextmanager
def naming(*names: str) -> Iterator[None]:
    """Puts the first name before each NicError that begins with none of the names."""
    try:
        yield
    except NicError as error:
        text = str(error)
        if names and not text.startswith(tuple(f"{name}:" for name in names)):
            error.args = (f"{names[0]}: {text}",)
        raise
