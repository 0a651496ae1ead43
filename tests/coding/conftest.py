"""What tests of natural pictures share: a codec, a photograph, and its file with much left out."""

from typing import Any

import numpy.typing as npt
import pytest

from nicodec.codec import Codec

Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec("photo-fast", threads=1)


@pytest.fixture(scope="module")
def photograph() -> Array:
    data = pytest.importorskip("skimage.data")
    pixels: Array = data.chelsea()[20:276, 60:444]
    return pixels


@pytest.fixture(scope="module")
def file(codec: Codec, photograph: Array) -> bytes:
    data: bytes = codec.encode(photograph, quality=25)
    return data
