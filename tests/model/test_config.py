"""The config of a model: typed and whole, or refused as a BadModel that says what is wrong."""

from dataclasses import asdict
from typing import Any

import pytest

from nicodec.errors import BadModel
from nicodec.model.config import NETWORKS, ModelConfig

SAVED = asdict(NETWORKS["full"])


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_saved_config_comes_back(name: str) -> None:
    assert ModelConfig.of(asdict(NETWORKS[name]), "a file") == NETWORKS[name]


@pytest.mark.parametrize(
    "change",
    [
        {"latent": 0},
        {"latent": True},
        {"width": 0},
        {"z": 2**20},
        {"context_blocks": None},
        {"blocks_s": -1},
        {"blocks_a": 1e9},
        {"linear": -1},
        {"linear": 10_000},
        {"linear": "8"},
    ],
    ids=str,
)
def test_an_impossible_width_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadModel, match=f"^x.nicmodel: the config of the model needs {next(iter(change))}, from"):
        ModelConfig.of(SAVED | change, "x.nicmodel")


@pytest.mark.parametrize("name", list(SAVED))
def test_a_config_that_lacks_a_name_is_refused(name: str) -> None:
    with pytest.raises(BadModel, match="the config of the model needs latent, width,"):
        ModelConfig.of({key: value for key, value in SAVED.items() if key != name}, "x.nicmodel")


@pytest.mark.parametrize("saved", [None, 5, "latent", [], {}, SAVED | {"more": 1}], ids=str)
def test_anything_else_is_refused(saved: object) -> None:
    with pytest.raises(BadModel, match="and nothing else"):
        ModelConfig.of(saved, "x.nicmodel")


def test_a_network_sees_as_far_as_its_blocks_reach() -> None:
    full = NETWORKS["full"]
    assert (full.deep, full.reach_a, full.reach_s, full.reach_mean) == (320, 16, 6, 2)
