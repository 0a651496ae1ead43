"""The release step: file, vectors and manifest entry together, and only for what was measured."""

# ruff: noqa: E402

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("skimage")

from release import release
from tiny_models import TINY, unseen

from nicodec.errors import NicError
from nicodec.model import checkpoint
from nicodec.nn.model import Model
from nicodec.train import export


@pytest.fixture
def made(tmp_path: Path) -> checkpoint.Checkpoint:
    torch.manual_seed(0)
    network = Model(TINY)
    network.init_from_patches(torch.randn(1000, 768) * 0.2, (1.5, 40.0))
    training = {"command": "nicodec train …"}
    return export.write_model(network.eval(), tmp_path / "my.nicmodel", "my", training, *unseen(TINY))


def results(folder: Path, sha256: str) -> Path:
    point = {"setting": 50, "bpp": 0.5, "psnr": 30.0, "msssim": 0.9}
    report: dict[str, Any] = {
        "conditions": {"model_sha256": sha256},
        "images": [{}, {}],
        "curves": [{"name": "jpeg", "points": []}, {"name": "nicodec", "points": [point]}],
    }
    folder.mkdir(exist_ok=True)
    (folder / "results.json").write_text(json.dumps(report))
    return folder / "results.json"


def test_a_release_is_found_by_name_and_by_the_files_it_made(
    made: checkpoint.Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, vectors = tmp_path / "checkpoints", tmp_path / "vectors"
    folder.mkdir()
    found = results(tmp_path / "some-set", made.sha256)
    release(made.path, "mine", found, folder, vectors)
    monkeypatch.setenv("NICODEC_MODELS", str(folder))
    assert checkpoint.load(checkpoint.find("mine")).sha256 == made.sha256
    assert checkpoint.find_id(made.id).parent == folder
    (entry,) = json.loads((folder / "manifest.json").read_text())["models"]
    assert entry["rd"]["points"][0]["psnr"] == 30.0
    assert entry["rd"]["images"] == "means of real files, 2 pictures of some-set"
    assert entry["training"]["command"] == "nicodec train …"
    assert entry["parameters"] == sum(p.numel() for p in Model(TINY).parameters())
    assert len(list(vectors.glob("*/file.nic"))) >= 10
    with pytest.raises(NicError, match="released already"):
        release(made.path, "mine", found, folder, vectors)


def test_results_may_be_those_of_a_further_model(made: checkpoint.Checkpoint, tmp_path: Path) -> None:
    found = results(tmp_path / "set", "0" * 64)
    report = json.loads(found.read_text())
    report["conditions"]["further"] = {"nicodec:my": made.sha256}
    report["curves"].append({"name": "nicodec:my", "points": [report["curves"][1]["points"][0] | {"psnr": 31}]})
    found.write_text(json.dumps(report))
    (tmp_path / "checkpoints").mkdir()
    release(made.path, "mine", found, tmp_path / "checkpoints", tmp_path / "v")
    (entry,) = json.loads((tmp_path / "checkpoints" / "manifest.json").read_text())["models"]
    assert entry["rd"]["points"][0]["psnr"] == 31


def test_results_of_another_model_are_refused(made: checkpoint.Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(NicError, match="another model"):
        release(made.path, "mine", results(tmp_path / "set", "0" * 64), tmp_path / "checkpoints", tmp_path / "v")
    assert list((tmp_path / "checkpoints").iterdir()) == []
