"""`nicodec anomaly`: learn and check; lines, JSON, maps, the page, exit codes."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_parts import part
from PIL import Image
from program import Run

import nicodec
from nicodec.explore.normal import file, learning
from nicodec.explore.normal.learning import Item

SIZE = (160, 192)


@pytest.fixture(scope="module")
def learnt() -> bytes:
    """What good/ of `parts` teaches, as the program learns it."""
    with tempfile.TemporaryDirectory() as folder:
        items = [Item(str(draw(Path(folder), seed))) for seed in range(10)]
        return file.write(learning.learn(items, alone, model="photo-fast", false_alarms=0.1))


def alone(work: Callable[[Item], Any], items: list[Item]) -> list[tuple[Item, Any]]:
    return [(item, work(item)) for item in items]


def draw(folder: Path, seed: int) -> Path:
    path = folder / f"{seed}.png"
    Image.fromarray(part(seed, spot=seed == 21)[:, :, 0]).save(path)
    return path


@pytest.fixture
def parts(here: Path, learnt: bytes) -> Path:
    """good/ with 10 parts, new/ with a good and an odd one, and what was learnt."""
    for folder, seeds in (("good", range(10)), ("new", (21, 25))):
        (here / folder).mkdir()
        for seed in seeds:
            draw(here / folder, seed)
    (here / "p.nicnormal").write_bytes(learnt)
    return here


def test_the_program_learns_what_the_functions_learn(run: Run, parts: Path, learnt: bytes) -> None:
    code, out, _ = run("anomaly", "learn", "good", "-o", "q.nicnormal", "--false-alarms", "10%", "--json", "-j", 1)
    assert code == 0
    facts = json.loads(out)
    assert (facts["file"], facts["pictures"], facts["false_alarms"]) == ("q.nicnormal", 10, 0.1)
    assert Path("q.nicnormal").read_bytes() == learnt
    code, _, err = run("anomaly", "learn", "good", "-o", "q.nicnormal", "--false-alarms", "10%", "-f", "-j", 1)
    assert code == 0
    assert f"good -> q.nicnormal: {len(learnt):,} bytes\n" in err


def test_the_odd_one_is_flagged_and_the_good_one_is_not(run: Run, parts: Path) -> None:
    code, out, err = run("anomaly", "check", "new", "-n", "p.nicnormal", "--json", "-j", 1)
    odd, fine = json.loads(out)
    assert (code, err) == (0, "")
    assert set(fine) == {"file", "score", "threshold", "flagged", "boxes"}
    assert (fine["flagged"], odd["flagged"]) == (False, True)
    assert fine["boxes"] == []
    x, y, width, height, score = odd["boxes"][0]
    assert x <= 96 <= x + width
    assert y <= 104 <= y + height
    assert score == pytest.approx(odd["score"], abs=1e-3)
    code, out, err = run("anomaly", "check", "new", "-n", "p.nicnormal", "-j", 1)
    assert out.decode().splitlines()[0].startswith("new/21.png: score ")
    assert "1 of 2 flagged" in err


def test_json_is_a_list_even_for_one_file_and_stdin(run: Run, parts: Path) -> None:
    (one,) = json.loads(run("anomaly", "check", "new/25.png", "-n", "p.nicnormal", "--json")[1])
    data = Path("new/25.png").read_bytes()
    (stdin,) = json.loads(run("anomaly", "check", "-", "-n", "p.nicnormal", "--json", stdin=data)[1])
    assert stdin["file"] == "-"
    assert one["score"] == stdin["score"]


def test_exit_1_only_with_fail(run: Run, parts: Path) -> None:
    assert run("anomaly", "check", "new/21.png", "-n", "p.nicnormal")[0] == 0
    assert run("anomaly", "check", "new/21.png", "-n", "p.nicnormal", "--fail")[0] == 1
    assert run("anomaly", "check", "new/25.png", "-n", "p.nicnormal", "--fail")[0] == 0
    Path("new/bad.png").write_bytes(b"no picture")
    code, out, err = run("anomaly", "check", "new", "-n", "p.nicnormal", "--json", "-j", 1)
    assert code == 5
    assert len(json.loads(out)) == 2
    assert "new/bad.png" in err


def test_maps_are_16_bit_gray_of_the_picture_size_in_a_folder_that_may_exist(run: Run, parts: Path) -> None:
    Path("maps").mkdir()
    assert run("anomaly", "check", "new/25.png", "new/21.png", "-n", "p.nicnormal", "--maps", "maps", "-j", 1)[0] == 0
    assert run("anomaly", "check", "new/21.png", "-n", "p.nicnormal", "--maps", "other")[0] == 0
    found = []
    for name in ("maps/25.png", "maps/21.png", "other/21.png"):
        with Image.open(name) as made:
            assert made.mode == "I;16"
            found.append(np.asarray(made, np.int64))
            assert found[-1].shape == SIZE
    fine, odd, alone = found
    assert fine.max() < 2**15 < odd.max()
    assert np.array_equal(odd, alone)
    code, _, err = run("anomaly", "check", "new/21.png", "-n", "p.nicnormal", "--maps", "maps")
    assert code != 0
    assert "-f overwrites" in err


def test_json_and_what_was_learnt_do_not_share_stdout(run: Run, parts: Path) -> None:
    code, out, err = run("anomaly", "learn", "good", "-o", "-", "--json", "-j", 1)
    assert (code, out) == (2, b"")
    assert "--json and the file cannot both go to stdout" in err
    code, _, err = run("anomaly", "check", "new", "-n", "p.nicnormal", "--maps", "-")
    assert (code, err) == (2, "nicodec: --maps: a folder is needed, not -\n")


def test_the_page_shows_the_oddest_first(run: Run, parts: Path) -> None:
    assert run("anomaly", "check", "new", "-n", "p.nicnormal", "--report", "p.html", "-j", 1)[0] == 0
    text = Path("p.html").read_text(encoding="utf-8")
    assert 0 < text.index("21.png") < text.index("25.png")


def test_the_promise_of_few_pictures_is_said(run: Run, parts: Path) -> None:
    code, _, err = run("anomaly", "learn", "good", "-o", "q.nicnormal", "-j", 1)
    assert code == 0
    assert "10 good pictures cannot promise 1 % false alarms, only 9.09 %" in err
    code, _, err = run("anomaly", "check", "new/25.png", "-n", "p.nicnormal", "--false-alarms", "0.02")
    assert "cannot promise 2 %" in err
    thresholds = [
        json.loads(run("anomaly", "check", "new/25.png", "-n", "p.nicnormal", "--json", *more)[1])[0]["threshold"]
        for more in ((), ("--false-alarms", "50%"))
    ]
    assert thresholds[1] < thresholds[0]


@pytest.mark.parametrize("wrong", ["0", "100%", "-1%", "nan", "x", "1.5"])
def test_impossible_shares_are_usage_errors(run: Run, here: Path, wrong: str) -> None:
    assert run("anomaly", "learn", "a.png", "-o", "q.nicnormal", f"--false-alarms={wrong}")[0] == 2


def test_a_template_is_one_file_or_a_folder_with_the_same_names(run: Run, parts: Path) -> None:
    Path("twins").mkdir()
    for seed in (25, 21):
        Image.fromarray(part(seed)[:, :, 0]).save(f"twins/{seed}.png")
    folder = json.loads(run("anomaly", "check", "new", "-n", "p.nicnormal", "--against", "twins", "--json", "-j", 1)[1])
    one = json.loads(
        run("anomaly", "check", "new/21.png", "-n", "p.nicnormal", "--against", "twins/21.png", "--json")[1]
    )
    assert folder[1]["score"] < folder[0]["score"] == one[0]["score"]
    Path("twins/25.png").unlink()
    code, _, err = run("anomaly", "check", "new", "-n", "p.nicnormal", "--against", "twins")
    assert code == 2
    assert "new/25.png: no files named 25 in twins" in err
    assert "learn --against" in run("anomaly", "check", "new/21.png", "-n", "p.nicnormal", "--against", "twins")[2]
    for names in (["new"], ["new/21.png"]):  # each process would wait for it
        code, _, err = run("anomaly", "check", *names, "-n", "p.nicnormal", "--against", "-")
        assert code == 2
        assert err.endswith("nicodec: --against: a template is a file or a folder, not -\n")


def test_a_nic_file_and_other_inputs(run: Run, parts: Path) -> None:
    Path("new/21.nic").write_bytes(nicodec.encode("new/21.png", quality=80, lossless=False))
    nic, png = json.loads(
        run("anomaly", "check", "new/21.nic", "new/21.png", "-n", "p.nicnormal", "--json", "-j", 1)[1]
    )
    assert nic["flagged"] and png["flagged"]  # noqa: PT018
    code, _, err = run("anomaly", "check", "new/21.png", "-n", "new/25.png")
    assert (code, err) == (3, "nicodec: new/25.png: not a .nicnormal file\n")
    code, _, err = run("anomaly", "learn", "good", "-o", "p.nicnormal")
    assert "exists already" in err
    code, _, err = run("anomaly", "learn", "new/21.png", "-o", "q.nicnormal")
    assert code == 3
    assert "needs 2" in err
