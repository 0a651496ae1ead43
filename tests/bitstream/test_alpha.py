"""The alpha plane comes back exactly; anything but such a plane is refused, in bounded memory."""

import contextlib
import tracemalloc
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicodec.bitstream.alpha import CONSTANT, PLAIN, VERTICAL, decode, encode
from nicodec.errors import BadFile

Plane = npt.NDArray[np.uint8]


def plane(height: int, width: int, seed: int = 0) -> Plane:
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 3), st.integers(1, 256))
def test_every_plane_comes_back(height: int, width: int, seed: int, levels: int) -> None:
    alpha = (plane(height, width, seed) // levels).astype(np.uint8)
    back = decode(encode(alpha), width, height)
    assert back.dtype == np.uint8
    assert np.array_equal(back, alpha)


@pytest.mark.parametrize("value", [0, 1, 255])
def test_a_constant_plane_takes_two_bytes(value: int) -> None:
    assert encode(np.full((500, 700), value, np.uint8)) == bytes([CONSTANT, value])


def test_the_shorter_way_is_taken() -> None:
    rows = np.repeat(plane(1, 64), 64, 0)
    steep = rows + np.square(np.arange(64, dtype=np.uint8))[:, None]
    noise = plane(64, 64)
    assert [encode(a)[0] for a in (steep, noise)] == [VERTICAL, PLAIN]
    for alpha in (rows, steep, noise):
        assert len(encode(alpha)) <= alpha.size + 20
        assert np.array_equal(decode(encode(alpha), 64, 64), alpha)


def test_every_damage_is_refused_or_is_a_plane() -> None:
    alpha = (plane(4, 5) // 64).astype(np.uint8)
    data = encode(alpha)
    for end in range(len(data)):
        with pytest.raises(BadFile):
            decode(data[:end], 5, 4)
    for at in range(1, len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            with contextlib.suppress(BadFile):
                assert np.array_equal(decode(bytes(damaged), 5, 4), alpha)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\0", b"\0\1\2", b"\3", b"\3\0", b"\xff" + zlib.compress(bytes(20)), b"\1", b"\1junk",
     b"\1" + zlib.compress(bytes(19)), b"\1" + zlib.compress(bytes(21)),
     b"\1" + zlib.compress(bytes(20)) + b"x",
     b"\2" + zlib.compress(bytes(20))[:-1]],
)  # fmt: skip
def test_other_payloads_are_refused(payload: bytes) -> None:
    with pytest.raises(BadFile, match="alpha"):
        decode(payload, 5, 4)


def test_it_never_inflates_past_the_plane() -> None:
    bomb = b"\1" + zlib.compress(bytes(10**7), 9)
    tracemalloc.start()
    with pytest.raises(BadFile):
        decode(bomb, 5, 4)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()
