"""Where pictures lie while a network is trained on them: in memory, or in a file if they are too many.

Under `reading` and `data`. The system keeps as much of the file in memory as there is room for.
"""

from __future__ import annotations

import mmap
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nicodec.errors import NicError, one_line
from nicodec.storage.files import shown

Pixels: TypeAlias = npt.NDArray[np.uint8]

# The share of the free memory that pictures may take, and the most bytes. A network on two cores takes 1 to 2 GB more.
SHARE, MEMORY = 0.5, 10**9
# The share of the free disk that they may take, and the most bytes.
DISK_SHARE, DISK = 0.5, 8 * 10**9
_MEMORY, _GROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")


def free_memory() -> int | None:
    """Bytes that this process may still use, as Linux says it; None elsewhere."""
    known = []
    try:
        lines = dict(line.split(":", 1) for line in _MEMORY.read_text().splitlines() if ":" in line)
        known.append(1024 * int(lines["MemAvailable"].split()[0]))
        known.append(int(_GROUP.read_text()))
    except (OSError, KeyError, ValueError):
        pass  # another system, or a group without a limit
    return min(known, default=None)


class Store:
    """Samples of pictures, one after the other.

    limit: bytes; None: half of the free memory, at most `MEMORY`. More samples lie in a file without a name in
    `folder`, which is gone when the process ends. room: the most bytes in memory or in the file.
    """

    def __init__(self, folder: Path | None = None, limit: int | None = None) -> None:
        free = free_memory() if limit is None else None
        self.limit = limit if limit is not None else MEMORY if free is None else min(MEMORY, int(SHARE * free))
        self.size, self.folder = 0, folder or Path(tempfile.gettempdir())
        disk = shutil.disk_usage(self.folder).free
        self.room = max(self.limit, min(DISK, int(DISK_SHARE * disk)))
        self._chunks: list[Pixels] = []
        self._file: IO[bytes] | None = None
        self._map: np.memmap[Any, np.dtype[np.uint8]] | None = None

    @property
    def in_file(self) -> bool:
        """Whether the samples lie in a file."""
        return self._file is not None

    def add(self, pixels: Pixels) -> int:
        """Append a picture; returns the offset of its first sample. Raises NicError if the disk has no room."""
        offset = self.size
        self._chunks.append(pixels.reshape(-1))
        self.size += pixels.size
        if self._file is not None or self.size > self.limit:
            try:
                if self._file is None:
                    self._file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 (lives as long as this)
                while self._chunks:
                    self._file.write(self._chunks.pop(0).data)
                self._file.flush()
            except OSError as error:
                with suppress(OSError):
                    if self._file is not None:
                        self._file.close()
                raise NicError(
                    f"{shown(self.folder)}: pictures of {self.size / 1e9:.1f} GB fit neither into memory nor onto this"
                    f" disk ({one_line(error)}); train on fewer or smaller ones"
                ) from None
        return offset

    def tensor(self, device: torch.device) -> Tensor:
        """All samples, uint8 (size,), on the device if it has room and they are in memory. Ends the store."""
        if self._file is not None:
            self._map = np.memmap(self._file, np.uint8, "r+", shape=(self.size,))
            self._file.close()  # what is mapped stays
            return torch.from_numpy(self._map)
        if device.type == "cuda" and self.size > SHARE * torch.cuda.mem_get_info(device)[0]:
            device = torch.device("cpu")
        # Filled piece by piece, so that the pictures are never in memory twice.
        store, offset = torch.empty(self.size, dtype=torch.uint8, device=device), 0
        while self._chunks:
            chunk = self._chunks.pop(0)
            store[offset : offset + chunk.size] = torch.tensor(chunk, device=device)
            offset += chunk.size
        return store

    def release(self) -> None:
        """Give back the memory that was read from the file: the process stays small, the system keeps its copy."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
