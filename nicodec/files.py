"""Bytes → a file that is there whole or not at all; the last step of everything that writes.

Beside it, the reading of a file of sane size, and the one way in which error messages show a path.
"""

import os
import secrets
import stat
from contextlib import suppress

from nicodec.errors import BadFile, LimitExceeded, NicError

# A file larger than this is not read into memory.
MAX_BYTES = 2**30


def shown(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """A path as it stands in a message: itself if it prints on one line, else with escapes."""
    name = os.fsdecode(path)
    return name if name.isprintable() else ascii(name)


def is_nic(name: str) -> bool:
    """Whether a name is that of a .nic file."""
    return name.lower().endswith(".nic")


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a .nic file. Raises BadFile if it cannot be read, LimitExceeded past `MAX_BYTES`."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadFile(f"{shown(path)}: {reason}") from None
    if len(data) > MAX_BYTES:
        raise LimitExceeded(f"{shown(path)}: larger than {MAX_BYTES:,} bytes")
    return data


def atomic_write(path: str | os.PathLike[str], data: bytes, *, overwrite: bool) -> None:
    """Write `data` to `path` through a temporary name in the same folder.

    Until the whole is written nothing stands at `path` but what stood there before, and a failure leaves
    nothing behind. A new file gets the permissions that the umask gives; one that is replaced keeps its
    own. A link is followed. Without `overwrite` a file that exists is left alone, even one made by somebody
    else meanwhile.

    Raises NicError, which names the path: it exists, it is a folder or a device, or the system refused.
    """
    try:
        _replace(os.path.realpath(path), data, overwrite)
    except FileExistsError as error:
        raise NicError(f"{shown(path)}: exists already and was left as it is") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NicError(f"{shown(path)}: cannot be written: {reason}") from error


def _replace(target: str, data: bytes, overwrite: bool) -> None:
    mode = _mode(target)
    if mode is not None and not stat.S_ISREG(mode):
        raise OSError(None, "it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file")
    if mode is not None and not overwrite:
        raise FileExistsError(target)

    # A short name of our own: one made from the target's could be too long for the file system.
    temporary = os.path.join(os.path.dirname(target), f".{secrets.token_hex(8)}.nic.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        if overwrite:
            os.replace(temporary, target)
        else:
            _place_new(temporary, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def _mode(target: str) -> int | None:
    try:
        return os.stat(target).st_mode
    except FileNotFoundError:
        return None


def _place_new(temporary: str, target: str) -> None:
    """Move to a name that must be free: a hard link tests and takes it in one step, a rename replaces."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: the test and the move are two steps there
        if os.path.lexists(target):
            raise FileExistsError(target) from None
        os.replace(temporary, target)
