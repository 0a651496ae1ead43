"""What `duplicates --move` moves: copies that are evident. An original stays, whatever ranks above it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from test_duplicates import found, photograph

import nicodec
from nicodec.explore import evidence


def moved(folder: Path) -> set[str]:
    (group,) = found(folder)
    return {entry.path for entry in evidence.copies(group, str(folder))}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    photograph().save(tmp_path / "source.jpg", quality=88)
    return tmp_path / "source.jpg"


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


def test_copies_of_a_jpeg_are_evident(source: Path, tmp_path: Path) -> None:
    image = opened(source)
    image.save(tmp_path / "low.jpg", quality=40)
    image.resize((300, 200)).save(tmp_path / "half.jpg", quality=70)
    ImageOps.mirror(image).save(tmp_path / "mirrored.jpg", quality=60)
    image.resize((300, 200)).rotate(90, expand=True).save(tmp_path / "turned.png")
    image.save(tmp_path / "pixels.png")
    (tmp_path / "coded.nic").write_bytes(nicodec.encode(source, quality=40, model="photo-fast"))
    nicodec.decode(tmp_path / "coded.nic").save(tmp_path / "decoded.png")
    assert moved(tmp_path) == {path.name for path in tmp_path.iterdir() if path.name[0] != "."} - {"source.jpg"}


def test_a_coded_picture_is_a_copy_of_its_source_though_another_ranks_first(source: Path, tmp_path: Path) -> None:
    data = nicodec.encode(source, quality=40, model="photo-fast")
    (tmp_path / "coded.nic").write_bytes(data)
    nicodec.decode(data, natural=1).save(tmp_path / "natural.png")
    assert moved(tmp_path) == {"coded.nic"}


def test_what_was_made_of_a_picture_without_loss_is_evident(tmp_path: Path) -> None:
    photograph().save(tmp_path / "source.png")
    photograph().save(tmp_path / "out.jpg", quality=80)
    (tmp_path / "coded.nic").write_bytes(nicodec.encode(photograph(), quality=60, model="photo-fast"))
    assert moved(tmp_path) == {"out.jpg", "coded.nic"}


@pytest.mark.parametrize(
    "name",
    ["again.jpg", "large.png", "large.jpg", "blocks.png", "framed.png", "gray.png", "brighter.png", "natural.png"],
)
def test_an_original_stays_whatever_ranks_above_it(source: Path, tmp_path: Path, name: str) -> None:
    image = opened(source)
    width, height = image.size
    changed = {
        "again": lambda: image,
        "large": lambda: image.resize((2 * width, 2 * height), Image.Resampling.BICUBIC),
        "blocks": lambda: image.resize((2 * width, 2 * height), Image.Resampling.NEAREST),
        "framed": lambda: ImageOps.expand(image, 25, "white"),
        "gray": lambda: image.convert("L"),
        "brighter": lambda: ImageEnhance.Brightness(image).enhance(1.15),
        "natural": lambda: nicodec.decode(nicodec.encode(image, quality=30, model="photo-fast"), natural=1),
    }[name.split(".")[0]]()
    changed.save(tmp_path / name, **({"quality": 97} if name.endswith("jpg") else {}))
    assert "source.jpg" not in moved(tmp_path)


@pytest.mark.parametrize(("first", "later"), [(10, 60), (20, 80), (60, 92)])
def test_a_jpeg_that_was_saved_again_at_more_bytes_hides_no_original(tmp_path: Path, first: int, later: int) -> None:
    """Each of the two may come out when the other is compressed in its way."""
    photograph().save(tmp_path / "source.jpg", quality=first)
    opened(tmp_path / "source.jpg").save(tmp_path / "again.jpg", quality=later)
    (group,) = found(tmp_path)
    assert group.files == ["again.jpg", "source.jpg"]
    assert evidence.copies(group, str(tmp_path)) == []


def test_a_coded_picture_stays_if_all_else_was_made_of_it(tmp_path: Path) -> None:
    data = nicodec.encode(photograph(), quality=50, model="photo-fast")
    (tmp_path / "coded.nic").write_bytes(data)
    nicodec.decode(data).save(tmp_path / "out.jpg", quality=90)
    nicodec.decode(data, natural=1).save(tmp_path / "natural.png")
    assert "coded.nic" not in moved(tmp_path)


def test_the_same_look_with_more_bits_alpha_or_metadata_stays(tmp_path: Path) -> None:
    image = photograph()
    image.save(tmp_path / "plain.bmp")
    exif = Image.Exif()
    exif[0x010F] = "camera"
    image.save(tmp_path / "told.png", exif=exif)
    alpha = np.full(image.size[::-1], 255, np.uint8)
    alpha[:, 0] = 0
    white = np.array(image)
    white[:, 0] = 255
    assert moved(tmp_path) == set()
    (tmp_path / "a").mkdir()
    Image.fromarray(white).save(tmp_path / "a" / "white.bmp")
    Image.fromarray(np.dstack([white, alpha])).save(tmp_path / "a" / "clear.png")
    assert moved(tmp_path / "a") == set()


def test_a_file_that_is_gone_is_no_copy_and_hides_none(source: Path, tmp_path: Path) -> None:
    opened(source).save(tmp_path / "low.jpg", quality=40)
    (group,) = found(tmp_path)
    source.unlink()
    assert evidence.copies(group, str(tmp_path)) == []
