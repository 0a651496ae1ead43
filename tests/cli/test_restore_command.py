"""`nicodec restore`: one picture, a folder, other formats, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from program import Run
from safetensors.numpy import save

from nicodec.model import checkpoint, modelfile

FAST = checkpoint.find("photo-fast")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`photo-fast` with a head that says that it restores."""
    metadata, tensors = modelfile.parse(FAST.read_bytes(), "photo-fast")
    head = metadata | {"restores": "noise:25", "name": "night", "sha256": modelfile.UNSEALED}
    path = tmp_path_factory.mktemp("models") / "night.nicmodel"
    path.write_bytes(modelfile.sealed(save({k: np.ascontiguousarray(v) for k, v in tensors.items()}, head)))
    return path


def test_a_picture_is_restored_in_the_format_of_its_name(run: Run, here: Path, night: Path) -> None:
    code, _, said = run("restore", "a.png", "b.jpg", "-m", night)
    assert code == 0, said
    assert said.startswith("a.png -> b.jpg: ")
    with Image.open("b.jpg") as made, Image.open("a.png") as source:
        assert (made.format, made.size) == ("JPEG", source.size)
    code, _, said = run("restore", "a.png", "b.jpg", "-m", night)
    assert (code, "-f overwrites it" in said) == (3, True)
    assert run("restore", "a.png", "b.jpg", "-m", night, "-f", "-q", 10)[0] == 0


def test_a_folder_is_restored_and_json_says_what_was_done(run: Run, here: Path, night: Path) -> None:
    code, out, _ = run("restore", ".", "made", "-m", night, "--format", "webp", "--json", "-j", 1)
    assert code == 0
    (found,) = json.loads(out)["files"]
    assert found["target"] == str(Path("made", "a.webp"))
    assert (found["restores"], found["quality"]) == ("noise:25", 100)
    assert Path("made", "a.webp").exists()


def test_a_deep_picture_stays_deep(run: Run, here: Path, night: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 65536, (40, 50), np.uint16)).save("deep.png")
    code, _, said = run("restore", "deep.png", "made.npy", "-m", night)
    assert code == 0, said
    assert np.load("made.npy").dtype == np.uint16


def test_a_faithful_model_and_a_nic_file_are_refused(run: Run, here: Path, night: Path) -> None:
    code, _, said = run("restore", "a.png", "b.png", "-m", "photo-fast")
    assert (code, "has not learnt to restore" in said) == (3, True)
    assert run("encode", "a.png", "a.nic", "-m", "photo-fast")[0] == 0
    code, _, said = run("restore", "a.nic", "b.png", "-m", night)
    assert (code, "already a .nic file" in said) == (3, True)
    assert run("restore", "a.png", "b.png")[0] == 2  # no model
    assert not Path("b.png").exists()


def test_the_list_of_models_says_which_one_restores(run: Run, here: Path, night: Path) -> None:
    code, out, _ = run("models", "show", night)
    assert code == 0
    assert b"restores" in out
    assert b"noise:25" in out
