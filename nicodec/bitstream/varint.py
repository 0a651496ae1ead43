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
    """A number below 2^32 in its shortest form -> its value, and the place after it.

    Raises BadFile for any other and for one that is cut short, naming the `part` of the file.
    """
    value = 0
    for i, byte in enumerate(data[at : at + LONGEST]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            if (byte == 0 and i > 0) or value >= 2**32:
                break
            return value, at + i + 1
    raise BadFile(f"{part} holds a malformed number")


def read_head(data: bytes, at: int, count: int, part: str) -> tuple[list[int], int]:
    """So many numbers of the head of a file -> their values, and the place after them.

    Raises BadFile as `read` does, but says that the file ends within this part where it does.
    """
    values = []
    for _ in range(count):
        if len(data) < at + LONGEST and min(data[at:], default=0x80) >= 0x80:
            raise BadFile(f"the file ends within its {part}")
        value, at = read(data, at, f"the {part}")
        values.append(value)
    return values, at
