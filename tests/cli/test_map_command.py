"""`nicodec map` and `interpolate`: what they write, say and refuse."""

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from program import Run

import nicodec


def scene(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    pixels = np.full((60, 80, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(20):
        top, left, size = rng.integers(0, 60), rng.integers(0, 80), rng.integers(5, 30)
        pixels[top : top + size, left : left + size] = rng.integers(0, 256, 3)
    return Image.fromarray(pixels)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        folder = tmp_path / "photos" / ("even", "odd #")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        scene(number).save(folder / f"{number}.png")
    data = nicodec.encode(scene(20), quality=60, model="photo-fast", lossless=False)
    (tmp_path / "photos" / "a.nic").write_bytes(data)
    return tmp_path / "photos"


def test_a_map_is_a_page_and_a_table(run: Run, photos: Path) -> None:
    pytest.importorskip("openTSNE")
    code, out, err = run("map", "photos", "--csv", "map.csv", "-j", 1)
    assert (code, out) == (0, b"")
    assert "pictures: 11; clusters:" in err
    for name in ("map.html", "map.csv"):
        assert f"photos -> {name}: {Path(name).stat().st_size:,} bytes\n" in err
    page = Path("map.html").read_text(encoding="utf-8")
    assert '"base":"./photos/"' in page
    assert '"quality":[60.0,null,' in page
    rows = list(csv.DictReader(Path("map.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["file"] for row in rows} >= {"a.nic", os.path.join("odd #", "1.png")}
    first = Path("map.html").read_bytes()
    assert run("map", "photos", "-j", 1)[0] == 3  # it is there
    assert run("map", "photos", "-f", "--quiet", "-j", 1)[0] == 0
    assert Path("map.html").read_bytes() == first


def test_a_map_without_the_extra(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("openTSNE", "umap"):
        monkeypatch.setitem(sys.modules, module, None)
    code, _, err = run("map", "photos", "-j", 1)
    assert code == 4
    assert "t-SNE needs openTSNE: pip install 'nicodec[explore]'; --method pca needs nothing" in err
    code, _, err = run("map", "photos", "--method", "umap", "-j", 1)
    assert code == 4
    assert "UMAP needs umap-learn: pip install umap-learn" in err
    assert not Path("map.html").exists()
    code, out, _ = run("map", "photos", "--method", "pca", "-o", "-", "-j", 1)
    assert code == 0
    assert out.startswith(b"<!DOCTYPE html>")
    assert b'"base":null' in out


def test_scores_colour_a_map(run: Run, photos: Path) -> None:
    scores = [
        {"file": os.path.join("photos", "even", "2.png"), "score": 3.5, "threshold": 1, "flagged": True, "boxes": []}
    ]
    Path("scores.json").write_text(json.dumps(scores))
    code, out, _ = run("map", "photos", "--method", "pca", "--scores", "scores.json", "--json", "-j", 1)
    assert code == 0
    found = {row["file"]: row["score"] for row in json.loads(out)}
    assert found[os.path.join("photos", "even", "2.png")] == 3.5
    assert sum(score is not None for score in found.values()) == 1
    Path("scores.json").write_text("[]")
    code, _, err = run("map", "photos", "--method", "pca", "--scores", "scores.json", "-f", "-j", 1)
    assert code == 3
    assert "none of them is on the map" in err


def test_a_map_of_nothing_is_refused(run: Run, photos: Path) -> None:
    Path("empty").mkdir()
    assert run("map", "empty", "--method", "pca")[0] == 3
    assert run("map", "nothing")[0] == 3
    assert run("map", "photos", "-o", "-", "--csv", "-", "--method", "pca")[0] == 2
    assert run("map", "photos", "--method", "som")[0] == 2


def test_a_strip_between_two_pictures(run: Run, photos: Path) -> None:
    options = "-m", "photo-fast", "-n", 3
    code, _, err = run("interpolate", "photos/even/2.png", "photos/a.nic", *options)
    assert code == 0
    assert "at 0.5 the latents' picture is" in err
    assert f"photos/even/2.png -> strip.png: {Path('strip.png').stat().st_size:,} bytes\n" in err
    with Image.open("strip.png") as strip:
        assert strip.size[0] > 3 * 200
    code, out, err = run("interpolate", "photos/even/2.png", "--plus", "photos/even", "--minus", "photos/odd #",
                         *options, "-o", "-", "--quiet")  # fmt: skip
    assert (code, err) == (0, "")
    assert out.startswith(b"\x89PNG")


def test_a_strip_of_nothing_is_refused(run: Run, photos: Path) -> None:
    scene(1).resize((64, 64)).save("small.png")
    assert run("interpolate", "photos/even/2.png", "small.png", "-m", "photo-fast")[0] == 3
    for bad in (
        ("a.png",), ("a.png", "b.png", "--plus", "x", "--minus", "y"), ("a.png", "--plus", "x"), ("-", "-"),
        ("a.png", "b.png", "-n", 1),
    ):  # fmt: skip
        assert run("interpolate", *bad)[0] == 2
    assert not Path("strip.png").exists()
