"""The script that measures codecs of one's own: which runs it makes, what it measures, and that it goes on."""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nicodec

for _module in ("bjontegaard", "matplotlib"):
    pytest.importorskip(_module, reason="needs the extra [bench]")

SCRIPT = Path(__file__).parents[2] / "bench" / "own.py"


class FakeCodec:
    """Stands in for nicodec: WebP, with a quarter more bytes for all models but the own one."""

    def __init__(self, model: str, *, threads: int | None = None) -> None:
        self.more = 0 if "models" in model else 4

    def encode(self, image: Image.Image, *, quality: float, lossless: bool | None = None) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=max(1, quality), method=0)
        data = buffer.getvalue()
        return data + bytes(len(data) // self.more if self.more else 0)

    def decode(self, data: bytes) -> Image.Image:
        return Image.open(io.BytesIO(data[: 8 + int.from_bytes(data[4:8], "little")])).convert("RGB")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("own", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "own", module)
    spec.loader.exec_module(module)
    monkeypatch.setitem(vars(nicodec), "Codec", FakeCodec)
    return module


@pytest.fixture
def domain(tmp_path: Path) -> Path:
    """A folder of 30 training pictures, and one good test picture beside a bad one."""
    rng = np.random.default_rng(0)
    for place, count in (("train", 30), ("test/good", 1), ("test/bad", 1)):
        folder = tmp_path / "cells" / place
        folder.mkdir(parents=True)
        for i in range(count):
            noise = rng.integers(0, 40, (64, 64)) + np.arange(64) * 3
            Image.fromarray(noise.astype(np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "cells"


def asked(domain: Path, **changes: Any) -> argparse.Namespace:
    usual = {"folders": [domain], "pictures": None, "minutes": None, "network": "default", "seed": 0, "one_core": False}
    return argparse.Namespace(**(usual | changes))


def test_the_runs_are_those_of_two_plots_or_those_that_are_named(own: ModuleType, domain: Path) -> None:
    def pairs(**changes: Any) -> list[tuple[int, float]]:
        return [(job.pictures, job.minutes) for job in own.jobs(asked(domain, **changes))]

    # The folder has 30 pictures, so 50, 100 and 200 are the same.
    assert pairs() == [(20, 30), (30, 30), (30, 2), (30, 5), (30, 15), (30, 60)]
    assert pairs(pictures=[20]) == [(20, 30)]
    assert pairs(minutes=[5]) == [(30, 5)]
    assert pairs(pictures=[20], minutes=[6, 12]) == [(20, 6), (20, 12)]


def test_a_run_is_measured_once_and_drawn(
    own: ModuleType, domain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    model = next((SCRIPT.parents[1] / "checkpoints").glob("photo-fast-*.nicmodel"))

    def train(words: list[str], **_: Any) -> argparse.Namespace:
        seen.append(words)
        assert len(list(Path(words[4]).rglob("*.png"))) == 20
        Path(words[6]).write_bytes(model.read_bytes())
        return argparse.Namespace(returncode=0, stderr="There are 20 pictures.\n")

    monkeypatch.setattr(own.subprocess, "run", train)
    out = tmp_path / "out"
    for _ in range(2):
        words = ["own.py", "--one-core", "--pictures", "20", "--minutes", "30", "--points", "6"]
        monkeypatch.setattr(sys, "argv", [*words, "-o", str(out), str(domain)])
        own.main()
    assert len(seen) == 1
    assert seen[0][7:] == ["-f", "--minutes", "50", "--seed", "0", "--threads", "1"]
    (line,) = [json.loads(text) for text in (out / "own.jsonl").read_text().splitlines()]
    assert (line["domain"], line["pictures"], line["minutes"], line["tests"]) == ("cells", 20, 30, 1)
    assert line["bd_rate"]["nicodec:photo"] == pytest.approx(-20, abs=0.5)
    assert line["bd_rate"].keys() <= {"avif", "jpeg", "nicodec:photo", "nicodec:photo-fast"}
    assert line["said"] == ["There are 20 pictures."]
    assert "| cells | 20 | 30 | default |" in (out / "own.md").read_text("utf-8")
    for name in ("pictures.png", "minutes.png"):
        with Image.open(out / name) as drawn:
            assert drawn.size == (960, 552)
    # What does not change is kept: only the model is measured again.
    (out / "own.jsonl").unlink()
    kept = {path.name: path.stat().st_mtime_ns for path in (out / "measured").iterdir()}
    own.main()
    assert len(seen) == 1
    assert {path.name: path.stat().st_mtime_ns for path in (out / "measured").iterdir()} == kept


def test_numbers_of_pictures_are_compared_at_the_minutes_that_most_runs_had(
    own: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = {"domain": "cells", "network": "default", "seed": 0, "bd_rate": {"avif": -5.0}}
    runs = [(20, 6), (50, 6), (100, 6), (100, 30), (100, 60)]
    lines = [usual | {"pictures": pictures, "minutes": minutes} for pictures, minutes in runs]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    drawn: dict[str, list[tuple[int, int]]] = {}

    def plot(made: list[dict[str, Any]], axis: str, title: str) -> bytes:
        drawn[axis] = [(line["pictures"], line["minutes"]) for line in made]
        return b""

    monkeypatch.setattr(own, "plot", plot)
    own.draw(tmp_path)
    assert drawn == {"pictures": runs[:3], "minutes": runs[2:]}
