"""The chunk of a correction: every correction comes back, and anything malformed is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicodec.bitstream import container, correction
from nicodec.bitstream.correction import Correction
from nicodec.errors import BadFile

WIDTHS = np.array([2, 0, -1, 3, -16, 16], np.int8)


@given(st.integers(0, 31), st.integers(0, 7), st.lists(st.floats(-1, 1), min_size=1, max_size=6))
def test_every_correction_comes_back(step: int, wider: int, shares: list[float]) -> None:
    most = correction.largest(correction.low_bits(WIDTHS, wider), step)[: len(shares)]
    made = Correction(step, wider, np.rint(np.array(shares) * most).astype(np.int64))
    payload = correction.encode(made, WIDTHS)
    back = correction.decode(payload, WIDTHS)
    assert (back.step, back.wider) == (step, wider)
    assert back.coefficients.tolist() == made.coefficients.tolist()
    bits = correction.lengths(made.coefficients, correction.low_bits(WIDTHS, wider)[: len(shares)]).sum()
    assert len(payload) == 2 + -(-bits // 8)


# A step of 2^-5 and one bit more than the model's: 3 low bits for the first code, 1 for the second, none for the third.
# -2 is 3: no one, a zero and the low bits 011. 0 is a zero and the low bit 0. -1 is 1: a one and a zero.
GOOD = bytes([5 * 8 + 1, 3, 0b0011_00_10])


def test_a_payload_is_what_the_format_says() -> None:
    found = correction.decode(GOOD, WIDTHS)
    assert (found.step, found.wider, found.coefficients.tolist()) == (5, 1, [-2, 0, -1])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        GOOD[:1],
        GOOD[:2],
        GOOD + b"\0",  # a byte more than the codes need
        bytes([GOOD[0], 0]),  # no coefficient
        bytes([GOOD[0], 7]) + bytes(20),  # more than the model has
        GOOD[:2] + b"\xff",  # a code without its end
        bytes([7, 2]) + b"\xff" * 30,
        GOOD[:2] + b"\0\1",  # ones in the filling
        bytes([1 * 8, 1, 0b00100000]),  # 1 in steps of a half: over a quarter
        bytes([31 * 8 + 7, 1]) + b"\xff" * 7 + b"\xfe" + b"\xff\xff" + bytes(200),
    ],
)
def test_a_malformed_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(BadFile):
        correction.decode(payload, WIDTHS)


def test_a_model_without_filters_refuses_every_correction() -> None:
    with pytest.raises(BadFile):
        correction.decode(GOOD, np.zeros(0, np.int8))


def test_a_correction_has_a_chunk_that_a_decoder_must_know() -> None:
    assert container.Kind.CORRECTION < container.SKIPPABLE
