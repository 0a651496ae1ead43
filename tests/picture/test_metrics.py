"""Metrics against numbers known from elsewhere: arithmetic, pytorch-msssim, the bjontegaard package."""

import importlib.util
import math
import subprocess
import sys
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from nicodec.errors import MissingExtra
from nicodec.picture import metrics


def pair(height: int, width: int, channels: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture with edges and texture, and a damaged copy; integers only, the same everywhere."""
    i, j, c = np.ogrid[:height, :width, :channels]
    texture = (i * 7 + j * 13 + (i * j) // 11 + c * 40) % 97
    x = np.clip(texture + (i // 20 + j // 30) % 2 * 120 + c * 10, 0, 255)
    y = np.clip(x // 48 * 48 + (i * 31 + j * 17 + c * 5) % 83 - 15, 0, 255)
    return x.astype(np.uint8), y.astype(np.uint8)


def test_psnr_of_a_known_error() -> None:
    a = np.full((8, 9, 3), 100, np.uint8)
    assert metrics.psnr(a, a + np.uint8(1)) == pytest.approx(20 * math.log10(255))
    b = a.copy()
    b[0, 0, 0] = 110  # 100 over 216 samples, one mean over all of them
    assert metrics.psnr(a, b) == pytest.approx(10 * math.log10(255**2 * 216 / 100))
    black, white = np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)
    assert metrics.psnr(black, white) == metrics.psnr(white, black) == 0  # no wrap-around of uint8
    assert metrics.psnr(a, a) == math.inf


def test_psnr_is_one_mean_over_all_strips() -> None:
    rng = np.random.default_rng(1)
    for dtype in (np.uint8, np.uint16):
        a, b = (rng.integers(256, size=(150, 7, 3)).astype(dtype) for _ in range(2))
        alpha = rng.integers(2, size=(150, 7)).astype(np.uint8)
        unit = 255 / np.iinfo(dtype).max
        squares = np.square((a.astype(float) - b) * unit)
        assert metrics.psnr(a, b) == pytest.approx(metrics.decibels(squares.mean()), rel=1e-6)
        assert metrics.psnr(a, b, alpha) == pytest.approx(metrics.decibels(squares[alpha > 0].mean()), rel=1e-6)
        assert metrics.psnr(a, b, np.zeros_like(alpha)) == math.inf


@pytest.mark.parametrize("measure", [metrics.psnr, metrics.worst_cell])
def test_errors_take_memory_for_a_strip_alone(measure: Callable[..., object]) -> None:
    a, alpha = np.zeros((4000, 1000, 3), np.uint8), np.full((4000, 1000), 255, np.uint8)
    tracemalloc.start()
    measure(a, a, alpha)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < a.nbytes / 4


def test_errors_of_cells_are_means_over_their_own_samples() -> None:
    for shape in ((37, 50, 3), (16, 16), (5, 3, 3), (32, 1), (1, 33, 4)):
        rng = np.random.default_rng(len(shape))
        a, b = (rng.integers(256, size=shape, dtype=np.uint8) for _ in range(2))
        squares = (a.astype(float) - b) ** 2
        expected = [
            [squares[top : top + 16, left : left + 16].mean() for left in range(0, shape[1], 16)]
            for top in range(0, shape[0], 16)
        ]
        assert metrics.cell_errors(a, b) == pytest.approx(np.array(expected), rel=1e-12)


def test_the_worst_cell_is_found_where_it_is() -> None:
    a = np.full((40, 60, 3), 100, np.uint8)
    assert metrics.worst_cell(a, a) == (math.inf, 0, 0)
    b = a.copy()
    b[20, 17, 1] = 110
    assert metrics.worst_cell(a, b) == (pytest.approx(10 * math.log10(255**2 * 16 * 16 * 3 / 100)), 16, 16)
    b[39, 59, 1] = 109  # less, but over the 8 x 12 pixels that the edges leave
    assert metrics.worst_cell(a, b) == (pytest.approx(10 * math.log10(255**2 * 8 * 12 * 3 / 81)), 48, 32)
    black, white = np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)
    assert metrics.worst_cell(black, white) == (0, 0, 0)


@pytest.mark.parametrize("measure", [metrics.psnr, metrics.msssim, metrics.worst_cell])
def test_unlike_pictures_are_refused(measure: object) -> None:
    assert callable(measure)
    a = np.zeros((200, 200, 3), np.uint8)
    for b in (a[:199], a[..., 0], a.astype(np.float32), a.astype(np.int16)):
        with pytest.raises(ValueError, match="pictures must"):
            measure(a, b)
    with pytest.raises(ValueError, match="pictures must"):
        measure(a[:0], a[:0])


# Made once with pytorch-msssim 1.0.0 in double precision, data_range=255.
MSSSIM = {
    (161, 161, 3): 0.973112734,
    (176, 224, 3): 0.974695745,
    (163, 181, 3): 0.972144218,
    (177, 200, 1): 0.972945876,
}


@pytest.mark.parametrize("shape", MSSSIM)
def test_msssim_agrees_with_recorded_values(shape: tuple[int, int, int]) -> None:
    assert metrics.msssim(*pair(*shape)) == pytest.approx(MSSSIM[shape], abs=1e-6)


def test_msssim_agrees_with_pytorch_msssim() -> None:
    torch = pytest.importorskip("torch")
    pytorch_msssim = pytest.importorskip("pytorch_msssim")
    x, y = pair(333, 251, 3)  # odd at more than one scale
    bright = np.clip(x // 64 + 250, 0, 255).astype(np.uint8)  # where single precision loses most
    for a, b in ((x, y), (bright, np.minimum(bright, 254).astype(np.uint8))):
        planes = [torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float64)) for image in (a, b)]
        theirs = float(pytorch_msssim.ms_ssim(*planes, data_range=255))
        assert metrics.msssim(a, b) == pytest.approx(theirs, abs=1e-5)


def test_msssim_at_its_ends() -> None:
    x, y = pair(170, 170, 3)
    assert metrics.msssim(x, x) == pytest.approx(1, abs=1e-6)
    assert metrics.msssim(x, y) == pytest.approx(metrics.msssim(y, x), abs=1e-6)
    assert metrics.msssim(x[..., 0], y[..., 0]) == pytest.approx(metrics.msssim(x[..., :1], y[..., :1]))
    negative = (255 - x).astype(np.uint8)
    assert 0 <= metrics.msssim(x, negative) < 0.1  # negative correlation counts as none


@pytest.mark.parametrize("shape", [(160, 161, 3), (300, 160, 3), (1, 1), (160, 160)])
def test_msssim_refuses_pictures_too_small_for_five_scales(shape: tuple[int, ...]) -> None:
    a = np.zeros(shape, np.uint8)
    with pytest.raises(ValueError, match="161"):
        metrics.msssim(a, a)


def test_msssim_in_decibels() -> None:
    assert metrics.msssim_db(0.99) == pytest.approx(20)
    assert metrics.msssim_db(0.0) == 0
    assert metrics.msssim_db(1.0) == math.inf


def test_bits_per_pixel() -> None:
    assert metrics.bpp(1000, 40, 50) == 4
    for bad in ((-1, 1, 1), (1, 0, 1), (1, 1, 0)):
        with pytest.raises(ValueError, match="no picture"):
            metrics.bpp(*bad)


needs_bench = pytest.mark.skipif(importlib.util.find_spec("bjontegaard") is None, reason="needs the extra [bench]")

RATES = [0.1, 0.2, 0.35, 0.6, 1.0, 1.6, 2.4]
CURVE = [(rate, 30 + 6 * math.log2(rate) - 0.2 * math.log2(rate) ** 2) for rate in RATES]


@needs_bench
def test_bd_rate_of_a_constant_saving() -> None:
    cheaper = [(0.6 * rate, db) for rate, db in CURVE]
    found = metrics.bd_rate(CURVE, cheaper)
    assert found is not None
    assert found.percent == pytest.approx(-40)
    assert (found.low_db, found.high_db) == (CURVE[0][1], CURVE[-1][1])
    back = metrics.bd_rate(cheaper, CURVE)
    assert back is not None
    assert back.percent == pytest.approx(100 / 0.6 - 100)
    same = metrics.bd_rate(CURVE, CURVE)
    assert same is not None
    assert same.percent == pytest.approx(0, abs=1e-9)


def other_curve() -> list[tuple[float, float]]:
    """Saves much at low rates and nothing at high ones, and covers other decibels."""
    return [(rate * (0.5 + 0.2 * rate), db + 0.3) for rate, db in CURVE[1:]]


@needs_bench
def test_bd_rate_is_the_packages_own() -> None:
    import bjontegaard

    reference, test = np.array(CURVE), np.array(other_curve())
    expected = bjontegaard.bd_rate(*reference.T, *test.T, method="akima", require_matching_points=False, min_overlap=0)
    found = metrics.bd_rate(CURVE, other_curve())
    assert found is not None
    assert found.percent == pytest.approx(expected, rel=1e-12)
    assert (found.low_db, found.high_db) == (test[0, 1], reference[-1, 1])


@needs_bench
def test_bd_rate_wants_no_order_and_drops_what_is_worth_nothing() -> None:
    clean = metrics.bd_rate(CURVE, other_curve())
    dearer_and_worse = (CURVE[3][0] * 1.1, CURVE[3][1] - 1)
    useless = [dearer_and_worse, CURVE[2], (5.0, math.inf), (0.0, 10.0), (math.nan, 20.0), (1.0, math.nan)]
    assert metrics.bd_rate([*reversed(CURVE), *useless], other_curve()[::-1]) == clean


@needs_bench
def test_bd_rate_inside_a_window_of_rates() -> None:
    test = other_curve()
    found = metrics.bd_rate(CURVE, test, window=(0.15, 0.9))
    assert found is not None
    from scipy.interpolate import Akima1DInterpolator

    reference_at, test_at = (
        Akima1DInterpolator([db for _, db in curve], [math.log(rate) for rate, _ in curve]) for curve in (CURVE, test)
    )
    assert math.exp(test_at(found.low_db)) == pytest.approx(0.15)
    assert math.exp(test_at(found.high_db)) == pytest.approx(0.9)
    db = np.linspace(found.low_db, found.high_db, 20001)
    mean = float(np.mean(test_at(db) - reference_at(db)))
    assert found.percent == pytest.approx(100 * math.expm1(mean), abs=0.01)
    whole = metrics.bd_rate(CURVE, test)
    assert whole is not None
    assert found.percent < whole.percent - 2  # this curve saves where the window is
    assert metrics.bd_rate(CURVE, test, window=(0.001, 100)) == whole


@needs_bench
def test_bd_rate_says_nothing_about_curves_that_cannot_be_compared() -> None:
    higher = [(rate, db + 100) for rate, db in CURVE]
    assert metrics.bd_rate(CURVE, higher) is None
    assert metrics.bd_rate(CURVE, CURVE[:3]) is None
    assert metrics.bd_rate([], CURVE) is None
    assert metrics.bd_rate(CURVE, [(r, CURVE[-1][1] - 0.4 + 0.1 * k) for k, r in enumerate(RATES)]) is None
    assert metrics.bd_rate(CURVE, CURVE, window=(5, 9)) is None


def test_bd_rate_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bjontegaard", None)
    with pytest.raises(MissingExtra, match=r"bjontegaard.*nicodec\[bench\]"):
        metrics.bd_rate(CURVE, CURVE)


def test_metrics_load_nothing_of_a_benchmark() -> None:
    code = (
        "import sys, nicodec.picture.metrics; print([m for m in ('scipy', 'matplotlib', 'bjontegaard', "
        "'torch', 'onnxruntime') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
