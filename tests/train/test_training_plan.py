"""The minutes of a run: they hold for everything, whatever the machine; and what is said before it begins."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_training

from nicodec.train import options, plan
from nicodec.train.plan import Plan
from nicodec.train.reading import Entry


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def pictures(held: int = 20, stored: int = 400, side: int = 600) -> Any:
    """What a plan sees of the pictures."""
    square = np.zeros((min(side, 384), min(side, 384), 3), np.uint8)
    return SimpleNamespace(
        entries=stored * [Entry(0, side, side, side, side)], validation=held * [square], square=min(256, side)
    )


@pytest.mark.parametrize("minutes", [6.0, 12.0, 30.0, 120.0])
@pytest.mark.parametrize("speed", [3e5, 1.5e6, 2e8])
@pytest.mark.parametrize("measure", ["none", "quick", "full"])
def test_all_parts_together_take_the_minutes(minutes: float, speed: float, measure: str) -> None:
    """What export and report look at, at the speed of the first look, ends in time."""
    clock = Clock()
    times = Plan(minutes, measure, clock=clock)
    clock.now += times.reading() or 0
    reserve = times.reserve(speed, pictures(), 2)
    clock.now += times.learning(reserve)
    effort = times.effort()
    looked_at = 65536 * (11 * effort.counted + 6 * effort.fitted + 9 * 20)
    looked_at += (2 + len(effort.rivals)) * 384**2 * min(20, effort.measured) * effort.qualities
    clock.now += looked_at / speed
    if reserve < 60 * minutes * (1 - plan.LEARNING - plan.READING):
        assert clock.now - 100 <= 60 * minutes
    # Learning has at least half in any case.
    assert times.learning(reserve) >= 30 * minutes


def test_a_slow_machine_gets_a_longer_reserve_and_a_short_run_a_shorter_one() -> None:
    assert Plan(30).reserve(1e6, pictures(), 2) > 2 * Plan(30).reserve(1e7, pictures(), 2)
    assert Plan(6).reserve(1e6, pictures(), 2) < Plan(30).reserve(1e6, pictures(), 2)
    assert (
        Plan(30, "none").reserve(1e6, pictures(), 2)
        < Plan(30).reserve(1e6, pictures(), 2)
        < Plan(30, "full").reserve(1e6, pictures(), 2)
    )


def test_more_models_and_codecs_need_a_longer_reserve() -> None:
    assert Plan(30).reserve(1e6, pictures(), 5.2) > 1.05 * Plan(30).reserve(1e6, pictures(), 2)
    assert {*Plan(30, "full").effort().rivals} > {*Plan(30).effort().rivals} > {*Plan(30, "none").effort().rivals}


def test_a_few_small_pictures_need_a_shorter_reserve() -> None:
    assert Plan(30).reserve(1e6, pictures(5, 30), 2) < Plan(30).reserve(1e6, pictures(), 2) / 2
    assert Plan(30).reserve(1e6, pictures(20, 400, 128), 2) < Plan(30).reserve(1e6, pictures(), 2) / 2


def test_reading_that_took_long_shortens_learning() -> None:
    clock = Clock()
    times = Plan(10, clock=clock)
    before = times.learning(30)
    clock.now += 60
    assert times.learning(30) == before - 60
    assert times.passed() == 60


def test_a_run_that_goes_on_has_the_rest_of_the_minutes_and_exports_as_fully() -> None:
    rest = Plan(30, left=0.25, clock=Clock())
    assert rest.whole == 450
    assert rest.effort() == Plan(30).effort()
    assert rest.learning(60) == 390


def test_steps_have_no_end_by_the_clock() -> None:
    assert Plan(None).reading() is None
    assert Plan(None).effort().counted == plan.COUNTED


def test_a_look_tells_number_size_and_colour(tmp_path: Path) -> None:
    folder = tiny_training.pictures(tmp_path)
    (folder / "broken.png").write_bytes(b"x")
    assert str(plan.look([folder])) == "5 pictures, in colour, of 0.025 megapixels, by a look at 4 of them"
    for file in folder.iterdir():
        file.unlink()
    Image.fromarray(np.zeros((100, 100), np.uint8)).save(folder / "a.png")
    (folder / "more").mkdir()
    Image.fromarray(np.zeros((1000, 1000, 3), np.uint8)).save(folder / "more" / "a.png")
    (folder / "b.tar").write_bytes(b"")
    assert str(plan.look([folder])) == "2 pictures and 1 tar file, gray, of 0.01 to 1 megapixels"
    assert str(plan.look([folder / "b.tar"])) == "1 tar file"
    for i in range(9):
        Image.fromarray(np.zeros((100, 100), np.uint8)).save(folder / f"{i}.png")
    assert "11 pictures and 1 tar file, gray, of " in str(plan.look([folder]))
    assert str(plan.look([folder])).endswith(" megapixels, by a look at 8 of them")


def test_three_lines_say_what_comes_and_until_when(tmp_path: Path) -> None:
    found = plan.Look(2, 0, (0.05, 0.2), True)
    times = Plan(30)
    first, second, third = plan.lines(found, times, "photo-fast c0de5be8", "fast", "cpu", None)
    assert first == "There are 2 pictures, gray, of 0.05 to 0.2 megapixels."
    assert "starts from photo-fast c0de5be8, on cpu" in second
    assert "30 minutes for all: reading, learning, writing, measuring" in third
    ends = datetime.strptime(times.until(), "%H:%M")
    now = datetime.now()
    assert (ends.hour * 60 + ends.minute - now.hour * 60 - now.minute) % 1440 in (29, 30, 31)
    assert "from nothing" in plan.lines(found, Plan(None), "", "full", "cpu", 7)[1]


@pytest.mark.parametrize(
    ("times", "steps", "writes", "said"),
    [
        (Plan(None), 7, True, "It learns for 7 steps, and then writes, checks and measures the model."),
        (Plan(None, "none"), 1, True, "It learns for 1 step, and then writes and checks the model."),
        (Plan(None), 7, False, "It learns for 7 steps."),
        (Plan(None), 0, True, "It has learnt for all of its steps: it writes, checks and measures the model."),
        (Plan(30, left=0), None, False, "It has learnt for all of its minutes."),
        (Plan(30, "none"), None, True, "30 minutes for all: reading, learning, writing."),
        (Plan(30), None, False, "30 minutes for all: reading, learning."),
    ],
)
def test_the_third_line_says_what_will_be_done(times: Plan, steps: int | None, writes: bool, said: str) -> None:
    found = plan.Look(2, 0, (), True)
    assert said in plan.lines(found, times, "photo", "full", "cpu", steps, writes=writes)[2]


def test_the_second_line_says_what_a_run_begins_with_and_is_judged_by() -> None:
    one = plan.Look(1, 0, (), True)
    for more, said in (
        (
            {},
            "A codec for it starts from photo, on cpu; it keeps what is best on pictures that it does not learn from.",
        ),
        ({"alone": True}, "it keeps what is best on its picture."),
        ({"resume": True}, "A codec for it goes on from the state of its run, on cpu;"),
    ):
        assert said in plan.lines(one, Plan(None), "photo", "full", "cpu", 3, **more)[1]


def test_the_words_of_the_report_are_those_of_the_option() -> None:
    assert set(plan.REPORTS) == set(options.REPORTS)
