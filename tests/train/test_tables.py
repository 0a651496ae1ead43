"""Frequency tables: whole, never zero, and better for having counted."""

# ruff: noqa: E402

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from tiny_models import TINY, unseen

from nicodec.bitstream.hyper import MAX_HYPER
from nicodec.nn import likelihood
from nicodec.nn.model import Model
from nicodec.train import coded, tables


def test_frequencies_sum_and_keep_every_symbol() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 3, 50, 1400):
        p = rng.dirichlet(np.full(n, 0.1)) + 1e-12
        f = tables.frequencies(p).astype(np.int64)
        assert f.sum() == 1 << 16
        assert f.min() >= 1
        cost = -(p / p.sum() * np.log2(f / 65536)).sum()
        entropy = -(p / p.sum() * np.log2(p / p.sum())).sum()
        assert cost < entropy + 0.01 + n * 2e-5


def test_gaussian_tables_cost_what_gaussians_cost() -> None:
    made = tables.y_tables(unseen(TINY)[0])
    start, low = made["tables.y.start"], made["tables.y.low"]
    settled = np.flatnonzero(np.diff(start) == 1).tolist()
    assert settled == list(range(len(settled)))  # the smallest scales
    assert 0 < len(settled) < 10
    for t in (10, 20, 40, 63):
        sigma = likelihood.SCALE_MIN * np.exp(likelihood.SCALE_STEP * t)
        f = made["tables.y.frequencies"][start[t] : start[t + 1]].astype(np.float64)
        assert len(f) == 2 * -low[t] + 2  # symmetric, and one escape
        values = np.arange(low[t], -low[t] + 1)
        p = likelihood.gaussian_likelihood(torch.from_numpy(values.astype(np.float64)), torch.tensor(sigma)).numpy()
        assert np.abs(f[:-1] / 65536 - p).max() < 2e-4
        assert p.sum() > 1 - 1e-4


def test_counts_are_those_of_the_symbols_and_pay() -> None:
    """Every symbol is counted once, and tables made with counts code the same symbols in fewer bits."""
    torch.manual_seed(0)
    network = Model(TINY)
    network.init_from_patches(torch.randn(2000, 768) * 0.2, (1.5, 40.0))
    network.eval()
    pictures = torch.randint(0, 256, (3, 64, 128, 3), dtype=torch.uint8)
    pictures = (pictures.float() * 0.1 + torch.linspace(0, 200, 128)[None, None, :, None]).byte()
    for picture, z in zip(pictures, coded.hyper(network, pictures), strict=True):
        for anchor, out in coded.each(network, picture[None]):
            assert np.array_equal(z[anchor], out.z[0].permute(2, 0, 1).numpy())
    counts = tables.count(network, pictures, list(pictures))
    assert counts.y.sum() == 3 * 11 * 4 * 8 * 24
    assert counts.z.sum() == 3 * 11 * 1 * 2 * 8

    def bits(made: dict[str, tables.Array], name: str, rows: tables.Array, middle: int) -> float:
        start, low, f = (made[f"tables.{name}.{part}"] for part in ("start", "low", "frequencies"))
        total = 0.0
        for t, row in enumerate(rows):
            p = f[start[t] : start[t + 1]] / 65536
            inside = row[middle + low[t] : middle + low[t] + len(p) - (name == "y")]
            total -= (inside * np.log2(p[: len(inside)])).sum() - 24 * (row.sum() - inside.sum())
        return total

    z = counts.z.reshape(-1, 2 * MAX_HYPER + 1)  # set by set, as the tables are
    none, _ = unseen(TINY)
    assert bits(tables.y_tables(counts), "y", counts.y, tables.WIDTH) < bits(
        tables.y_tables(none), "y", counts.y, tables.WIDTH
    )
    assert bits(tables.z_tables(network, counts), "z", z, MAX_HYPER) < bits(
        tables.z_tables(network, none), "z", z, MAX_HYPER
    )


def test_pictures_of_one_cell_have_no_neighbours_to_tell_sets_apart_by() -> None:
    """As in a folder of icons of 64 x 64 pixels."""
    torch.manual_seed(0)
    network = Model(TINY).eval()
    pictures = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    counts = tables.count(network, pictures, list(pictures))
    assert not counts.bounds.any()
    assert counts.z[0].sum() == counts.z.sum() == 3 * 11 * 8
    assert tables.z_tables(network, counts)["tables.z.bounds"].dtype == np.int16
