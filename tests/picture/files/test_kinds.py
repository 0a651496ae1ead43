"""Which files are read: raw files never as their thumbnails, HEIF and JPEG XL with an extra, and the reasons."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from handmade import raw_tiff, soft, tiff_of
from PIL import Image

from nicodec import extras
from nicodec.errors import BadImage, MissingExtra
from nicodec.picture.files import kinds
from nicodec.picture.reader import read
from nicodec.picture.writer import is_picture

RAW = [raw_tiff(dng=True), raw_tiff(dng=False)]
STARTS = [b"IIRO\x08\0\0\0", b"IIU\0\x18\0\0\0", b"FUJIFILMCCD-RAW ", b"FOVb", b"\0MRM", b"II\x1a\0\0\0HEAPCCDR",
          b"II*\0\x10\0\0\0CR\2\0", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"]  # fmt: skip


@pytest.mark.parametrize("data", RAW + [start + bytes(500) for start in STARTS])
def test_a_raw_file_names_the_extra_that_develops_it(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(MissingExtra, match=r"raw file.*needs rawpy: pip install 'nicodec\[raw\]'"):
        read(data)


def test_a_raw_file_is_known_by_its_suffix_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a TIFF with this suffix the first picture is a thumbnail, whatever it says of itself."""
    monkeypatch.setitem(sys.modules, "rawpy", None)
    path = tmp_path / "a.NEF"
    Image.fromarray(soft()).save(path, "TIFF")
    with pytest.raises(MissingExtra, match=r"a\.NEF"):
        read(path)


@pytest.mark.parametrize("data", RAW)
def test_a_raw_file_is_developed_in_its_full_size(data: bytes) -> None:
    pytest.importorskip("rawpy")
    picture = read(data)
    assert picture.pixels.shape == (192, 256, 3)
    assert any("developed" in note for note in picture.notes)


def test_a_damaged_raw_file_is_refused_in_one_line() -> None:
    pytest.importorskip("rawpy")
    for data in (RAW[0][:500], STARTS[0] + bytes(500), STARTS[-1] + bytes(500)):
        with pytest.raises(BadImage, match="raw file that cannot be developed") as caught:
            read(data)
        assert "\n" not in str(caught.value)


def test_a_reduced_copy_in_front_of_a_picture_is_refused() -> None:
    small, large = Image.fromarray(soft(16, 16)), Image.fromarray(soft())
    out = io.BytesIO()
    small.save(out, "TIFF", save_all=True, append_images=[large], tiffinfo={254: 1})
    with pytest.raises(BadImage, match="reduced copy"):
        read(out.getvalue())
    out = io.BytesIO()
    large.save(out, "TIFF")
    assert read(out.getvalue()).pixels.shape == (64, 96, 3)


def encoded(kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(soft()).save(out, kind, quality=95)
    return out.getvalue()


@pytest.mark.parametrize(("kind", "module", "extra"), [("HEIF", "pillow_heif", "heif"), ("JXL", "pillow_jxl", "jxl")])
def test_kinds_that_need_an_extra(kind: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = pytest.importorskip(module)
    if kind == "HEIF":
        plugin.register_heif_opener()
    data = encoded(kind)
    pixels = read(data).pixels
    assert np.abs(pixels.astype(int) - soft()).mean() < 5
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"{module}: pip install 'nicodec\[{extra}\]'"):
        read(data)


def test_what_is_known_but_damaged_is_called_damaged() -> None:
    for data, kind in ((encoded("AVIF")[:300], "AVIF"), (b"\x89PNG\r\n\x1a\n" + bytes(50), "PNG"),
                       (b"\xff\xd8\xff\xe0" + bytes(50), "JPEG")):  # fmt: skip
        with pytest.raises(BadImage, match=f"a damaged {kind} file"):
            read(data)
    with pytest.raises(BadImage, match="not a picture of a known format"):
        read(b"text")
    with pytest.raises(BadImage, match="is empty"):
        read(b"")


def test_pillow_prints_nothing_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_of([soft().tobytes()], (64, 96), 8, 2, samples=12))
    code = "import sys; from nicodec.errors import BadImage\nfrom nicodec.picture.reader import read\n"
    code += "try: read(sys.argv[1])\nexcept BadImage: print('refused')"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("refused\n", "")


def test_raw_files_in_folders_are_taken_where_they_can_be_developed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_picture("a.HEIC")
    assert is_picture("a.jxl")
    assert is_picture("a.apng")
    assert not is_picture("a.jpg~")
    for there in (True, False):
        monkeypatch.setattr("nicodec.picture.writer.is_installed", lambda name, there=there: there)
        assert is_picture("a.DNG") is there
    assert extras.is_installed("PIL")
    assert ".nef" in kinds.RAW_SUFFIXES
