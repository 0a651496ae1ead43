"""Whatever holds a file or a picture is taken, anything else is a NicError, and warnings point at the caller."""

import io
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nicodec
from nicodec.coding import crew
from nicodec.errors import NicError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.fixture(scope="module")
def codec() -> nicodec.Codec:
    return nicodec.Codec("photo-fast", threads=1)


@pytest.fixture(scope="module")
def data(codec: nicodec.Codec) -> bytes:
    return bytes(codec.encode(PIXELS))


def test_every_holder_of_a_file_is_decoded(codec: nicodec.Codec, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.nic"
    path.write_bytes(data)
    pixels = codec.decode(data).tobytes()

    def holders() -> list[Any]:
        return [path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data)]

    for decode in (codec.decode, nicodec.decode):
        assert {decode(holder).tobytes() for holder in holders()} == {pixels}
    assert {nicodec.info(holder) for holder in holders()} == {nicodec.info(data)}
    assert {image.tobytes() for image in codec.decode_many(holders())} == {pixels}  # type: ignore[union-attr]


NO_FILES: list[Any] = [None, 5, object(), [1, 2], PIXELS, io.StringIO("text"), "nowhere.nic", b"", b"text"]


@pytest.mark.parametrize("source", NO_FILES, ids=lambda source: type(source).__name__)
def test_anything_else_is_an_error_of_ours(codec: nicodec.Codec, source: Any) -> None:
    for call in (codec.decode, nicodec.decode, nicodec.info):
        with pytest.raises(NicError):
            call(source)
    (found,) = codec.decode_many([source])
    assert isinstance(found, NicError)


def test_a_stream_is_read_from_where_it_stands(codec: nicodec.Codec, data: bytes) -> None:
    stream = io.BytesIO(b"before" + data)
    stream.seek(6)
    assert codec.decode(stream).size == (30, 20)


def test_a_decoded_gray_picture_with_alpha_is_encoded_again(codec: nicodec.Codec) -> None:
    gray = np.dstack([PIXELS[:, :, 0], PIXELS[:, :, 1]])
    back = np.asarray(codec.decode(codec.encode(gray)))
    assert back.shape == (20, 30, 2)
    assert np.array_equal(back[:, :, 1], gray[:, :, 1])
    assert codec.decode(codec.encode(back)).mode == "LA"


def test_warnings_point_at_the_line_of_the_caller(codec: nicodec.Codec, tmp_path: Path) -> None:
    ink = Image.fromarray(PIXELS).convert("CMYK")
    import nicodec.pillow

    calls = [
        lambda: codec.encode(ink),
        lambda: nicodec.encode(ink, model="photo-fast"),
        lambda: list(codec.encode_many([ink], workers=1)),
        lambda: codec.encode(PIXELS, target_bytes=10**7, lossless=False),
        lambda: nicodec.encode(PIXELS, model="photo-fast", target_bytes=10**7, lossless=False),
        lambda: ink.save(tmp_path / "a.nic", model="photo-fast"),
    ]
    for call in calls:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        assert {warning.filename for warning in caught} == {__file__}


def test_two_targets_are_named_as_python_names_them(codec: nicodec.Codec) -> None:
    with pytest.raises(NicError, match="target_bytes, target_bpp and target_psnr"):
        codec.encode(PIXELS, target_bytes=100, target_bpp=1)


def test_a_frozen_program_works_in_threads(codec: nicodec.Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is its own `sys.executable`: a process of it would begin the program again."""
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a process was begun"))
    for name, value in (("frozen", True), ("executable", None)):
        with monkeypatch.context() as patch:
            patch.setattr(sys, name, value, raising=False)
            assert len({*codec.encode_many([PIXELS] * 3, workers=2)}) == 1  # type: ignore[arg-type]


def test_no_more_pictures_are_worked_on_than_there_are_cores(
    codec: nicodec.Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many threads a server has: each picture takes memory."""
    monkeypatch.setattr(crew._turns, "free", threading.BoundedSemaphore(1))
    at_work, most, lock = [0], [0], threading.Lock()
    h_a = codec.networks.h_a

    def counted(*given: Any) -> Any:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        try:
            return h_a(*given)
        finally:
            with lock:
                at_work[0] -= 1

    monkeypatch.setattr(codec.networks, "h_a", counted)
    threads = [threading.Thread(target=codec.encode, args=(PIXELS,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_a_stream_that_another_call_fills_is_waited_for_outside_of_turns(
    codec: nicodec.Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the call that reads would keep the only turn from the call that writes, for ever."""
    monkeypatch.setattr(crew._turns, "free", threading.BoundedSemaphore(1))

    class Filled(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            made: list[bytes] = []
            writer = threading.Thread(target=lambda: made.append(codec.encode(PIXELS)), daemon=True)
            writer.start()
            writer.join(60)
            return made[0]

    assert codec.decode(Filled()).size == (30, 20)


@pytest.mark.slow
def test_a_type_checker_knows_the_names_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = pytest.importorskip("mypy.api")
    monkeypatch.setattr(sys, "setrecursionlimit", lambda limit: None)  # it would stay raised for all other tests
    wrong, right = tmp_path / "wrong.py", tmp_path / "right.py"
    wrong.write_text("import nicodec\nnicodec.nope\n")
    right.write_text("import nicodec\nnicodec.encode, nicodec.Codec, nicodec.open\n")
    options = ["--cache-dir", str(tmp_path / "cache"), "--follow-imports", "silent"]
    assert api.run([str(right), *options])[2] == 0
    assert 'Module has no attribute "nope"' in api.run([str(wrong), *options])[0]
