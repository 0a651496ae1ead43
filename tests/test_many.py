"""encode_many and decode_many: order, errors as items, bounded look-ahead, progress."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nicodec
from nicodec import Codec, NicError


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec("photo-fast")


def pictures(count: int) -> Iterator[Any]:
    for n in range(count):
        y, x = np.mgrid[: 20 + n, : 30 + n]
        yield np.stack([(3 * x + n) % 256, (5 * y) % 256, (x * y) % 256], -1).astype(np.uint8)


@pytest.mark.parametrize("workers", [1, 3, None])
def test_results_are_those_of_one_at_a_time(codec: Codec, workers: int | None) -> None:
    done: list[int] = []
    files = list(codec.encode_many(pictures(7), quality=30, workers=workers, progress=done.append))
    assert files == [nicodec.encode(p, quality=30, model="photo-fast") for p in pictures(7)]
    assert done == [1, 2, 3, 4, 5, 6, 7]
    back = list(codec.decode_many(files, workers=workers))
    for picture, original in zip(back, pictures(7), strict=True):
        assert np.asarray(picture).shape == original.shape
    small = list(codec.decode_many(files, workers=workers, scale=1 / 8))
    assert [s.size for s in small] == [(-(-(30 + n) // 8), -(-(20 + n) // 8)) for n in range(7)]


def test_an_error_takes_the_place_of_its_item(codec: Codec, tmp_path: Path) -> None:
    bad = np.zeros((4, 4, 5), np.uint8)
    first, error, last = codec.encode_many([next(pictures(1)), bad, next(pictures(1))], workers=2)
    assert isinstance(first, bytes)
    assert first == last
    assert isinstance(error, nicodec.BadImage)
    (tmp_path / "a.nic").write_bytes(first)
    paths = [tmp_path / "a.nic", tmp_path / "none.nic", first[:-1]]
    picture, missing, cut = codec.decode_many(paths)
    assert np.array_equal(picture, codec.decode(first))  # type: ignore[arg-type]
    assert isinstance(missing, NicError)
    assert "none.nic" in str(missing)
    assert isinstance(cut, nicodec.BadFile)


@pytest.mark.parametrize(
    "one", ["photo.png", Path("photo.png"), b"\x89NIC", bytearray(4), io.BytesIO(), Image.new("L", (2, 2))]
)
def test_one_picture_is_not_taken_for_many(codec: Codec, one: Any) -> None:
    for many in (codec.encode_many, codec.decode_many, nicodec.Choice(codec).encode_many):
        with pytest.raises(NicError, match=r"^give a list of pictures, not one$"):
            many(one)


def test_streams_and_pillow_images_keep_their_metadata(codec: Codec) -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    Image.fromarray(next(pictures(1))).save(buffer, "JPEG", exif=exif)
    with Image.open(io.BytesIO(buffer.getvalue())) as image:
        one, other = codec.encode_many([io.BytesIO(buffer.getvalue()), image], workers=2)
    assert one == other == codec.encode(buffer.getvalue())
    assert codec.decode(one).size == (20, 30)  # upright
    assert codec.decode(one).getexif()[0x010F] == "a camera"


def test_what_is_lost_is_warned_of_here(codec: Codec) -> None:
    buffer = io.BytesIO()
    Image.new("CMYK", (4, 4)).save(buffer, "TIFF")
    with pytest.warns(UserWarning, match="CMYK"):
        assert len(list(codec.encode_many([buffer.getvalue()] * 2, workers=2))) == 2


def test_sources_are_taken_as_results_are_wanted(codec: Codec) -> None:
    taken: list[int] = []

    def sources() -> Iterator[Any]:
        for n, picture in enumerate(pictures(50)):
            taken.append(n)
            yield picture

    results = codec.encode_many(sources(), workers=2)
    next(results)
    assert len(taken) <= 4
    with pytest.raises(NicError, match="workers"):
        codec.encode_many([], workers=0)
