"""The config of a model: typed and whole, or refused as a BadModel that says what is wrong."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from nicodec.errors import BadModel
from nicodec.model.config import NETWORKS, UPSAMPLES, USUAL, ModelConfig

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
        {"repair": -1},
        {"repair": 65},
    ],
    ids=str,
)
def test_an_impossible_width_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadModel, match=f"^x.nicmodel: the config of the model needs {next(iter(change))}, from"):
        ModelConfig.of(SAVED | change, "x.nicmodel")


@pytest.mark.parametrize("name", [name for name in SAVED if name not in USUAL])
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
    assert [replace(full, repair=layers).reach_a for layers in (1, 8, 9)] == [17, 17, 18]


def test_a_model_has_three_colours_unless_its_file_says_one() -> None:
    """The released models say nothing of colours, and their ids count nothing of them."""
    stated = NETWORKS["full"].stated()
    assert "colours" not in stated
    assert ModelConfig.of(stated, "a file") == NETWORKS["full"]
    gray = replace(NETWORKS["full"], colours=1)
    assert gray.stated() == stated | {"colours": 1}
    assert ModelConfig.of(gray.stated(), "a file") == gray


def test_a_stage_that_repairs_is_stated_where_there_is_one() -> None:
    usual = NETWORKS["full"]
    assert "repair" not in usual.stated()
    assert replace(usual, repair=5).stated() == usual.stated() | {"repair": 5}
    assert ModelConfig.of(replace(usual, repair=5).stated(), "a file").repair == 5
    assert replace(usual, repair=5).without_deep().repair == 0


@pytest.mark.parametrize("colours", [0, 2, 4, True, "1", None, 1.0])
def test_other_numbers_of_colours_are_refused(colours: object) -> None:
    with pytest.raises(BadModel, match=r"^x.nicmodel: the config of the model needs 1 or 3 colours"):
        ModelConfig.of(SAVED | {"colours": colours}, "x.nicmodel")


@pytest.mark.parametrize("part", [{"upsample": way} for way in UPSAMPLES] + [{"transform": "linear"}], ids=str)
def test_parts_are_stated_unless_they_are_the_usual_ones(part: dict[str, str]) -> None:
    usual = NETWORKS["fast"]
    config = usual.without_deep() if "transform" in part else replace(usual, **part)  # type: ignore[arg-type]
    assert {name for name in part if name in config.stated()} == {n for n, v in part.items() if USUAL[n] != v}
    assert ModelConfig.of(config.stated(), "a file") == config


@pytest.mark.parametrize(
    "change",
    [{"upsample": "cubic"}, {"upsample": None}, {"upsample": ["nearest"]}, {"transform": 1}, {"transform": "linear"}],
    ids=str,
)
def test_impossible_parts_are_refused(change: dict[str, Any]) -> None:
    """A linear transform beside blocks is one too."""
    with pytest.raises(BadModel, match=r"^x.nicmodel: the config of the model needs (upsample|transform|no deep)"):
        ModelConfig.of(SAVED | change, "x.nicmodel")


def test_a_way_up_adds_to_the_reach() -> None:
    fast = NETWORKS["fast"]
    assert [replace(fast, upsample=way).reach_s for way in UPSAMPLES] == [2, 3, 5, 3, 4, 4]
    assert (fast.without_deep().reach_a, fast.without_deep().reach_s) == (0, 0)
