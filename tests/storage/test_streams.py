"""Standard input and output as a store, and what all stores have in common."""

import inspect
import io
import sys
from pathlib import Path

import pytest

from nicodec import storage
from nicodec.errors import BadFile, LimitExceeded, NicError
from nicodec.storage import Store, buckets, store_of, streams
from nicodec.storage.buckets import Buckets
from nicodec.storage.files import Files
from nicodec.storage.streams import Streams

STORES: list[Store] = [Files(), Buckets(), Streams()]


class Closed(io.RawIOBase):
    """A stream that fails."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        raise OSError(5, "Input/output error")

    def write(self, data: object) -> int:
        raise OSError(28, "No space left on device")


def test_stdin_is_read_and_stdout_is_written(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff in")))
    assert Streams().source("-") == b"\xff in"
    Streams().write("-", b"\xff out", overwrite=False)
    assert capfdbinary.readouterr().out == b"\xff out"


def test_a_stream_is_one_file_that_is_not_there_before() -> None:
    store = Streams()
    assert (store.is_one("-"), store.exists("-"), store.is_folder("-"), store.size("-")) == (True, False, False, 0)
    assert list(store.found("-", lambda name: False)) == [("-", "-")]
    with pytest.raises(NicError, match="stdout cannot take several results"):
        store.inside("-", "a.nic")


def test_a_stream_that_fails_is_a_nic_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Closed())))
    with pytest.raises(BadFile, match="Input/output error"):
        Streams().read("-")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", io.TextIOWrapper(Closed()))  # type: ignore[type-var]
        with pytest.raises(NicError, match="stdout: cannot be written: No space left on device"):
            Streams().write("-", b"x", overwrite=True)


def test_a_stream_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_BYTES", 3)
    for data in (b"abc", b"abcd"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        if len(data) == 3:
            assert Streams().read("-") == data
        else:
            with pytest.raises(LimitExceeded, match="larger than 3 bytes"):
                Streams().read("-")


# All stores


@pytest.mark.parametrize("store", STORES, ids=lambda store: type(store).__name__)
def test_a_store_has_the_methods_of_the_interface_and_no_others(store: Store) -> None:
    def methods(kind: type) -> dict[str, list[tuple[str, object]]]:
        return {
            name: [(p.name, p.kind) for p in inspect.signature(method).parameters.values()]
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(type(store)) == methods(Store)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("-", Streams), ("a.png", Files), ("./-", Files), ("", Files), ("C:\\a.png", Files), ("a://b", Buckets),
        ("s3://bucket/a.png", Buckets), ("https://example.org/a.png", Buckets),
    ],
)  # fmt: skip
def test_a_name_says_by_its_form_where_it_is(name: str, kind: type) -> None:
    assert isinstance(store_of(name), kind)


def test_every_store_gives_back_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    fs = pytest.importorskip("pyarrow.fs")
    system = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    monkeypatch.setattr(buckets, "_system", lambda url: (system, url.partition("://")[2]))
    (tmp_path / "bucket").mkdir()
    for name in ("-", str(tmp_path / "new" / "a.nic"), "s3://bucket/a.nic"):
        store = store_of(name)
        assert store.is_one(name)
        assert not store.exists(name)
        assert store.size(name) == 0
        store.write(name, b"data", overwrite=False, folders=True)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(capfdbinary.readouterr().out)))
        assert store.read(name) == b"data"
        assert store.exists(name) == (name != "-")
        assert store.size(name) == (0 if name == "-" else 4)
        assert store.key(name) == store.key(name)
        assert [path for path, _ in store.found(name, storage.is_nic)] == [name]
