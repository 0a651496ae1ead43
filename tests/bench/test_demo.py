"""The demonstration, its codec replaced by one that needs no model: what it prints and what it leaves."""

import importlib.util
import io
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nicodec


@pytest.fixture(scope="module")
def demo() -> Any:
    spec = importlib.util.spec_from_file_location("demo", Path(__file__).parents[2] / "bench" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def picture() -> Image.Image:
    """Smooth enough for a codec, busy enough to cost something."""
    rough = np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8)
    return Image.fromarray(rough).resize((192, 144), Image.Resampling.BICUBIC)


def webp(image: Image.Image, *, quality: float, lossless: bool = False) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=quality)
    return out.getvalue()


def test_prints_both_sizes_and_writes_the_pictures(
    demo: Any, picture: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture.save(tmp_path / "photo.png")
    monkeypatch.setattr(nicodec, "encode", webp, raising=False)
    monkeypatch.setattr(nicodec, "decode", lambda data: demo.opened(data), raising=False)
    monkeypatch.setattr(sys, "argv", ["demo.py", str(tmp_path / "photo.png"), "--out", str(tmp_path / "out")])
    demo.main()
    shown = capsys.readouterr().out
    size = len(webp(picture, quality=40))
    assert re.search(rf"nicodec +{size:,} bytes", shown)
    assert re.search(r"JPEG of equal PSNR +[\d,]+ bytes .* between quality \d+ .* and \d+", shown)
    assert re.search(r"nicodec needs \d+ % (fewer|more) bytes", shown)
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["photo.jpg", "photo.nic", "photo.png", "side-by-side.png"]
    assert (out / "photo.nic").stat().st_size == size
    assert (out / "photo.jpg").stat().st_size <= size
    with Image.open(out / "side-by-side.png") as sheet:
        assert sheet.width > 3 * picture.width
        assert sheet.height > 2 * picture.height


def test_jpeg_of_equal_psnr_lies_between_its_neighbours(demo: Any, picture: Image.Image) -> None:
    for quality in (1, 37, 80, 100):
        data = demo.as_jpeg(picture, quality)
        size, how = demo.jpeg_of_equal_psnr(picture, demo.psnr(picture, demo.opened(data)))
        assert size == pytest.approx(len(data), rel=1e-9), how
    for goal, quality in ((1.0, 1), (99.0, 100)):
        size, how = demo.jpeg_of_equal_psnr(picture, goal)
        assert size == len(demo.as_jpeg(picture, quality))
        assert "not of equal PSNR" in how


def test_jpeg_of_equal_size_is_the_largest_that_fits(demo: Any, picture: Image.Image) -> None:
    for size in (2500, 4000, 6000):
        data, quality = demo.jpeg_of_equal_size(picture, size)
        assert len(data) <= size < len(demo.as_jpeg(picture, quality + 1))
    assert demo.jpeg_of_equal_size(picture, 10)[1] == 1
    assert demo.jpeg_of_equal_size(picture, 10**9)[1] == 100


def test_what_is_transparent_lies_over_white_and_is_told(
    demo: Any, picture: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture.putalpha(0)
    picture.save(tmp_path / "clear.png")
    seen: list[Image.Image] = []
    monkeypatch.setattr(
        nicodec, "encode", lambda image, quality, lossless: seen.append(image) or webp(image, quality=quality)
    )
    monkeypatch.setattr(nicodec, "decode", lambda data: demo.opened(data))
    monkeypatch.setattr(sys, "argv", ["demo.py", str(tmp_path / "clear.png"), "--out", str(tmp_path / "out")])
    demo.main()
    assert "lies over white" in capsys.readouterr().out
    assert np.all(np.asarray(seen[0]) == 255)
