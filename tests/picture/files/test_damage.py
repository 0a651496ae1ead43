"""Damage is refused or said in one note; never a silent guess, and nothing on the standard error of the program."""

import io
import struct
import threading
import zlib
from typing import Any

import numpy as np
import pytest
from handmade import soft, tiff_of
from PIL import Image

from nicodec.errors import BadImage
from nicodec.picture.files import damage
from nicodec.picture.reader import read

NOISY = (soft().astype(int) // 2 + np.random.default_rng(3).integers(0, 128, (64, 96, 3))).astype(np.uint8)


def jpeg(image: Any = NOISY, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=90, **options)
    return out.getvalue()


JPEGS = {"baseline": jpeg(), "progressive": jpeg(progressive=True), "restarts": jpeg(restart_marker_blocks=4),
         "gray": jpeg(NOISY[:, :, 0])}  # fmt: skip


@pytest.mark.parametrize("data", JPEGS.values(), ids=JPEGS)
@pytest.mark.parametrize("behind", [b"", bytes(500), b"\xff\xd8\xff more", b"\xff" * 50])
def test_a_whole_jpeg_has_no_note_whatever_stands_behind(data: bytes, behind: bytes) -> None:
    assert read(data + behind).notes == ()


@pytest.mark.parametrize("data", JPEGS.values(), ids=JPEGS)
def test_a_missing_end_marker_alone_is_said(data: bytes) -> None:
    picture = read(data[:-2])
    assert np.array_equal(picture.pixels, read(data).pixels)
    assert picture.notes == ("the file ends without its end marker, so it may have been cut off",)


@pytest.mark.parametrize("data", JPEGS.values(), ids=JPEGS)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_a_jpeg_that_was_cut_off_is_never_silent(data: bytes, share: float) -> None:
    cut = data[: int(len(data) * share)]
    with pytest.raises(BadImage):
        read(cut)
    try:  # with an end marker, as some programs mend it
        notes = read(cut + b"\xff\xd9").notes
    except BadImage:
        return
    assert notes


@pytest.mark.parametrize("name", ["baseline", "restarts", "progressive"])
def test_a_jpeg_whose_decoder_guesses_has_one_note(name: str) -> None:
    data = bytearray(JPEGS[name])
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    for source in (bytes(data), Image.open(io.BytesIO(data))):
        notes = read(source).notes
        assert len(notes) == 1
        assert notes[0].startswith("a damaged JPEG, whose decoder had to guess, so parts may be wrong: ")


def test_components_without_samples_never_come_out_gray() -> None:
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 64, 96, 3) + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    gray = JPEGS["gray"]
    at = gray.index(b"\xff\xc0")
    data = gray[:at] + frame + gray[at + 13 :]
    with pytest.raises(BadImage, match="samples of 2 of its components are missing"):
        read(data)


def test_a_progressive_jpeg_without_its_last_scans_says_so() -> None:
    data = JPEGS["progressive"]
    last = data.rindex(b"\xff\xda")
    picture = read(data[:last] + b"\xff\xd9")
    assert picture.notes == ("a progressive JPEG lacks its last scans, so it is coarser than it was made",)


def test_endless_segments_take_bounded_time() -> None:
    data = b"\xff\xd8" + b"\xff\xe0\x00\x02" * 200_000
    assert len(damage._segments(data)) == 10_000


def test_fill_before_a_byte_that_is_no_marker_takes_no_time() -> None:
    data = b"\xff\xd8" + (b"\xff" * 1_000_000 + b"\0") * 2 + b"\xff\xff\xd9"
    assert damage._segments(data) == [(0xD9, b"")]


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("PNG", {}), ("WEBP", {}), ("WEBP", {"lossless": True}), ("AVIF", {}), ("TIFF", {}), ("BMP", {}), ("GIF", {}),
    ("TIFF", {"compression": "tiff_lzw"}), ("TGA", {}), ("TGA", {"compression": "tga_rle"}), ("PPM", {}), ("PCX", {}),
    ("JPEG2000", {}), ("SGI", {}), ("DDS", {}), ("ICO", {}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("share", [0.4, 0.7, 0.95])
@pytest.mark.filterwarnings("ignore")  # of Pillow
def test_what_was_cut_off_is_refused(kind: str, options: dict[str, Any], share: float) -> None:
    out = io.BytesIO()
    Image.fromarray(NOISY).save(out, kind, **options)
    with pytest.raises(BadImage):
        read(out.getvalue()[: int(len(out.getvalue()) * share)])


def fax(rows: int = 64) -> bytes:
    """A TIFF of fax, Group 3, whose samples are noise: libtiff has a line for almost every row."""
    return tiff_of([np.random.default_rng(1).bytes(2000)], (rows, 256), 1, 0, compression=3)


def test_the_lines_of_libtiff_become_one_note(capfd: pytest.CaptureFixture[str]) -> None:
    try:
        notes = read(fax()).notes
    except BadImage:
        notes = ("a damaged TIFF",)
    assert len(notes) == 1
    assert notes[0].startswith("a damaged TIFF")
    assert capfd.readouterr().err == ""


def test_threads_hear_of_their_own_faults_alone(capfd: pytest.CaptureFixture[str]) -> None:
    whole = tiff_of([zlib.compress(soft().tobytes())], (64, 96), 8, 2, samples=3, compression=1)
    out = io.BytesIO()
    Image.fromarray(soft()).save(out, "TIFF", compression="tiff_lzw")
    whole, found = out.getvalue(), dict[int, list[tuple[str, ...]]]()

    def work(number: int) -> None:
        found[number] = [read(whole if number % 2 else fax()).notes for _ in range(10)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {len(notes) for number in (0, 2) for notes in found[number]} == {1}
    assert {notes for number in (1, 3) for notes in found[number]} == {()}
    assert capfd.readouterr().err == ""
