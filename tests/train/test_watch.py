"""The watch over a run: it stops for what has gone astray, and for nothing else."""

# ruff: noqa: E402

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from nicodec.train.watch import ASTRAY, LONG, Watch


def watched(*levels: tuple[float, int]) -> Watch:
    """After so many steps of each loss."""
    watch = Watch()
    for loss, count in levels:
        for _ in range(count):
            watch.add(torch.tensor([loss, 1.0, 30.0]))
    return watch


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_for_long_is_a_fault(loss: float) -> None:
    assert watched((5.0, 9), (loss, ASTRAY - 1), (5.0, 1), (loss, ASTRAY - 1)).fault() == ""
    assert f"not finite, {ASTRAY} steps" in watched((5.0, 9), (loss, ASTRAY)).fault()


def test_a_step_that_is_not_finite_leaves_the_means_alone() -> None:
    watch = watched((5.0, 9), (math.nan, 1))
    assert watch.means() == (5.0, 1.0, 30.0)
    assert not watch.well()
    watch.add(torch.tensor([5.0, 1.0, math.inf]))
    assert watch.means() == (5.0, 1.0, 30.0)
    assert watch.well()


def test_a_mean_loss_far_above_its_best_for_long_is_a_fault() -> None:
    assert watched((4.0, 300), (5.5, 2000)).fault() == ""
    astray = watched((4.0, 300), (90.0, LONG // 2))
    assert astray.fault() == ""
    assert not astray.well()
    assert "mean loss is 90, over 1.5 times its best (4)" in watched((4.0, 300), (90.0, 2 * LONG)).fault()


def test_a_run_that_is_astray_from_the_start_has_a_fault() -> None:
    assert "mean loss" in watched((400.0, 2 * LONG)).fault()


def test_a_single_jump_and_a_lucky_start_are_no_faults() -> None:
    jumped = watched((4.0, 300), (2000.0, 1), (4.0, 1))
    assert jumped.fault() == ""
    assert watched((0.1, 2), (6.0, 2 * LONG)).fault() == ""
