"""A whole run: pictures in, a file that encodes and decodes out; and what is refused before it begins."""

# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models
import tiny_training
from tiny_models import TINY
from tiny_training import OPTIONS, losses_of, picture

import nicodec
import nicodec.extras
import nicodec.train
from nicodec.errors import BadModel, ModelNotFound, NicError
from nicodec.model.config import NETWORKS
from nicodec.nn.thaw import model_of
from nicodec.train import export, preview, run, tables
from nicodec.train.data import Patches
from nicodec.train.options import RATE_FROM, RATE_FROM_OTHERS
from nicodec.train.trainer import Options, Trainer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training.pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def patches(folder: Path) -> Patches:
    return tiny_training.patches(folder)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with tiny_training.one_thread():
        yield


def test_from_pictures_to_a_model_that_codes(patches: Patches, tmp_path: Path) -> None:
    """Two steps, export, encode, decode, and a preview; and the released weights train on."""
    trainer = Trainer(OPTIONS, patches)
    losses_of(trainer, 2)
    with trainer.averaged() as model:
        counts = tables.count(model, patches.squares(2), patches.pictures(2))
        small = preview.fit(model, patches.squares(2))
        made = export.write_model(model, tmp_path / "my.nicmodel", "my", {"steps": 2}, counts, small)
    codec = nicodec.Codec(tmp_path / "my.nicmodel", threads=1)
    original = picture(9, 97, 131)
    sizes = []
    for quality in (0, 50, 100):
        coded = codec.encode(original, quality=quality)
        back = np.asarray(codec.decode(coded))
        sizes.append(len(coded))
        assert back.shape == original.shape
    assert sizes == sorted(sizes)
    assert np.square(back.astype(float) - original).mean() < 150
    assert nicodec.info(coded).model_id == made.id.hex()
    reduced = np.asarray(codec.decode(coded).reduce(8)).astype(float)
    assert np.square(np.asarray(codec.decode(coded, scale=1 / 8)) - reduced)[:-1, :-1].mean() < 50

    onward = Trainer(OPTIONS, patches)
    onward.start_from(made)
    refrozen = export.freeze(onward.model.eval(), counts, small)
    for name, array in made.tensors.items():
        # Tables of z are made from priors that are kept in half precision; halos are measured later.
        if not name.startswith(("tables.z", "halos")):
            assert np.array_equal(array, refrozen[name]), name
    with pytest.raises(BadModel, match="widths"):
        Trainer(replace(OPTIONS, model=replace(TINY, width=24)), patches).start_from(made)


def test_the_estimated_rate_is_the_rate_of_the_file(patches: Patches, tmp_path: Path) -> None:
    trainer = Trainer(OPTIONS, patches)
    losses_of(trainer, 30)
    x = picture(3, 128, 192)
    with trainer.averaged() as model, torch.no_grad():
        made = tiny_models.write(model, tmp_path / "my.nicmodel")
        estimate = model_of(made)(torch.from_numpy(x)[None].float() / 255 - 0.5, torch.tensor([6000]))
    coded = nicodec.Codec(tmp_path / "my.nicmodel", threads=1).encode(x, quality=60)
    bits = float(estimate.y_bits + estimate.z_bits)
    assert 8 * len(coded) == pytest.approx(bits, rel=0.02, abs=8 * 100)


def test_training_refuses_what_would_be_lost_before_torch_is_loaded(tmp_path: Path, folder: Path) -> None:
    def call(out: str, **changes: Any) -> None:
        nicodec.train.train(folder, tmp_path / out, **changes)

    (tmp_path / "my.nicmodel").write_bytes(b"precious")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nicodec.extras, "load", lambda *_: pytest.fail("seconds of loading for nothing"))
        with pytest.raises(NicError, match=r"\.nicmodel"):
            call("model.onnx")
        with pytest.raises(NicError, match="exists"):
            call("my.nicmodel")
        with pytest.raises(NicError, match="--again"):
            call("other.nicmodel", again=True)
        with pytest.raises(NicError, match="--from"):
            call("other.nicmodel", resume=True, start="photo")
        with pytest.raises(NicError, match="--minutes"):
            call("other.nicmodel", minutes=-1)
        with pytest.raises(NicError, match="there is no such file"):
            call("other.nicmodel", validation=tmp_path / "gone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "_read", lambda *arguments: pytest.fail("minutes of reading for nothing"))
        with pytest.raises(ModelNotFound):
            call("other.nicmodel", start="nothing")
    assert (tmp_path / "my.nicmodel").read_bytes() == b"precious"


def test_the_network_is_the_one_asked_for_or_that_of_the_start(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(TINY, width=24)
    trainer = Trainer(replace(OPTIONS, model=small), patches)
    made = tiny_models.write(trainer.model, tmp_path / "small.nicmodel")
    (tmp_path / "my.run").mkdir()
    trainer.save(tmp_path / "my.run" / "state.safetensors")
    monkeypatch.setattr(run, "_read", lambda *arguments: patches)

    def chosen(**changes: Any) -> Options:
        """The options that would be trained with."""
        seen: list[Options] = []

        def noted(options: Options, data: Patches, fresh: bool) -> None:
            seen.append(options)
            raise KeyboardInterrupt

        monkeypatch.setattr(run, "Trainer", noted)
        arguments: dict[str, Any] = {"resume": False, "again": False, "start": "none"}
        with pytest.raises(KeyboardInterrupt):
            run.train([], tmp_path / "my.nicmodel", OPTIONS, **(arguments | changes))
        return seen[0]

    assert chosen().model == TINY
    assert chosen(start=str(made.path)).model == small
    assert chosen(resume=True, start=None).model == small
    # A model forgets within minutes at the rate of a network that knows nothing.
    assert chosen().rate == OPTIONS.rate
    assert chosen(start=str(made.path)).rate == RATE_FROM_OTHERS < OPTIONS.rate
    assert chosen(start=str(made.path), said={"rate": OPTIONS.rate}).rate == OPTIONS.rate
    assert chosen(network="fast").model.width == 96
    # Without a word of it, a run starts from the released model of the small network.
    default = chosen(start=None)
    assert (default.model, default.rate, default.origin.split()[0]) == (
        NETWORKS["fast"],
        RATE_FROM["fast"],
        "photo-fast",
    )
    assert chosen(start=None, network="full").origin.split()[0] == "photo"
    assert chosen(network="full").model == NETWORKS["full"]
    with pytest.raises(NicError, match="another network than --network full"):
        chosen(network="full", start=str(made.path))
    # What a file is too small to hold is refused before there is memory for it.
    strange = replace(made, config=replace(small, latent=2**14))
    monkeypatch.setattr(run.checkpoint, "load", lambda path: strange)
    with pytest.raises(BadModel, match="widths"):
        chosen(start=str(made.path))


@pytest.mark.parametrize(
    "model", [None, {}, {"odd": 1}, vars(TINY) | {"latent": "24"}, vars(TINY) | {"blocks_a": 10**9}]
)
def test_a_state_of_a_strange_config_is_a_bad_model(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: object
) -> None:
    monkeypatch.setattr(run, "read_meta", lambda path: {"options": {"model": model}})
    with pytest.raises(BadModel, match="config"):
        run.train([], tmp_path / "my.nicmodel", OPTIONS, resume=True, again=False, start=None)
