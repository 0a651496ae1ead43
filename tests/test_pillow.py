"""The Pillow plugin: opening, saving, metadata, drafts, errors, and libraries that read through Pillow."""

import copy
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, UnidentifiedImageError

import nicodec
import nicodec.pillow
from nicodec.codec import Codec


@pytest.fixture
def picture() -> Image.Image:
    y, x = np.mgrid[:90, :140]
    planes = [128 + 90 * np.sin(x / (9 + p)) * np.cos(y / 11) for p in range(3)]
    return Image.fromarray(np.stack(planes, -1).astype(np.uint8))


@pytest.fixture
def path(picture: Image.Image, tmp_path: Path) -> Path:
    picture.save(tmp_path / "a.nic")
    return tmp_path / "a.nic"


def test_saving_is_encoding_and_opening_decoding(picture: Image.Image, path: Path) -> None:
    assert path.read_bytes() == nicodec.encode(picture)
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("NIC", "RGB", (140, 90))
        assert image.get_format_mimetype() == "image/x-nicodec"
        assert np.array_equal(image, nicodec.decode(path.read_bytes()))
    with nicodec.open(path) as image:
        assert image.info["quality"] == 50


def test_a_stream_of_the_caller_stays_open(path: Path) -> None:
    with io.BytesIO(path.read_bytes()) as stream:
        Image.open(stream).load()
        assert stream.getvalue() == path.read_bytes()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_modes(picture: Image.Image, tmp_path: Path, mode: str) -> None:
    picture.convert(mode).save(tmp_path / "m.nic", quality=20)
    with Image.open(tmp_path / "m.nic") as image:
        assert image.mode == mode
        assert image.copy().mode == mode


def test_options_reach_the_encoder(picture: Image.Image, tmp_path: Path) -> None:
    picture.save(tmp_path / "a.nic", quality=80)
    assert (tmp_path / "a.nic").read_bytes() == nicodec.encode(picture, quality=80)
    picture.save(tmp_path / "b.nic", target_bytes=700)
    assert (tmp_path / "b.nic").stat().st_size <= 700
    for wrong in ({"qualty": 3}, {"quality": 5, "optimize": True}):
        with pytest.raises(TypeError, match=r"no option '(qualty|optimize)'"):
            picture.save(tmp_path / "c.nic", **wrong)
    assert not (tmp_path / "c.nic").exists()


def test_metadata_there_and_back(picture: Image.Image, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "maker"
    picture.save(tmp_path / "a.nic", icc_profile=profile, exif=exif, xmp=b"<x/>")
    assert "exif" not in picture.info
    with Image.open(tmp_path / "a.nic") as image:
        assert image.info["icc_profile"] == profile
        assert image.info["xmp"] == b"<x/>"
        assert image.getexif()[0x010F] == "maker"
        image.save(tmp_path / "b.nic")
        image.save(tmp_path / "c.nic", strip=True)
    assert nicodec.info((tmp_path / "b.nic").read_bytes()).metadata == ("ICC", "EXIF", "XMP")
    assert nicodec.info((tmp_path / "c.nic").read_bytes()).metadata == ()


def test_texts_captions_and_resolution_there_and_back(picture: Image.Image, tmp_path: Path) -> None:
    picture.info |= {"Author": "someone", "photoshop": {0x0404: b"\x1c\x02\x19\0\1a"}}
    picture.save(tmp_path / "a.nic", comment="a word", dpi=(300, 150))
    with Image.open(tmp_path / "a.nic") as image:
        assert image.info["dpi"] == (300, 150)
        assert image.info["comment"] == b"a word"
        assert image.info["Author"] == "someone"
        assert image.info["photoshop"] == picture.info["photoshop"]
        image.save(tmp_path / "b.nic")
        image.save(tmp_path / "c.nic", strip_gps=True)
        assert image.info.pop("quality") == 50
    for name in ("b.nic", "c.nic"):
        assert nicodec.info(tmp_path / name).metadata == ("IPTC", "TEXT", "DENSITY")
        with nicodec.open(tmp_path / name) as again:
            again.info.pop("quality")
            assert again.info == image.info


def test_nothing_is_decoded_before_pixels_are_needed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    real = Codec.decode

    def decode(self: Codec, data: bytes, **options: Any) -> Image.Image:
        calls.append(options)
        return real(self, data, **options)

    monkeypatch.setattr(Codec, "decode", decode)
    with Image.open(path) as image:
        assert image.size == (140, 90)
        assert calls == []
        image.getpixel((3, 3))
        image.getpixel((4, 4))
        assert len(calls) == 1


def test_a_thumbnail_takes_the_preview(path: Path) -> None:
    with Image.open(path) as image:
        image.thumbnail((8, 8))
        assert image.size == (8, 5)
    with Image.open(path) as image:
        assert image.draft(None, (15, 10)) == ("RGB", (0, 0, 17.5, 11.25))
        assert np.array_equal(image, nicodec.decode(path.read_bytes(), scale=1 / 8))
    with Image.open(path) as image:
        assert image.draft(None, (18, 10)) is None
        image.load()
        assert image.draft(None, (2, 2)) is None
        assert image.size == (140, 90)


def test_damage_is_an_oserror(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(OSError, match="damaged"):
        Image.open(path)
    path.write_bytes(data[:40])
    with pytest.raises(OSError, match=r".+"):
        Image.open(path)
    path.write_bytes(b"no picture")
    with pytest.raises(UnidentifiedImageError):
        nicodec.open(path)
    with pytest.raises(FileNotFoundError):
        nicodec.open(path.with_name("none.nic"))


def test_other_libraries_read_through_pillow(path: Path) -> None:
    imageio = pytest.importorskip("imageio.v3")
    expected = np.asarray(nicodec.decode(path.read_bytes()))
    assert np.array_equal(imageio.imread(path, plugin="pillow"), expected)
    skimage_io = pytest.importorskip("skimage.io")
    assert np.array_equal(skimage_io.imread(path), expected)


def test_it_is_registered_by_its_import_alone(path: Path) -> None:
    code = "import sys, PIL.Image\n{}\nPIL.Image.open(sys.argv[1])"
    for line, expected in (("import nicodec.pillow", 0), ("", 1)):
        command = [sys.executable, "-c", code.format(line), str(path)]
        assert subprocess.run(command, capture_output=True, check=False).returncode == expected


@pytest.mark.parametrize("again", [lambda image: pickle.loads(pickle.dumps(image)), copy.deepcopy, copy.copy])
@pytest.mark.parametrize("loaded", [True, False])
def test_an_opened_image_survives_pickle_and_copies(again: Any, loaded: bool, tmp_path: Path) -> None:
    """As one of PNG does: workers of data loaders get images so."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    path = tmp_path / "a.nic"
    path.write_bytes(nicodec.encode(pixels))
    image = nicodec.open(path)
    if loaded:
        image.load()
    twin = again(image)
    assert (twin.size, twin.mode) == ((30, 20), "RGB")
    assert np.array_equal(np.asarray(twin), np.asarray(nicodec.decode(path.read_bytes())))
