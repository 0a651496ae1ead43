"""The watch over a run: it stops for what has gone astray, and for nothing else."""

# ruff: noqa: E402

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from nicodec.train.watch import ASTRAY, LONG, Diverged, Watch


def watched(*levels: tuple[float, int]) -> Watch:
    """After so many steps of each loss."""
    watch = Watch()
    for loss, count in levels:
        for _ in range(count):
            watch.add(torch.tensor([loss, 1.0, 30.0]))
    return watch


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_for_long_is_divergence(loss: float) -> None:
    watched((5.0, 9), (loss, ASTRAY - 1), (5.0, 1), (loss, ASTRAY - 1)).check()
    with pytest.raises(Diverged, match=f"not finite, {ASTRAY} steps"):
        watched((5.0, 9), (loss, ASTRAY)).check()
    with pytest.raises(Diverged, match="not finite"):
        watched((loss, 2)).check(last=True)


def test_a_step_that_is_not_finite_leaves_the_means_alone() -> None:
    watch = watched((5.0, 9), (math.nan, 1))
    assert watch.means() == (5.0, 1.0, 30.0)
    assert not watch.well()
    watch.add(torch.tensor([5.0, 1.0, math.inf]))
    assert watch.means() == (5.0, 1.0, 30.0)
    assert watch.well()


def test_a_mean_loss_far_above_its_best_for_long_is_divergence() -> None:
    watched((4.0, 300), (13.0, 2000)).check(last=True)
    astray = watched((4.0, 300), (90.0, LONG // 2))
    astray.check()
    assert not astray.well()
    with pytest.raises(Diverged, match="4 times its best"):
        astray.check(last=True)
    with pytest.raises(Diverged, match=r"mean loss is 90.*\(4\)"):
        watched((4.0, 300), (90.0, 2 * LONG)).check()


def test_a_run_that_is_astray_from_the_start_is_divergence() -> None:
    with pytest.raises(Diverged, match="mean loss"):
        watched((400.0, 2 * LONG)).check()


def test_a_single_jump_and_a_lucky_start_are_no_divergence() -> None:
    jumped = watched((4.0, 300), (2000.0, 1), (4.0, 1))
    assert jumped.well()
    jumped.check(last=True)
    watched((0.1, 2), (6.0, 2 * LONG)).check(last=True)
