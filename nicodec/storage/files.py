"""Files of this machine: read at a sane size, and written whole or not at all.

The first of the stores; everything that writes goes through `atomic_write`. `shown` is the one way in which
messages show a path.
"""

import glob
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from io import RawIOBase
from typing import BinaryIO, TypeAlias

from nicodec import errors
from nicodec.errors import BadFile, LimitExceeded, NicError, one_line
from nicodec.storage import tree

# A file larger than this is not read into memory.
MAX_BYTES = 2**30
# A source of the bytes of a .nic file.
Data: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
# The first bytes of a file, which tell a .nic file from others.
START = 16
_MAGIC = frozenset("*?[")


def shown(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """A path as it stands in a message: itself if it prints on one line, else with escapes."""
    name = os.fsdecode(path)
    return name if name.isprintable() else ascii(name)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a .nic file. Raises BadFile if it cannot be read, LimitExceeded past `MAX_BYTES`."""
    try:
        check_folder(os.fsdecode(path))
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise BadFile(f"{shown(path)}: {one_line(error)}") from None
    if len(data) > MAX_BYTES:
        raise LimitExceeded(f"{shown(path)}: larger than {MAX_BYTES:,} bytes")
    return data


def check_folder(name: str) -> None:
    """Raise the OSError of a folder that cannot be listed, as `tree.walk` gives it; other names pass."""
    if tree.is_closed(name):
        os.listdir(name)


def naming(source: object) -> AbstractContextManager[None]:
    """Names the source, where it is a path, in each NicError that does not begin with it."""
    return errors.naming(shown(source)) if isinstance(source, str | os.PathLike) else errors.naming()


def data_of(source: Data) -> bytes:
    """The bytes of a .nic file, from its path, its bytes or a binary stream of them, from where it stands.

    Raises BadFile if it cannot be read or is none of these, LimitExceeded past `MAX_BYTES`.
    """
    if isinstance(source, bytes):
        return source
    if isinstance(source, bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return read_bytes(source)
    if not hasattr(source, "read"):
        raise BadFile(f"not a .nic file but a {type(source).__name__}: give a path, bytes or a binary stream")
    try:
        data = source.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise BadFile(f"the stream cannot be read: {one_line(error)}") from None
    if not isinstance(data, bytes | bytearray | memoryview):
        raise BadFile(f"the stream gives {type(data).__name__}, not bytes")
    if len(data) > MAX_BYTES:
        raise LimitExceeded(f"larger than {MAX_BYTES:,} bytes")
    return bytes(data)


def atomic_write(path: str | os.PathLike[str], data: bytes, *, overwrite: bool) -> None:
    """Write `data` to `path` through a temporary name in the same folder.

    Until the whole is written nothing stands at `path` but what stood there before, and a failure leaves
    nothing behind. A new file gets the permissions that the umask gives; one that is replaced keeps its
    own. A link is followed. Without `overwrite` a file that exists is left alone, even one made by somebody
    else meanwhile. A device or a pipe has nothing to lose, so it gets the bytes as they are.

    Raises NicError, which names the path: it exists, it is a folder or a disk, or the system refused.
    """
    try:
        if is_special(path):
            with open(path, "wb", buffering=0) as stream:
                _all(stream, data)
        else:
            _replace(os.path.realpath(path), data, overwrite)
    except BrokenPipeError:
        raise  # the reader has closed the pipe
    except FileExistsError as error:
        raise NicError(f"{shown(path)}: exists already and was left as it is") from error
    except (OSError, ValueError) as error:
        raise NicError(f"{shown(path)}: cannot be written: {one_line(error)}") from error


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a pipe or a device such as /dev/null; a disk is none of them."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def preserve(source: str, target: str) -> None:
    """Give a file the time and the permissions of another one. Raises NicError."""
    try:
        found = os.stat(source)
        if not is_special(target):
            os.chmod(target, stat.S_IMODE(found.st_mode))
            os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    except OSError as error:
        raise NicError(f"{shown(target)}: cannot have the time and mode of its source: {error.strerror}") from None


def _all(stream: RawIOBase, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) or 0 :]


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


class Files:
    """`storage.Store` of the paths of this machine, and of patterns of them."""

    def exists(self, name: str) -> bool:
        return os.path.lexists(name) and not is_special(name)

    def is_folder(self, name: str) -> bool:
        return name.endswith(os.sep) or os.path.isdir(name)

    def is_one(self, name: str) -> bool:
        return not os.path.isdir(name) and not self._is_pattern(name)

    def found(self, name: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
        if os.path.isdir(name):
            for path in tree.walk(name):
                if tree.is_closed(path) or wanted(path):
                    yield path, os.path.relpath(path, name)
        elif self._is_pattern(name):
            start = os.path.dirname(name[: min(name.index(c) for c in _MAGIC if c in name)])
            for path in _matches(name):
                below = os.path.relpath(path, start or os.curdir)
                if not tree.in_litter(below.split(os.sep)):
                    yield path, below
        else:
            yield name, os.path.basename(name)

    def inside(self, folder: str, below: str) -> str:
        return os.path.join(folder, below)

    def key(self, name: str) -> str:
        try:
            found = os.stat(name)
            return f"{found.st_dev}:{found.st_ino}"
        except OSError:
            return os.path.normcase(os.path.abspath(name))

    def place(self, name: str) -> str:
        folder, file = os.path.split(os.path.abspath(name))
        return os.path.normcase(os.path.join(os.path.realpath(folder), file))

    def changed(self, name: str) -> int | None:
        try:
            return os.stat(name).st_mtime_ns
        except OSError:
            return None

    def start(self, name: str) -> bytes:
        try:
            check_folder(name)
        except OSError as error:
            raise BadFile(f"{shown(name)}: {one_line(error)}") from None
        try:
            if not stat.S_ISREG(os.stat(name).st_mode):
                return b""  # a pipe can be read only once
            with open(name, "rb") as file:
                return file.read(START)
        except (OSError, ValueError):
            return b""

    def check(self, name: str, *, folders: bool = False) -> None:
        if is_special(name):
            return
        folder = os.path.dirname(os.path.realpath(name))
        if folders:
            while not os.path.lexists(folder) and os.path.dirname(folder) != folder:
                folder = os.path.dirname(folder)
        if not os.path.isdir(folder):
            wrong = "is not a folder" if os.path.lexists(folder) else "is not there"
            raise NicError(f"{shown(name)}: cannot be written: the folder {shown(_given(name, folder))} {wrong}")
        if not os.access(folder, os.W_OK | os.X_OK):
            fixed = hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY
            reason = "Read-only file system" if fixed else "Permission denied"
            raise NicError(f"{shown(name)}: cannot be written: {reason}")

    def source(self, name: str) -> str:
        return name

    def size(self, name: str) -> int:
        try:
            return os.path.getsize(name)
        except OSError:
            return 0

    def read(self, name: str) -> bytes:
        return read_bytes(name)

    def write(self, name: str, data: bytes, *, overwrite: bool, folders: bool = False) -> None:
        folder = os.path.dirname(name)
        try:
            if folders and folder:
                os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise NicError(f"{shown(folder)}: cannot be made: {error.strerror}") from None
        atomic_write(name, data, overwrite=overwrite)

    def _is_pattern(self, name: str) -> bool:
        return bool(_MAGIC & set(name)) and not os.path.lexists(name) and bool(_matches(name))


def _given(name: str, folder: str) -> str:
    """The folder of a name as the name gives it, or the real one where that is another."""
    given = os.path.dirname(name)
    return given if os.path.realpath(given) == folder else folder


def _matches(pattern: str) -> list[str]:
    return sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
