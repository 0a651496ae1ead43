"""`nicodec cost`: pictures, .nic files and folders; lines, JSON and maps."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from program import Run, names

import nicodec


def encoded(here: Path, name: str = "a.nic", **options: object) -> Path:
    path = here / name
    path.write_bytes(nicodec.encode(here / "a.png", model="photo-fast", lossless=False, **options))
    return path


def test_a_picture_has_bits_error_and_cost(run: Run, here: Path) -> None:
    code, out, err = run("cost", "a.png", "-m", "photo-fast")
    assert code == 0
    assert out.startswith(b"a.png: 60x40 at quality 50: ")
    assert b"dB), cost " in out
    assert b"costliest cell" in out
    assert err == ""


def test_json_is_a_list_with_one_object_for_each_file(run: Run, here: Path) -> None:
    encoded(here)
    code, out, _ = run("cost", "a.png", "a.nic", "-m", "photo-fast", "--json")
    picture, file = json.loads(out)
    assert code == 0
    assert (picture["file"], file["file"]) == ("a.png", "a.nic")
    assert picture["bits"] == file["bits"]
    assert picture["cost"] == pytest.approx(picture["bits"] + picture["lambda"] * picture["error"])
    assert np.shape(picture["cells"]["cost"]) == np.shape(file["cells"]["bits"]) == (3, 4)
    assert np.sum(picture["cells"]["bits"]) == pytest.approx(picture["bits"], abs=1)
    assert (file["error"], file["cost"], file["cells"]["error"], file["cells"]["cost"]) == (None,) * 4


def test_a_nic_file_alone_says_what_is_missing(run: Run, here: Path) -> None:
    encoded(here, quality=30)
    code, out, err = run("cost", "a.nic")
    assert code == 0
    assert b"quality 30" in out
    assert b"error" not in out
    assert "--source" in err
    code, out, err = run("cost", "a.nic", "--source", "a.png")
    assert (code, err) == (0, "")
    assert b"error" in out


def test_the_map_is_a_picture_with_a_legend(run: Run, here: Path) -> None:
    encoded(here)
    for name in ("a.png", "a.nic"):
        assert run("cost", name, "--map", "map.png", "-f", "-m", "photo-fast", "--quiet")[0] == 0
        with Image.open("map.png") as made:
            assert made.format == "PNG"
            assert made.width >= 480
            assert made.height > 480 * 40 / 60
    code, out, _ = run("cost", "a.png", "--map", "-", "-m", "photo-fast")
    assert code == 0
    assert Image.open(io.BytesIO(out)).format == "PNG"


def test_a_map_overwrites_nothing(run: Run, here: Path) -> None:
    (here / "map.png").write_bytes(b"mine")
    code, _, err = run("cost", "a.png", "--map", "map.png", "-m", "photo-fast")
    assert code == 3
    assert "exists already" in err
    assert (here / "map.png").read_bytes() == b"mine"
    assert run("cost", "a.png", "--map", "a.png", "-f")[0] == 2


def test_a_folder_is_measured_and_a_bad_file_stops_nothing(run: Run, here: Path) -> None:
    (here / "in").mkdir()
    (here / "in" / "b.png").write_bytes((here / "a.png").read_bytes())
    (here / "in" / "c.jpg").write_bytes(b"no picture")
    (here / "in" / "notes.txt").write_bytes(b"left")
    encoded(here, "in/d.nic")
    code, out, err = run("cost", "in", "-m", "photo-fast", "-j", "1", "--map", "maps")
    assert code == 5
    assert [line.split(b":")[0] for line in out.splitlines()] == [b"in/b.png", b"in/d.nic"]
    assert "in/c.jpg: not a picture" in err
    assert sorted(path.name for path in (here / "maps").iterdir()) == ["b.png", "d.png"]


def test_a_folder_with_one_picture_has_its_map_in_a_new_folder(run: Run, here: Path) -> None:
    (here / "in").mkdir()
    (here / "a.png").rename(here / "in/a.png")
    code, _, err = run("cost", "in", "-m", "photo-fast", "--map", "maps")
    assert code == 0
    assert f"in/a.png -> {Path('maps', 'a.png')}\n" in err
    assert names(here / "maps") == ["a.png"]


def test_processes_give_what_one_gives(run: Run, here: Path) -> None:
    (here / "b.png").write_bytes((here / "a.png").read_bytes())
    one, two = (run("cost", "a.png", "b.png", "-m", "photo-fast", "-j", j, "--json") for j in (1, 2))
    assert one == two


def test_stdin_is_a_picture_or_a_nic_file(run: Run, here: Path) -> None:
    nic = encoded(here).read_bytes()
    code, out, _ = run("cost", "-", "-m", "photo-fast", stdin=(here / "a.png").read_bytes())
    assert (code, out[:12]) == (0, b"stdin: 60x40")
    code, out, _ = run("cost", "-", stdin=nic)
    assert (code, out[:12]) == (0, b"stdin: 60x40")
    assert run("cost", "-", "a.png")[0] == 2


def test_what_does_not_go_together_is_refused(run: Run, here: Path) -> None:
    encoded(here)
    assert run("cost", "a.png", "--source", "a.png", "-m", "photo-fast")[0] == 2
    assert run("cost", "a.nic", "a.png", "--source", "a.png")[0] == 2
    assert run("cost", "a.png", "--json", "--map", "-")[0] == 2
    assert run("cost", "a.png", "-q", "101")[0] == 2
    assert run("cost", "missing.png")[0] == 3
    lossless = here / "l.nic"
    lossless.write_bytes(nicodec.encode(here / "a.png", lossless=True))
    code, _, err = run("cost", "l.nic")
    assert code == 3
    assert "l.nic: a lossless file has no latents" in err
