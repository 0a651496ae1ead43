"""Files named by URLs: buckets, here played by a folder; what a hostile one may not do."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fuzz_decode
import pytest
from PIL import Image
from program import Run

import nicodec
from nicodec.cli import plan
from nicodec.storage import buckets

TINY = str(fuzz_decode.TINY)


@pytest.fixture
def bucket(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands for s3://bucket."""
    fs = pytest.importorskip("pyarrow.fs")
    for folder in ("in/z", "z", "as"):  # a bucket needs none, the folder that stands for it does
        (here / "store/bucket" / folder).mkdir(parents=True)
    with Image.open("a.png") as image:
        for name in ("a.png", "z/what? 100%.png", "z/b.jpg"):
            image.save(here / "store/bucket/in" / name)
    (here / "store/bucket/in/notes.txt").touch()
    for litter in ("in/@eaDir", "in/z/.thumbnails"):
        (here / "store/bucket" / litter).mkdir()
        (here / "store/bucket" / litter / "a.png").touch()
        (here / "store/bucket" / litter / "a.txt").touch()
    system = fs.SubTreeFileSystem(str(here / "store"), fs.LocalFileSystem())
    monkeypatch.setattr(buckets, "_system", lambda url: (system, url.partition("://")[2]))
    return here / "store/bucket"


def test_a_folder_of_objects_is_encoded_and_decoded(bucket: Path, here: Path, run: Run) -> None:
    options = ("-j", 1, "-m", TINY)
    code, _, said = run("encode", "s3://bucket/in", "s3://bucket/", *options)
    assert (code, "encoded 3 files" in said, "1 .txt" in said) == (0, True, True), said
    made = {str(path.relative_to(bucket)) for path in bucket.rglob("*.nic")}
    assert made == {"a.nic", "z/what? 100%.nic", "z/b.nic"}
    assert (bucket / "a.nic").read_bytes() == nicodec.encode("a.png", model=TINY)
    code, _, said = run("encode", "s3://bucket/in", "s3://bucket", *options)
    assert (code, said.count("exists already; -f overwrites it"), "3 failed" in said) == (5, 3, True)
    code, _, said = run("encode", "s3://bucket/in", "s3://bucket", *options, "--skip-existing", "-v")
    assert (code, "3 skipped" in said) == (0, True)
    code, _, said = run("decode", "s3://bucket/a.nic", "s3://bucket/z/", (here / "back").as_uri(), *options)
    assert (code, "decoded 3 files" in said) == (0, True), said
    assert (here / "back/what? 100%.png").is_file()
    code, out, said = run("verify", "s3://bucket/z", "-m", TINY)
    assert (code, out, said) == (0, b"s3://bucket/z/b.nic: ok\ns3://bucket/z/what? 100%.nic: ok\n", "")
    code, _, said = run("decode", "s3://bucket/in", "back", *options)
    assert (code, "nothing to do" in said) == (3, True)
    code, _, said = run("decode", "s3://bucket/a.nic", "-o", "s3://bucket/as", "--format", "jpg", *options)
    assert code == 0, said
    with Image.open(bucket / "as/a.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (60, 40))


def test_a_bucket_gets_the_model_beside_its_files(bucket: Path, here: Path, run: Run) -> None:
    """A decoder of objects does not look there, but one does that has the folder on its own machine."""
    (bucket / "out/z").mkdir(parents=True)
    way = ("-j", 1, "-m", TINY, "--with-model", "--no-lossless")
    code, _, said = run("encode", "s3://bucket/in", "s3://bucket/out", *way)
    (model,) = bucket.rglob("*.nicmodel")
    assert (code, model.parent) == (0, bucket / "out")
    assert f"s3://bucket/out/{model.name}: the model" in said
    assert model.read_bytes() == Path(TINY).read_bytes()
    assert run("verify", "s3://bucket/out")[0] == 5
    assert run("verify", bucket / "out")[0] == 0
    code, _, said = run("encode", "a.png", "s3://bucket/as/", *way)
    assert (code, f"s3://bucket/as/{model.name}: the model" in said) == (0, True), said


def test_one_object_goes_where_it_is_told(bucket: Path, here: Path, run: Run) -> None:
    """As one file does: to OUT itself, or into it where it is a folder, which a URL without a suffix is."""
    for source, out, made in (
        ("s3://bucket/in/a.png", "s3://bucket/one.nic", bucket / "one.nic"),
        ("s3://bucket/in/a.png", "s3://bucket/z", bucket / "z/a.nic"),
        ("s3://bucket/in/a.png", "s3://bucket/as/", bucket / "as/a.nic"),
        ("s3://bucket/in/a.png", "s3://bucket", bucket / "a.nic"),
        ("s3://bucket/in/z/b.jpg", "here.nic", here / "here.nic"),
        ("a.png", "s3://bucket/up.nic", bucket / "up.nic"),
        ("a.png", "s3://bucket", bucket / "a.nic"),
    ):
        code, _, said = run("encode", source, out, "-f", "-m", TINY)
        shown = str(made.relative_to(bucket)) if made.is_relative_to(bucket) else made.name
        assert (code, f"{shown}: 60x40, " in said, made.is_file()) == (0, True, True), said
        made.unlink()
    code, _, said = run("encode", "s3://bucket/in/a.png", "-m", TINY)
    assert (code, (bucket / "in/a.nic").is_file()) == (0, True), said
    code, _, said = run("encode", "s3://bucket/in/a.png", "-m", TINY)
    assert (code, "s3://bucket/in/a.nic: exists already; -f overwrites it" in said) == (3, True)
    code, _, said = run("decode", "s3://bucket/in/a.nic", "s3://bucket/back.jpg", "-m", TINY)
    with Image.open(bucket / "back.jpg") as image:
        assert (code, image.format, image.size) == (0, "JPEG", (60, 40)), said


def test_what_is_wrong_is_an_error_about_the_url(bucket: Path, run: Run) -> None:
    (bucket / "in/cut.png").write_bytes((bucket / "in/a.png").read_bytes()[:60])
    code, _, said = run("encode", "s3://bucket/in", "out", "-j", 1, "-m", TINY)
    assert (code, "nicodec: s3://bucket/in/cut.png: " in said, "1 failed" in said) == (5, True, True), said
    for url in ("s3://bucket/none", "https://example.org/a.png", "file://elsewhere/a.png"):
        code, _, said = run("encode", url, "out")
        assert (code, said.startswith(f"nicodec: {url}: ")) == (3, True), said


def test_a_url_without_a_suffix_and_one_of_files_are_folders(bucket: Path) -> None:
    (bucket / "year.2024").mkdir()
    store = buckets.Buckets()
    for url in ("s3://bucket", "s3://bucket/new", "s3://bucket/new.d/", "s3://bucket/in", "s3://bucket/year.2024"):
        assert (store.is_folder(url), store.is_one(url), store.exists(url)) == (True, False, False)
    for url in ("s3://bucket/in/a.png", "s3://bucket/in/none.png", "s3://bucket/a.b/c.nic"):
        assert (store.is_folder(url), store.is_one(url)) == (False, True)
        assert store.exists(url) == url.endswith("a.png")


def test_an_object_that_the_command_reads_is_no_out(bucket: Path, run: Run) -> None:
    code, _, said = run("encode", "s3://bucket/in/a.png", "s3://bucket/in/z/b.jpg", "-j", 1, "-m", TINY)
    assert (code, "encoded 2 files" in said) == (0, True), said
    assert (bucket / "in/a.nic").is_file()
    assert (bucket / "in/z/b.nic").is_file()


def test_names_that_lead_out_of_the_folder_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fs = pytest.importorskip("pyarrow.fs")

    class System:
        def get_file_info(self, what: Any) -> Any:
            if isinstance(what, str):
                return fs.FileInfo(what, fs.FileType.Directory)
            return [fs.FileInfo("bucket/x/../../../a.png", fs.FileType.File)]

    monkeypatch.setattr(buckets, "_system", lambda url: (System(), "bucket"))
    with pytest.raises(nicodec.BadFile, match="not the name of a file"):
        plan.plan(["s3://bucket/x"], "out", (".nic",), is_input=lambda name: True, reads=lambda name: True)


def test_without_pyarrow_the_extra_is_named(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    buckets._system.cache_clear()
    monkeypatch.setitem(sys.modules, "pyarrow.fs", None)
    code, _, said = run("encode", "s3://bucket/in", "out")
    assert (code, said) == (4, "nicodec: a URL needs pyarrow: pip install 'nicodec[ray]'\n")


def test_a_file_url_is_a_path(here: Path, run: Run) -> None:
    code, _, said = run("encode", (here / "a.png").as_uri(), (here / "b c.nic").as_uri(), "-m", TINY)
    assert code == 0, said
    assert (here / "b c.nic").is_file()


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that speaks as S3 does."""
    if find_spec("moto") is None or find_spec("pyarrow") is None:
        pytest.skip("needs moto and pyarrow")
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = ("127.0.0.1", port)
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", place[0], "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            for _ in range(600):
                with suppress(OSError), socket.create_connection(place, timeout=1):
                    break
                assert server.poll() is None
                time.sleep(0.1)
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
            monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def test_a_server_of_objects_is_read_and_written(endpoint: str, here: Path) -> None:
    """Real requests, from a process of their own: listed, read, written, found again, missed."""
    from pyarrow.fs import S3FileSystem

    store = S3FileSystem(endpoint_override=endpoint, allow_bucket_creation=True)
    store.create_dir("photos")
    for name in ("in/a.png", "in/deep/what? 100%.png"):
        with store.open_output_stream(f"photos/{name}") as stream:
            stream.write(Path("a.png").read_bytes())

    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "nicodec", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=120)
        return done.returncode, done.stdout + done.stderr

    code, said = run("encode", "s3://photos/in", "s3://photos/out", "-m", TINY, "-j", "1")
    assert (code, "encoded 2 files" in said) == (0, True), said
    with store.open_input_stream("photos/out/deep/what? 100%.nic") as stream:
        assert stream.read() == nicodec.encode("a.png", model=TINY)
    code, said = run("encode", "s3://photos/in", "s3://photos/out", "-m", TINY, "--skip-existing", "-v")
    assert (code, "2 skipped" in said) == (0, True), said
    code, said = run("decode", "s3://photos/out/a.nic", "back.png", "-m", TINY)
    assert (code, Path("back.png").is_file()) == (0, True), said
    code, said = run("verify", "s3://photos/none", "-m", TINY)
    assert (code, said) == (3, "nicodec: s3://photos/none: no such file or folder\n")
    code, said = run("encode", "a.png", "s3://elsewhere/a.nic", "-m", TINY)
    assert (code, said.startswith("nicodec: s3://elsewhere/a.nic: ")) == (3, True), said
