"""The state of a run on disk: a file that is no state is refused."""

# ruff: noqa: E402

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")
pytest.importorskip("onnx")

import tiny_training
from tiny_models import TINY
from tiny_training import OPTIONS

from nicodec.errors import BadFile
from nicodec.model.config import ModelConfig
from nicodec.train.data import Patches
from nicodec.train.state import read_held, read_meta, read_progress, read_state
from nicodec.train.trainer import Trainer


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Patches:
    return tiny_training.patches(tiny_training.pictures(tmp_path_factory.mktemp("pictures")))


@pytest.mark.parametrize("content", [b"", b"\x80\x04garbage", b"\x02\x00\x00\x00\x00\x00\x00\x00{}"])
def test_a_state_that_is_none_is_refused(patches: Patches, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(BadFile, match="state"):
        Trainer(OPTIONS, patches).load(tmp_path / "state")


@pytest.mark.parametrize("content", [b"", b"\x80\x04garbage", b"\x02\x00\x00\x00\x00\x00\x00\x00{}"])
def test_what_describes_no_state_is_refused_too(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(BadFile, match="not a training state"):
        read_meta(tmp_path / "state")


@pytest.mark.parametrize(("meta", "version"), [('{"version": 99}', "99"), ("[1]", "None"), ("7", "None")])
def test_a_state_of_another_version_is_refused(tmp_path: Path, meta: str, version: str) -> None:
    safetensors.save_file({}, tmp_path / "state", metadata={"nicodec": meta})
    with pytest.raises(BadFile, match=f"version {version}"):
        read_state(tmp_path / "state")


def test_a_state_tells_what_the_run_has_done(patches: Patches, tmp_path: Path) -> None:
    trainer = Trainer(OPTIONS, patches)
    trainer.step, trainer.pixels, trainer.spent = 7, 99, 1.5
    trainer.save(tmp_path / "state")
    meta, tensors = read_state(tmp_path / "state")
    assert meta == read_meta(tmp_path / "state")
    assert (meta["step"], meta["pixels"], meta["spent"]) == (7, 99, 1.5)
    assert ModelConfig.of(meta["options"]["model"], "the state") == TINY
    assert {name.split(".")[0] for name in tensors} == {"model", "ema", "held"}


def test_held_out_pictures_keep_their_order_where_there_are_more_than_a_hundred(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Costs of the best state are told by their place."""
    pictures = [np.full((64, 64, 3), i, np.uint8) for i in range(123)]
    monkeypatch.setattr(patches, "held", replace(patches.held, pictures=pictures))
    Trainer(OPTIONS, patches).save(tmp_path / "state")
    assert [int(picture[0, 0, 0]) for picture in read_held(tmp_path / "state").pictures] == list(range(123))


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"schedule_step": "x", "spent": 1, "length": 2},
        {"schedule_step": 1, "spent": 1, "length": 0},
        {"schedule_step": float("inf"), "spent": 1, "length": 2},
    ],
)
def test_a_state_without_its_progress_is_bad(meta: dict[str, Any]) -> None:
    with pytest.raises(BadFile, match="not a training state"):
        read_progress(meta, Path("state"))
