"""Numbers in as few bytes as they need: LEB128, seven bits in each byte, the lowest first.

Under `container`, `entropy` and `model.backends.weights`; imports nothing but errors.
"""

from __future__ import annotations

from nicodec.errors import BadFile

# The most bytes of a number that `read` takes.
LONGEST = 5


def encode(value: int) -> bytes:
    """The bytes of a number of at least 0."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read(data: bytes, at: int, part: str) -> tuple[int, int]:
    """A number in its shortest form -> its value, and the place after it.

    Raises BadFile, naming the `part` of the file, for a number that is longer, of over five bytes, or cut short.
    """
    value = 0
    for i, byte in enumerate(data[at : at + LONGEST]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            if byte == 0 and i > 0:
                break
            return value, at + i + 1
    raise BadFile(f"{part} holds a malformed number")
