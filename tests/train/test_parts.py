"""Parts of a network by name: what each makes of a picture in every command, and where one is refused."""

# ruff: noqa: E402

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import independent_decoder
import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models
import tiny_training
from tiny_training import OPTIONS, picture

import nicodec
import nicodec.train
from nicodec.coding import quantize
from nicodec.errors import BadModel
from nicodec.model import checkpoint, modelfile
from nicodec.model.config import LINEAR, NETWORKS, SHUFFLE, UPSAMPLES, ModelConfig
from nicodec.picture import Picture
from nicodec.train import gray, options, parts
from nicodec.train.export import gradient, graphs, proof
from nicodec.train.options import BadOption
from nicodec.train.trainer import Trainer

SMALL = replace(tiny_models.FUZZED, latent=12, linear=4, width=8)
CONFIGS = {way: replace(SMALL, upsample=way) for way in UPSAMPLES if way != SHUFFLE} | {LINEAR: SMALL.without_deep()}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with tiny_training.one_thread():
        yield


@pytest.fixture(scope="module", params=CONFIGS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> checkpoint.Checkpoint:
    """A model with this part. Its export holds pixels and gradients against torch."""
    folder = tmp_path_factory.mktemp("model")
    return tiny_models.write(tiny_models.random(CONFIGS[request.param]), folder / f"{request.param}.nicmodel")


def test_the_decoder_of_the_document_makes_the_same_picture(made: checkpoint.Checkpoint) -> None:
    codec = nicodec.Codec(made, threads=1)
    data = codec.encode(picture(9, 97, 131), quality=60, lossless=False)
    theirs = independent_decoder.decode(bytes(data), independent_decoder.Model(made.path.read_bytes()))
    assert np.abs(codec.decode(data, dtype=np.uint8).astype(int) - theirs.pixels.astype(int)).max() <= 1


def test_a_region_is_the_same_as_its_crop(made: checkpoint.Checkpoint) -> None:
    codec = nicodec.Codec(made, threads=1)
    data = codec.encode(picture(2, 200, 330), quality=50, lossless=False)
    whole = codec.decode(data, dtype=np.uint8).astype(int)
    part = codec.decode(data, region=(70, 60, 150, 90), dtype=np.uint8).astype(int)
    assert np.abs(part - whole[60:150, 70:220]).max() <= 1


def test_the_reach_that_is_claimed_is_enough(made: checkpoint.Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any difference counted, no wider halo than the reach is found, and at the reach nothing differs."""
    monkeypatch.setattr(proof, "HALO_TOLERANCE", 1e-4)
    wide = replace(made, config=made.config)
    found = proof.measure_halos(wide)[1]
    assert found <= made.config.reach_s
    assert made.array("halos")[1] <= found


def test_effort_refines_it(made: checkpoint.Checkpoint) -> None:
    codec, pixels = nicodec.Codec(made, threads=1), picture(3, 64, 128)
    source = Picture(pixels)
    costs = []
    for effort in (1, 2):
        data = codec.encode(pixels, quality=50, effort=effort, lossless=False)
        costs.append(quantize.cost(5000, len(data), codec.psnr(source, data), 64 * 128))
    assert costs[1] <= costs[0]


def test_openvino_paints_it_too(made: checkpoint.Checkpoint) -> None:
    pytest.importorskip("openvino")
    data = nicodec.Codec(made, threads=1).encode(picture(3, 64, 128), quality=50, lossless=False)
    usual, other = (
        nicodec.Codec(made, threads=1, backend=name).decode(data, dtype=np.uint8).astype(int)
        for name in ("cpu", "openvino")
    )
    assert np.abs(usual - other).max() <= 2


def test_a_page_is_refused_in_one_sentence(made: checkpoint.Checkpoint) -> None:
    with pytest.raises(BadModel, match=r"which browsers cannot compute: no page shows it$"):
        modelfile.for_decoders(made.path.read_bytes(), "my.nicmodel")


def test_the_id_counts_what_is_not_usual(made: checkpoint.Checkpoint) -> None:
    stated = json.loads(modelfile.head(made.path)["config"])
    assert {"upsample", "transform"} & set(stated)
    usual = {name: value for name, value in stated.items() if name not in ("upsample", "transform")}
    assert modelfile.identity(ModelConfig.of(usual, "a file"), made.tensors) != made.identity
    assert ModelConfig.of(stated, "a file") == made.config


@pytest.mark.parametrize("kind", ["ConvTranspose", "Resize", "Pad"])
def test_a_gradient_of_a_way_up_that_is_another_is_not_written(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = {"ConvTranspose": "transposed", "Resize": "bilinear", "Pad": "bed-of-nails"}[kind]
    right = gradient.BACK[kind]

    def wrong(g: gradient.Tape, given: str, step: gradient.Step) -> str:
        return g.op("Mul", right(g, given, step), g.constant(100.0))

    monkeypatch.setitem(gradient.BACK, kind, wrong)
    with pytest.raises(BadModel, match="disagree: gradient"):
        tiny_models.write(tiny_models.random(CONFIGS[way]), tmp_path / "my.nicmodel")


def test_the_usual_graphs_are_those_of_the_released_model() -> None:
    """Byte for byte, so their files and ids stay as they are."""
    released = checkpoint.load(checkpoint.find("photo-fast"))
    shapes = {name: array.shape for name, array in released.tensors.items()}
    for room in (graphs, gradient):
        for name in room.PARTS:
            made = room.build(name, released.config, shapes)[0]
            assert made == released.tensors[f"graph.{name}"].tobytes(), name


def test_a_gray_model_starts_from_the_usual_parts_alone(made: checkpoint.Checkpoint, tmp_path: Path) -> None:
    for i in range(2):
        shade = picture(i)[:, :, :1].repeat(3, 2)

        Image.fromarray(np.ascontiguousarray(shade)).save(tmp_path / f"{i}.png")
    data = tiny_training.patches(tmp_path, colour="auto")
    with pytest.raises(BadModel, match=r"a gray model starts from the transform deep\+linear and the upsample shuffle"):
        gray.network(made.config, made, data)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"upsample": "nearest"}, "add --from none"),
        ({"transform": "linear", "start": "photo"}, "add --from none"),
        ({"upsample": "cubic", "start": "none"}, "--upsample is one of shuffle, nearest"),
        ({"transform": "deep", "start": "none"}, "--transform is one of"),
        ({"upsample": "nearest", "resume": True}, "leave it out"),
        ({"upsample": "nearest", "transform": "linear", "start": "none"}, "does not have"),
    ],
    ids=str,
)
def test_a_part_that_cannot_be_is_refused_before_torch_is_loaded(said: dict[str, Any], why: str) -> None:
    with pytest.raises(BadOption, match=why):
        nicodec.train.train([], "my.nicmodel", **said)


def test_a_network_gets_the_parts_that_were_said() -> None:
    fast = NETWORKS["fast"]
    assert parts.network(fast, None, None) is fast
    assert parts.network(fast, "nearest", "deep+linear") == replace(fast, upsample="nearest")
    linear = parts.network(fast, None, "linear")
    assert (linear.latent, linear.deep, linear.width, linear.reach_a, linear.reach_s) == (512, 240, 1, 0, 0)


def test_a_run_with_parts_ends_in_a_model_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pictures").mkdir()
    pictures, out = tiny_training.pictures(tmp_path / "pictures"), tmp_path / "my.nicmodel"
    monkeypatch.setitem(NETWORKS, "fast", SMALL)
    said = {"batch": 1, "patch": 64, "measure": "none", "threads": 1, "steps": 2}
    nicodec.train.train(pictures, out, start="none", network="fast", upsample="bilinear", distortion="l1", **said)
    made = checkpoint.load(out)
    assert made.config == replace(SMALL, upsample="bilinear")
    command = json.loads(modelfile.head(out)["training"])["command"]
    assert "--upsample bilinear" in command
    assert "--distortion l1" in command
    nicodec.train.train(pictures, out, resume=True, again=True, steps=1, measure="none")
    assert checkpoint.load(out).config == made.config


def test_a_state_of_another_way_up_is_not_taken(tmp_path: Path) -> None:
    data = tiny_training.patches(tiny_training.pictures(tmp_path))
    Trainer(replace(OPTIONS, model=SMALL), data).save(tmp_path / options.STATE)
    other = Trainer(replace(OPTIONS, model=CONFIGS["nearest"]), copy.copy(data))
    with pytest.raises(nicodec.BadFile, match="not one of this network"):
        other.load(tmp_path / options.STATE)
