"""A folder of pictures -> its index: one SQLite file with each picture's sketch and thumbnail, kept up to date.

Between the commands that search and `sketch`, which makes what is kept. Only what is new or changed is read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nicodec import api
from nicodec.coding import latents
from nicodec.errors import BadFile, NicError, holding, one_line
from nicodec.explore import reading, sketch
from nicodec.explore.sketch import HASH_BITS, MODEL
from nicodec.parallel import Engine
from nicodec.parallel.processes import Local
from nicodec.picture import Array, atlas, writer
from nicodec.storage import is_nic, tree
from nicodec.storage.files import check_folder, shown

NAME = ".nicodec-index.sqlite"
# "NICI" in the file's head says that it is an index; the version that its sketches are of this form.
APPLICATION, VERSION = 0x4E494349, 2
# Pictures that are written in one transaction, and rows that are read at a time.
BATCH, BLOCK = 64, 4096
# Seconds to wait for another process that writes.
PATIENCE = 60.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pictures (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, error TEXT,
    width INTEGER, height INTEGER, content BLOB, samples BLOB, hash BLOB, vector BLOB
);
CREATE TABLE IF NOT EXISTS thumbnails (path BLOB PRIMARY KEY, image BLOB);
"""
# Rows that no update wrote: of other types, sizes or lengths. What is not of them has bounded size.
WRONG = f"""
SELECT count(*) FROM pictures WHERE typeof(path) != 'blob' OR length(path) > 65536
    OR typeof(size) != 'integer' OR typeof(mtime_ns) != 'integer' OR (error IS NULL AND NOT (
    typeof(width) = 'integer' AND typeof(height) = 'integer' AND width > 0 AND height > 0
    AND typeof(content) = 'blob' AND length(content) = 32 AND typeof(samples) = 'blob' AND length(samples) = 32
    AND typeof(hash) = 'blob' AND length(hash) = {HASH_BITS // 8} AND typeof(vector) = 'blob' AND length(vector) = ?))
"""


@dataclass(frozen=True)
class Entry:
    """A picture of an index. path: below its folder. size: bytes of the file. content, samples: SHA-256 of each."""

    path: str
    size: int
    width: int
    height: int
    content: bytes
    samples: bytes


@dataclass(frozen=True)
class Change:
    """What an update did. read: pictures that were new or changed; gone: those no longer there; failed: path -> error
    of all files that cannot be read. remade: the index was of another encoder or release, so all was read
    anew.
    """

    read: int
    gone: int
    failed: dict[str, str]
    remade: bool


class Index:
    """The index of a folder. Several processes may use it at once; a crash loses at most the last batch.

    folder: on this machine. path: of the file; None means `NAME` in the folder. Raises NicError if it cannot be opened,
    is damaged, or is another SQLite file. Closed by `close`, or as a context.
    """

    def __init__(self, folder: str, path: str | None = None) -> None:
        if not os.path.isdir(folder):
            raise NicError(f"{shown(folder)}: is not a folder")
        self.folder, self.path = folder, path or os.path.join(folder, NAME)
        with self._blaming():
            self._file = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        try:
            with self._blaming():
                self._begin()
        except BaseException:
            self._file.close()
            raise

    def _begin(self) -> None:
        """Make the tables, unless they are there in this form."""
        # Views and triggers of a made-up file could run for ever.
        (strange,) = self._file.execute(
            "SELECT count(*) FROM sqlite_master WHERE type NOT IN ('table', 'index')"
        ).fetchone()
        if strange:
            raise sqlite3.DatabaseError("it has views or triggers")
        self._older = False
        state = [self._file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        if state == [APPLICATION, VERSION]:
            return
        with self._writing():
            (own,) = self._file.execute("PRAGMA application_id").fetchone()
            (tables,) = self._file.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if own != APPLICATION and tables:
                raise NicError(
                    f"{shown(self.path)}: not an index of nicodec but another SQLite file; it is left as it is"
                )
            (version,) = self._file.execute("PRAGMA user_version").fetchone()
            self._older = version not in (0, VERSION)
            if self._older:
                self._file.execute("DROP TABLE IF EXISTS pictures")
                self._file.execute("DROP TABLE IF EXISTS thumbnails")
            self._file.execute(f"PRAGMA application_id = {APPLICATION}")
            self._file.execute(f"PRAGMA user_version = {VERSION}")
            for statement in filter(str.strip, SCHEMA.split(";")):
                self._file.execute(statement)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(
        self, engine: Engine | None = None, *, progress: Callable[[str, int, int], None] | None = None
    ) -> Change:
        """Make the index what the folder is now.

        engine: where pictures are read; None means all cores of this machine. Machines of a cluster need the folder
        under the same name, and not the index. progress: called with the path, the number done and the number to do.
        Raises NicError.
        """
        encoder = latents.encoder_of(api.codec_of(MODEL, 1))
        with self._blaming():
            remade = self._of(encoder) or self._older
            self._check()
            known = {path: rest for path, *rest in self._file.execute("SELECT path, size, mtime_ns FROM pictures")}
            closed: dict[str, str] = {}
            found = dict(_found(self.folder, closed))
            fresh = [path for path, state in found.items() if known.get(os.fsencode(path)) != list(state)]
            # What lies in a folder that cannot be listed is not gone.
            away = tuple(os.path.join(path, "") for path in closed)
            missing = (path for path in known if os.fsdecode(path) not in found)
            gone = [path for path in missing if not os.fsdecode(path).startswith(away)]
            with self._writing():
                for table in ("pictures", "thumbnails"):
                    self._file.executemany(f"DELETE FROM {table} WHERE path = ?", ((path,) for path in gone))
            for batch in _batches(self._read(fresh, engine or Local(), progress)):
                with self._writing():
                    if self.encoder != encoder:
                        raise NicError(f"{shown(self.path)}: another release of nicodec made it anew meanwhile")
                    rows, images = [row[:-1] for row in batch], [(row[0], row[-1]) for row in batch]
                    self._file.executemany("REPLACE INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
                    self._file.executemany("REPLACE INTO thumbnails VALUES (?, ?)", images)
            failures = self._file.execute(
                "SELECT path, substr(error, 1, 300) FROM pictures WHERE error IS NOT NULL ORDER BY path"
            )
            failed = closed | {os.fsdecode(path): str(text) for path, text in failures}
            return Change(len(fresh), len(gone), failed, remade)

    def _of(self, encoder: str) -> bool:
        """Whether the index was of another encoder; then it is emptied."""
        with self._writing():
            before = self._file.execute("SELECT value FROM facts WHERE name = 'encoder'").fetchone()
            (count,) = self._file.execute("SELECT count(*) FROM pictures").fetchone()
            if before == (encoder,):
                return False
            self._file.execute("DELETE FROM pictures")
            self._file.execute("DELETE FROM thumbnails")
            self._file.execute("REPLACE INTO facts VALUES ('encoder', ?)", (encoder,))
            return bool(count)

    def _read(
        self, paths: list[str], engine: Engine, progress: Callable[[str, int, int], None] | None
    ) -> Iterator[tuple[object, ...]]:
        answers = engine.answers(reading.Reading(self.folder), paths)
        for done, (path, answer) in enumerate(answers, 1):
            try:
                with holding():
                    row = answer.get()
            except (NicError, MemoryError) as error:  # the file killed its process, or is too large for it
                row = reading.failed(os.path.join(self.folder, path), path, error)
            yield row
            if progress is not None:
                progress(path, done, len(paths))

    def __len__(self) -> int:
        with self._blaming():
            (count,) = self._file.execute("SELECT count(*) FROM pictures WHERE error IS NULL").fetchone()
        return int(count)

    @property
    def encoder(self) -> str:
        """The hash of the g_a that made its vectors, hexadecimal; empty if it has none yet."""
        with self._blaming():
            found = self._file.execute("SELECT value FROM facts WHERE name = 'encoder'").fetchone()
        return str(found[0]) if found else ""

    def blocks(self) -> Iterator[tuple[list[Entry], Array, npt.NDArray[np.float16]]]:
        """All pictures by path, at most `BLOCK` at a time: entries, hashes (n, HASH_BITS / 8) and vectors (n, ...).

        Raises NicError for a row that no update wrote.
        """
        columns = "path, size, width, height, content, samples, hash, vector"
        with self._blaming():
            self._check()
            rows = self._file.execute(f"SELECT {columns} FROM pictures WHERE error IS NULL ORDER BY path")
            while some := rows.fetchmany(BLOCK):
                entries = [Entry(os.fsdecode(row[0]), *row[1:6]) for row in some]
                hashes = np.frombuffer(b"".join(row[6] for row in some), np.uint8).reshape(len(some), -1)
                vectors = np.frombuffer(b"".join(row[7] for row in some), "<f2").reshape(len(some), -1)
                yield entries, hashes, vectors

    def thumbnails(self, entries: Iterable[Entry]) -> Iterator[bytes]:
        """Each picture small, as `atlas.small` makes it; empty where the index has none of bounded size."""
        query = "SELECT image FROM thumbnails WHERE path = ? AND typeof(image) = 'blob' AND length(image) <= ?"
        with self._blaming():
            for entry in entries:
                found = self._file.execute(query, (os.fsencode(entry.path), atlas.MOST_BYTES)).fetchone()
                yield found[0] if found else b""

    def _check(self) -> None:
        """Raise the error of a damaged file for rows that no update wrote."""
        (wrong,) = self._file.execute(WRONG, (2 * sketch.length(api.codec_of(MODEL, 1)),)).fetchone()
        if wrong:
            raise sqlite3.DatabaseError("a row is not that of a picture")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction: all of it is in the file, or nothing."""
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):
                self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")

    @contextmanager
    def _blaming(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            busy = "locked" in str(error)
            reason = "another process has been writing for a minute" if busy else one_line(error)
            raise NicError(
                f"{shown(self.path)}: the index cannot be used: {reason}; --index names another place"
            ) from None
        except sqlite3.Error as error:
            raise NicError(
                f"{shown(self.path)}: not an index, or a damaged one ({one_line(error)}); an index may be removed, and"
                " is made anew"
            ) from None


def _found(folder: str, closed: dict[str, str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """The pictures and .nic files below a folder, each with its size and time.

    closed: gets the folders that cannot be listed, each with its error. Raises BadFile if it is the folder itself.
    """
    for path in tree.walk(folder):
        if tree.is_closed(path):
            try:
                check_folder(path)
            except OSError as error:
                below = os.path.relpath(path, folder)
                if below == os.curdir:
                    raise BadFile(f"{shown(folder)}: {one_line(error)}") from None
                closed[below] = one_line(error)
        elif is_nic(path) or writer.is_picture(path):
            with suppress(OSError):
                state = os.stat(path)
                yield os.path.relpath(path, folder), (state.st_size, state.st_mtime_ns)


def _batches(rows: Iterator[tuple[object, ...]]) -> Iterator[list[tuple[object, ...]]]:
    batch: list[tuple[object, ...]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch
