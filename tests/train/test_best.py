"""The best state: what is better is kept, and nothing that harms a single picture."""

# ruff: noqa: E402

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from nicodec.train import best, validate
from nicodec.train.best import Best
from nicodec.train.options import plain


def curves(pictures: int = 3) -> validate.Curves:
    """Rising bits, falling error; later pictures are harder."""
    bits = np.array([0.1, 0.3, 0.8, 1.6, 3.0])
    found = np.stack([bits, 40 / bits], -1)[None].repeat(pictures, 0)
    return found * (1 + np.arange(pictures))[:, None, None]


def model(value: float) -> torch.nn.Module:
    layer = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(layer.weight, value)
    return layer


def test_a_state_is_kept_if_it_is_better_than_the_best() -> None:
    state = Best()
    assert state.offer(model(0), curves(), 0) == "better"  # the start
    assert state.offer(model(1), 1.01 * curves(), 10) == "worse"
    assert state.offer(model(2), 0.9 * curves(), 20) == "better"
    assert state.offer(model(3), 0.95 * curves(), 30) == "worse"
    assert (state.step, state.checks) == (20, 1)
    assert state.gained == pytest.approx(0.1)
    assert state.tensors["weight"].item() == 2


def test_what_is_kept_does_not_change_with_the_model() -> None:
    state, trained = Best(), model(1)
    state.offer(trained, curves(), 0)
    torch.nn.init.constant_(trained.weight, 9)
    assert state.tensors["weight"].item() == 1


def test_a_better_state_that_harms_one_picture_is_not_kept() -> None:
    found = 0.7 * curves()
    found[2, 1, 1] *= 3  # at one quality of one picture
    assert best.lost(curves(), found) > best.WORST
    state = Best()
    state.offer(model(0), curves(), 0)
    assert state.offer(model(1), found, 10) == "harmful"
    assert state.step == 0
    # A run from nothing has no model to be held against.
    free = Best(guarded=False)
    free.offer(model(0), curves(), 0)
    assert free.offer(model(1), found, 10) == "better"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_state_that_is_not_finite_is_worse(value: float) -> None:
    state, found = Best(), 0.5 * curves()
    state.offer(model(0), curves(), 0)
    found[0, 0, 1] = value
    assert state.offer(model(1), found, 10) == "worse"


def test_a_loss_is_measured_at_the_same_bits() -> None:
    start = curves(1)
    # The same curve at other rates loses nothing: error is 40 / bits, a line over the logarithm.
    other = np.stack([start[..., 0] * 1.3, start[..., 1] / 1.3], -1)
    assert best.lost(start, other[:, :-1]) == pytest.approx(0, abs=1e-6)
    lower = np.stack([start[..., 0] / 2, start[..., 1] * 2], -1)
    assert best.lost(start, lower) == pytest.approx(0, abs=1e-6)
    worse = start * [1, 10 ** (0.7 / 10)]
    assert best.lost(start, worse) == pytest.approx(0.7)


def test_pictures_whose_psnr_does_not_rise_are_named() -> None:
    found = curves()
    assert best.falling(found) == []
    found[1, 3, 1] = found[1, 2, 1]
    assert best.falling(found) == [1]


def test_a_look_is_bounded_however_many_pictures_there_are() -> None:
    many = [np.zeros((384, 384, 3), np.uint8)]
    for count in (1, 24, 40, 64):
        assert best.looked_at(count * many) <= len(best.QUALITIES) * best.LOOKED_AT
    assert best.looked_at(24 * many) == len(best.QUALITIES) * best.LOOKED_AT


def test_what_json_holds_of_it_is_all_but_the_tensors() -> None:
    for state in (Best(guarded=False), Best()):
        again = Best.of(json.loads(json.dumps(plain(state.meta()), allow_nan=False)), {})
        assert again == state
    state.offer(model(0), curves(), 0)
    state.offer(model(1), 0.9 * curves(), 10)
    again = Best.of(json.loads(json.dumps(plain(state.meta()))), state.tensors)
    assert again.meta() == state.meta()
    assert again.offer(model(2), 0.95 * curves(), 20) == "worse"
