"""A model file becomes the network that it was made from, or a reason why it cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models
from tiny_models import FUZZED, unseen

from nicodec.errors import BadModel
from nicodec.model.checkpoint import Checkpoint
from nicodec.nn.thaw import model_of
from nicodec.train import export


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return tiny_models.write(tiny_models.random(FUZZED), tmp_path_factory.mktemp("model") / "tiny.nicmodel")


def test_what_is_frozen_and_thawed_is_frozen_the_same(made: Checkpoint) -> None:
    """Tables of z are made from priors that are kept in half precision; halos are measured later."""
    model = model_of(made)
    assert not model.training
    again = export.freeze(model, *unseen(FUZZED))
    for name, array in made.tensors.items():
        if not name.startswith(("tables.z", "halos")):
            assert np.array_equal(array, again[name]), name


@pytest.mark.parametrize("name", ["h_mu.cap1.limit", "g_s.head.bias", "h_sigma.layers.1.scale"])
def test_a_file_that_lacks_a_tensor_is_a_bad_model(made: Checkpoint, name: str) -> None:
    tensors = {key: array for key, array in made.tensors.items() if key != name}
    with pytest.raises(BadModel, match=name):
        model_of(replace(made, tensors=tensors))


def test_a_file_of_other_widths_than_it_says_is_a_bad_model(made: Checkpoint) -> None:
    with pytest.raises(BadModel, match="not a network"):
        model_of(replace(made, config=replace(FUZZED, width=8)))
