"""Files named by URLs: buckets, here played by a folder; what a hostile one may not do."""

import sys
from pathlib import Path
from typing import Any

import fuzz_decode
import pytest
from conftest import Run
from PIL import Image

import nicodec
from nicodec import batch, buckets

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
    system = fs.SubTreeFileSystem(str(here / "store"), fs.LocalFileSystem())
    monkeypatch.setattr(buckets, "_system", lambda url: (system, url.partition("://")[2]))
    return here / "store/bucket"


def test_there_and_back(bucket: Path, here: Path, run: Run) -> None:
    options = ("-j", 1, "-m", TINY)
    code, _, said = run("encode", "s3://bucket/in", "s3://bucket/", *options)
    assert (code, "encoded 3 files" in said) == (0, True), said
    made = {str(path.relative_to(bucket)) for path in bucket.rglob("*.nic")}
    assert made == {"a.nic", "z/what? 100%.nic", "z/b.nic"}
    assert (bucket / "a.nic").read_bytes() == nicodec.encode("a.png", model=TINY)
    code, _, said = run("encode", "s3://bucket/in", "s3://bucket", *options)
    assert (code, said.count("exists already; -f overwrites it"), "3 failed" in said) == (5, 3, True)
    code, _, said = run("encode", "s3://bucket/in", "s3://bucket", *options, "--skip-existing")
    assert (code, "3 skipped" in said) == (0, True)
    code, _, said = run("decode", "s3://bucket/a.nic", "s3://bucket/z/", (here / "back").as_uri(), *options)
    assert (code, "decoded 3 files" in said) == (0, True), said
    assert (here / "back/what? 100%.png").is_file()
    code, _, said = run("decode", "s3://bucket/in", "back", *options)
    assert (code, "nothing to do" in said) == (3, True)
    code, _, said = run("decode", "s3://bucket/a.nic", "-o", "s3://bucket/as", "--format", "jpg", *options)
    assert code == 0, said
    with Image.open(bucket / "as/a.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (60, 40))


def test_what_is_wrong_is_an_error_about_the_url(bucket: Path, run: Run) -> None:
    (bucket / "in/cut.png").write_bytes((bucket / "in/a.png").read_bytes()[:60])
    code, _, said = run("encode", "s3://bucket/in", "out", "-j", 1, "-m", TINY)
    assert (code, "nicodec: s3://bucket/in/cut.png: " in said, "1 failed" in said) == (5, True, True), said
    for url in ("s3://bucket/none", "https://example.org/a.png", "file://elsewhere/a.png"):
        code, _, said = run("encode", url, "out")
        assert (code, said.startswith(f"nicodec: {url}: ")) == (3, True), said


def test_names_that_lead_out_of_the_folder_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fs = pytest.importorskip("pyarrow.fs")

    class System:
        def get_file_info(self, what: Any) -> Any:
            if isinstance(what, str):
                return fs.FileInfo(what, fs.FileType.Directory)
            return [fs.FileInfo("bucket/x/../../../a.png", fs.FileType.File)]

    monkeypatch.setattr(buckets, "_system", lambda url: (System(), "bucket"))
    with pytest.raises(nicodec.BadFile, match="not the name of a file"):
        batch.plan(["s3://bucket/x"], "out", ".nic", is_input=lambda name: True)


def test_without_pyarrow_the_extra_is_named(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    buckets._system.cache_clear()
    monkeypatch.setitem(sys.modules, "pyarrow.fs", None)
    code, _, said = run("encode", "s3://bucket/in", "out")
    assert (code, said) == (4, "nicodec: URLs need pyarrow: pip install 'nicodec[ray]'\n")


def test_a_file_url_is_a_path(here: Path, run: Run) -> None:
    code, _, said = run("encode", (here / "a.png").as_uri(), (here / "b c.nic").as_uri(), "-m", TINY)
    assert code == 0, said
    assert (here / "b c.nic").is_file()
