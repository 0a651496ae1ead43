"""Several models for one picture: the cheapest file is kept, whatever was asked for."""

import math
import pickle
from typing import Any

import fuzz_decode
import numpy as np
import pytest

import nicodec
from nicodec import BadImage, Choice, Codec, NicError, TargetMissed
from nicodec.coding import quantize
from nicodec.picture import reader

TINY, FAST = (Codec(model, threads=1) for model in (fuzz_decode.TINY, "photo-fast"))
Y, X = np.mgrid[:96, :128]
SMOOTH = np.stack([128 + 90 * np.sin((X + 2 * Y) / 30 + p) for p in range(3)], -1).astype(np.uint8)
ONLY_LOSSY: dict[str, Any] = {"lossless": False}


def cost(codec: Codec, data: bytes, picture: Any, quality: float) -> float:
    error = np.square(np.asarray(codec.decode(data)).astype(float) - picture).mean()
    return float(8 * len(data) + quantize.lambda_of(round(100 * quality)) * error * picture.shape[0] * picture.shape[1])


@pytest.mark.parametrize("quality", [0, 50, 100])
def test_at_a_quality_bits_and_error_count(quality: float) -> None:
    for picture in (SMOOTH, np.full((16, 16, 3), 77, np.uint8), np.random.default_rng(0).integers(0, 256, (64, 64, 3))):
        picture = picture.astype(np.uint8)
        files = {codec: codec.encode(picture, quality=quality, **ONLY_LOSSY) for codec in (TINY, FAST)}
        best = min(files, key=lambda codec: cost(codec, files[codec], picture, quality))
        for codecs in ((TINY, FAST), (FAST, TINY)):
            choice = Choice(*codecs)
            made = choice.encode(picture, quality=quality, **ONLY_LOSSY)
            assert made == files[best]
            assert made.model_id == best.checkpoint.id.hex()
            assert choice.maker(made) is best
            assert choice.psnr(reader.read(picture), made) == pytest.approx(best.psnr(reader.read(picture), made))


def test_a_file_that_is_larger_may_be_the_better_one() -> None:
    """Neither bytes nor error alone decide."""
    picture = SMOOTH
    lossy = [codec.encode(picture, quality=90, **ONLY_LOSSY) for codec in (TINY, FAST)]
    errors = [math.inf if c is None else -c for c in (TINY.psnr(reader.read(picture), lossy[0]),
                                                      FAST.psnr(reader.read(picture), lossy[1]))]  # fmt: skip
    assert len(lossy[0]) != len(lossy[1])
    assert errors[0] > errors[1]
    assert Choice(TINY, FAST).encode(picture, quality=90, **ONLY_LOSSY) == lossy[1]


def test_a_target_has_its_own_measure() -> None:
    picture = reader.read(SMOOTH)
    choice = Choice(TINY, FAST)
    sized = choice.encode(SMOOTH, target_bytes=800, **ONLY_LOSSY)
    assert len(sized) <= 800
    # The tiny model warns that it cannot make so large a file; nobody needs to know.
    with pytest.warns(UserWarning, match="takes only"):
        found = {codec: codec.encode(SMOOTH, target_bytes=800, **ONLY_LOSSY) for codec in (TINY, FAST)}
    best = max(found, key=lambda codec: codec.psnr(picture, found[codec]))
    assert sized == found[best]
    assert best is FAST
    with pytest.warns(UserWarning, match="takes only"):  # it is kept, and so is its warning
        Choice(TINY, TINY).encode(SMOOTH, target_bytes=800, **ONLY_LOSSY)
    full = Codec("photo", threads=1)
    for codecs in ((FAST, full), (full, FAST)):
        wanted = Choice(*codecs).encode(SMOOTH, target_psnr=38, **ONLY_LOSSY)
        assert len(wanted) == min(len(codec.encode(SMOOTH, target_psnr=38, **ONLY_LOSSY)) for codec in codecs)


def test_who_refuses_leaves_the_choice_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(error: Exception) -> Codec:
        codec = Codec(fuzz_decode.TINY, threads=1)

        def refuse(*_: object, **__: object) -> None:
            raise error

        codec.encode = refuse  # type: ignore[method-assign, assignment]
        return codec

    gray, missed = refusing(BadImage("gray pictures only")), refusing(TargetMissed("too small"))
    assert Choice(gray, FAST, missed).encode(SMOOTH) == FAST.encode(SMOOTH)
    with pytest.raises(BadImage, match="gray pictures only"):
        Choice(gray, missed).encode(SMOOTH)
    with pytest.raises(nicodec.BadModel):  # not a matter of the picture
        Choice(FAST, refusing(nicodec.BadModel("broken"))).encode(SMOOTH)
    with pytest.raises(NicError, match="no model"):
        Choice()


def test_what_needs_no_model_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TINY, "encode", lambda *_, **__: pytest.fail("for nothing"))
    for way in ({"lossless": True}, {"quality": "lossless"}):
        made = Choice(FAST, TINY).encode(SMOOTH, **way)
        assert made == FAST.encode(SMOOTH, **way)
        assert made.model_id is None
    monkeypatch.undo()
    drawing = np.zeros((64, 64, 3), np.uint8)
    drawing[10:30, 10:30] = 255
    assert Choice(TINY, FAST).encode(drawing).lossless == FAST.encode(drawing).lossless


def test_progress_goes_through_all_models() -> None:
    seen: list[float] = []
    Choice(TINY, FAST).encode(SMOOTH, progress=lambda done, cost: seen.append(done), **ONLY_LOSSY)
    assert seen == sorted(seen)
    assert (seen[-1], 0.5 in seen) == (1.0, True)


def test_choices_travel_to_processes_and_take_many() -> None:
    choice = Choice(TINY, FAST)
    expected = choice.encode(SMOOTH)
    assert pickle.loads(pickle.dumps(choice)).encode(SMOOTH) == expected
    for workers in (1, 2):
        first, bad, last = choice.encode_many([SMOOTH, b"no picture", SMOOTH], workers=workers)
        assert first == last == expected
        assert isinstance(bad, BadImage)


def test_the_function_takes_several_models() -> None:
    models = [str(fuzz_decode.TINY), "photo-fast"]
    assert nicodec.encode(SMOOTH, model=models) == Choice(TINY, FAST).encode(SMOOTH)
    assert nicodec.encode(SMOOTH, model=["photo-fast"]) == nicodec.encode(SMOOTH, model="photo-fast")
    with pytest.raises(NicError):
        nicodec.encode(SMOOTH, model=[])
