"""The end of a run: the best state is what is written, and what is said of it is true."""

# ruff: noqa: E402

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models
import tiny_training
from tiny_models import TINY
from tiny_training import OPTIONS, picture

from nicodec.model import modelfile
from nicodec.model.card import Card
from nicodec.model.config import NETWORKS
from nicodec.nn.thaw import model_of
from nicodec.train import finish, limits, loop
from nicodec.train.best import Best
from nicodec.train.held import Held
from nicodec.train.options import Options
from nicodec.train.plan import Effort
from nicodec.train.trainer import Trainer

LITTLE = Effort(2, 2, 2, 1, 4)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with tiny_training.one_thread():
        yield


def test_the_best_state_is_written_and_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish, "LIMITED", 2)
    (tmp_path / "pictures").mkdir()
    trainer = Trainer(OPTIONS, tiny_training.patches(tiny_training.pictures(tmp_path / "pictures")))
    trainer.look()
    best = {name: value.clone() for name, value in trainer.best.tensors.items()}
    with torch.no_grad():
        for p in [*trainer.model.parameters(), *trainer.ema]:
            p.mul_(3)
    made = finish.write(trainer, tmp_path / "my.nicmodel", "my", {}, Card(), LITTLE)
    for name, value in model_of(made).named_parameters():
        if not name.startswith("h_sigma"):  # which become whole numbers
            assert torch.allclose(value, best[name], rtol=2e-3, atol=1e-4), name
    # Its caps have limits, though the run ended before they were measured.
    assert limits.measured(trainer.model)


def test_limits_of_a_model_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the function of the network does not change in the middle of a run, or at its end."""
    monkeypatch.setattr(finish, "LIMITED", 2)
    (tmp_path / "pictures").mkdir()
    patches = tiny_training.patches(tiny_training.pictures(tmp_path / "pictures"))
    trainer = Trainer(OPTIONS, patches)
    trainer.measure_limits()
    start = tiny_models.write(trainer.model, tmp_path / "start.nicmodel")
    onward = Trainer(replace(OPTIONS, steps=4, origin="start 0"), patches, fresh=False)
    onward.start_from(start)
    assert limits.measured(onward.model)
    loop.run(onward, tmp_path / "run", lambda step: None)
    made = finish.write(onward, tmp_path / "my.nicmodel", "my", {}, Card(), LITTLE)
    names = [name for name in start.tensors if name.endswith("limit")]
    assert names
    assert all(np.array_equal(start.tensors[name], made.tensors[name]) for name in names)


def state(*, gain: float = 0.2, step: int = 40, borrowed: bool = False, fall: bool = False) -> Any:
    """What `verdict` sees of a trainer."""
    bits = np.array([0.1, 0.3, 0.8, 1.6, 3.0])
    start = np.stack([bits, 40 / bits], -1)[None].repeat(3, 0)
    now = (1 - gain) * start
    if fall:
        now[1, 3, 1] = now[1, 2, 1]
    best = Best(start=start, curves=now, first_cost=1.0, cost=1.0 + np.log(1 - gain), step=step)
    data, options = SimpleNamespace(held=Held([], borrowed=borrowed)), Options()
    return SimpleNamespace(best=best, step=100, data=data, options=options)


def test_what_is_said_of_the_best_state() -> None:
    said = " ".join(finish.verdict(state()))
    assert "state is that of step 40 of 100: bits + λ · error are 20.0 % less" in said
    assert "on held-out pictures" in said
    assert "lost more than 0.00 dB" in said
    assert "PSNR" not in said
    assert "Nothing was better than the start" in finish.verdict(state(gain=0.0, step=0))[0]
    assert "a training picture, as there is no other" in finish.verdict(state(borrowed=True))[0]
    assert "does not rise with every step of quality on held-out pictures 01" in finish.verdict(state(fall=True))[-1]


def run_of(held: Held, name: str = "photo-fast") -> Any:
    """What `facts` and `measure` see of a trainer."""
    library = SimpleNamespace(pictures=10, late=5, full=5, pixels=10_000_000)
    data = SimpleNamespace(
        held=held, validation=held.pictures, library=library, photographs=8, pixels=6_000_000, is_gray=False
    )
    options = SimpleNamespace(origin=f"{name} c37e9372" if name else "", model=TINY)
    return SimpleNamespace(
        data=data, options=options, step=100, best=SimpleNamespace(step=40), progress=lambda: 1.0
    )  # fmt: skip


def test_a_proof_is_as_large_as_it_was_asked_for_and_says_what_it_rests_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three models, of which the last stands for `photo`."""
    model, start, photo = (
        tiny_models.write(tiny_models.random(TINY), tmp_path / f"{n}.nicmodel") for n in ("my", "start", "photo")
    )
    monkeypatch.setattr(finish.proof, "PHOTO", f"nicodec:{photo.path}")
    folder = tmp_path / "my.run"
    (folder / "held-out").mkdir(parents=True)
    (folder / "held-out" / "07.png").write_bytes(b"of an earlier run")
    gray = picture(2, 64, 64)[..., :1].repeat(3, axis=2)
    run = run_of(Held([gray, picture(1, 64, 64)], borrowed=True))
    known = finish.facts(run, model, "my", ("said",))
    assert (known.files, known.pixels, known.held, known.start) == (20, 20e6, 0, "photo-fast")
    effort = replace(LITTLE, rivals=("jpeg",))
    found = finish.measure(run, known, model.path, str(start.path), folder, effort, lambda: 60.0)
    assert found is not None
    results = json.loads((folder / "results.json").read_text())
    assert [image["name"] for image in results["images"]] == ["00.png"]
    with Image.open(folder / "held-out" / "00.png") as measured:
        assert measured.mode == "L"  # a gray model takes no colours
    points = {curve["name"]: len(curve["points"]) for curve in results["curves"]}
    assert points == {"jpeg": 4, "nicodec": 4, f"nicodec:{start.path}": 4, f"nicodec:{photo.path}": 4}
    assert "a training picture" in " ".join(finish.lines(found))
    assert "<img" not in (tmp_path / "my.html").read_text("utf-8")
    (tmp_path / "my.html").unlink()
    assert finish.measure(run, known, model.path, "", folder, replace(LITTLE, measured=0), lambda: 60.0) is None
    assert not (tmp_path / "my.html").exists()


def test_a_card_has_no_curve_of_training_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish, "LIMITED", 2)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(picture(0)).save(tmp_path / "pictures" / "one.png")
    trainer = Trainer(OPTIONS, tiny_training.patches(tmp_path / "pictures"))
    trainer.look()
    made = finish.write(trainer, tmp_path / "my.nicmodel", "my", {}, Card(), LITTLE)
    assert trainer.data.held.borrowed
    metadata, _ = modelfile.parse(made.path.read_bytes(), "my")
    assert Card.of(metadata).curve == ()


def test_the_time_of_a_proof_counts_all_models() -> None:
    small, large = run_of(Held([])), run_of(Held([]))
    large.options.model = NETWORKS["full"]
    assert finish.models(large, "photo") == 2
    assert finish.models(large, "") == 2
    assert finish.models(small, "photo-fast") == 2 + finish.PHOTO
