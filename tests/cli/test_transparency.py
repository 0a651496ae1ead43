"""Transparent pictures on the command line: formats without alpha need a background, one file and many."""

from pathlib import Path

import fuzz_decode
import numpy as np
import pytest
from PIL import Image
from program import Run, names

TINY = ("-j", 1, "-m", str(fuzz_decode.TINY))


def drawn(name: str, alpha: int) -> None:
    image = Image.new("RGBA", (40, 30), (200, 30, 30, 255))
    image.paste((0, 0, 255, alpha), (0, 0, 20, 30))
    image.save(name)


@pytest.mark.parametrize("format", ["jpg", "bmp", "ppm"])
def test_a_transparent_picture_needs_a_background(run: Run, here: Path, format: str) -> None:
    drawn("t.png", 0)
    run("encode", "t.png", *TINY)
    before = names(here)
    code, out, said = run("decode", "t.nic", f"t.{format}", *TINY)
    assert (code, out) == (3, b"")
    assert "--background" in said
    assert len(said.splitlines()) == 1
    assert names(here) == before
    said = run("decode", "t.nic", f"t.{format}", "--background", "white", *TINY)[2]
    assert said == f"t.nic -> t.{format}: 40x30 RGB\n"  # what was written
    with Image.open(f"t.{format}") as image:
        assert min(image.convert("RGB").getpixel((5, 5))) > 250  # type: ignore[type-var]


def test_an_opaque_alpha_plane_is_no_obstacle(run: Run, here: Path) -> None:
    drawn("t.png", 255)
    run("encode", "t.png", *TINY)
    assert run("decode", "t.nic", "t.jpg", *TINY)[0] == 0
    drawn("t.png", 0)
    run("encode", "t.png", "-f", *TINY)
    assert run("decode", "t.nic", "part.jpg", "--region", "20,0,20,30", *TINY)[0] == 0


def test_of_many_only_the_transparent_ones_are_left(run: Run, here: Path) -> None:
    drawn("t.png", 100)
    drawn("o.png", 255)
    run("encode", "t.png", "o.png", "in/", *TINY)
    code, _, said = run("decode", "in", "out/", "--format", "jpg", *TINY)
    assert code == 5
    assert "t.jpg: the picture is transparent" in said
    assert names(here / "out") == ["o.jpg"]
    assert run("decode", "in", "out/", "--format", "jpg", "--background", "#fff", "--skip-existing", *TINY)[0] == 0
    assert names(here / "out") == ["o.jpg", "t.jpg"]


def test_a_background_that_is_no_colour_is_bad_usage(run: Run, here: Path) -> None:
    run("encode", "a.png", *TINY)
    code, _, said = run("decode", "a.nic", "b.jpg", "--background", "paper", *TINY)
    assert code == 2
    assert "--background" in said
    assert not np.any([name == "b.jpg" for name in names(here)])
