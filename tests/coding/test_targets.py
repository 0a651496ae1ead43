"""Targets: what a search finds, how often it tries, and that files keep to what was asked."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nicodec
from nicodec.bitstream.container import MAX_QUALITY
from nicodec.coding import targets
from nicodec.picture import metrics


def counting(measure: Callable[[int], float], tried: list[int]) -> Callable[[int], float]:
    def trial(q: int) -> float:
        assert 0 <= q <= MAX_QUALITY
        assert q not in tried
        tried.append(q)
        return measure(q)

    return trial


@pytest.mark.parametrize("scale", [0.2, 1, 5])
@pytest.mark.parametrize("slope", [0.6, 1, 1.6])
@pytest.mark.parametrize("wanted", [0.15, 0.5, 1.0, 2.0])
def test_a_smooth_curve_takes_few_trials(scale: float, slope: float, wanted: float) -> None:
    """Curves that bend, up to five times above or below the typical one."""

    def size(q: int) -> float:
        return math.log(12_500 * scale) + slope * (4.2e-4 * q - 9e-9 * q * q)

    goal = targets.target(10**6, bpp=wanted)
    assert goal is not None
    tried: list[int] = []
    q, hit = targets.search(counting(size, tried), goal)
    bytes_at = math.exp(size(q))
    reachable = math.exp(size(0)) <= wanted * 125_000 <= math.exp(size(MAX_QUALITY))
    assert hit == reachable
    if hit:
        assert 0.99 * wanted * 125_000 <= bytes_at <= wanted * 125_000
    assert len(tried) <= 5


def test_steps_and_noise_end_on_the_safe_side() -> None:
    def stairs(q: int) -> float:
        return float(q // 2500)

    size = targets.Target(True, 1.4, 1.6, 5000, 1e-3)
    tried: list[int] = []
    assert targets.search(counting(stairs, tried), size) == (4999, False)
    assert len(tried) < 25
    psnr = targets.Target(False, 1.4, 1.6, 5000, 1e-3)
    assert targets.search(counting(stairs, []), psnr) == (5000, False)


@pytest.mark.parametrize("size", [True, False])
def test_what_cannot_be_reached_ends_at_the_end(size: bool) -> None:
    for value, end in ((-5.0, MAX_QUALITY), (5.0, 0)):
        tried: list[int] = []

        def flat(q: int, value: float = value) -> float:
            return value + 1e-6 * q

        assert targets.search(counting(flat, tried), targets.Target(size, 0, 1, 5000, 1e-3)) == (end, False)
        assert len(tried) < 30


@pytest.fixture(scope="module")
def picture() -> Any:
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:96, :128]
    waves = sum(np.sin((a * x + b * y) / 9 + c) for a, b, c in rng.normal(0, 1, (9, 3)))
    return np.clip(128 + 25 * waves[..., None] + rng.normal(0, 6, (96, 128, 3)), 0, 255).astype(np.uint8)


def test_a_size_is_met_and_never_exceeded(picture: Any) -> None:
    for most in (900, 1500, 4000):
        assert 0.98 * most <= len(nicodec.encode(picture, target_bytes=most)) <= most


def test_bpp_is_met(picture: Any) -> None:
    data = nicodec.encode(picture, target_bpp=1.5)
    assert 0.99 * 1.5 <= nicodec.info(data).bpp <= 1.5


def test_psnr_is_met_and_never_missed(picture: Any) -> None:
    data = nicodec.encode(picture, target_psnr=31)
    assert 31 <= metrics.psnr(picture, np.asarray(nicodec.decode(data))) <= 31.1


def test_psnr_is_that_of_the_samples_without_alpha(picture: Any) -> None:
    alpha = np.full((96, 128, 1), 7, np.uint8)
    plain, clear = (
        nicodec.info(nicodec.encode(p, target_psnr=30)).quality for p in (picture, np.concatenate([picture, alpha], -1))
    )
    assert plain == clear
    gray = nicodec.encode(picture[:, :, 0], target_psnr=30)
    assert 30 <= metrics.psnr(picture[:, :, 0], np.asarray(nicodec.decode(gray))) <= 30.1


def test_metadata_counts(picture: Any) -> None:
    image = nicodec.decode(nicodec.encode(picture))
    image.info["xmp"] = np.random.default_rng(0).bytes(700)
    assert len(nicodec.encode(image, target_bytes=1600)) <= 1600


def test_what_no_quality_gives_is_an_error_that_names_the_nearest(picture: Any) -> None:
    least = len(nicodec.encode(picture, quality=0, lossless=False))
    with pytest.raises(nicodec.TargetMissed, match=f"{least} bytes .* at quality 0$"):
        nicodec.encode(picture, target_bytes=least - 1, lossless=False)
    with pytest.raises(nicodec.TargetMissed, match="dB, at quality 100"):
        nicodec.encode(picture, target_psnr=70, lossless=False)


def test_more_than_the_best_is_the_best_and_a_warning(picture: Any) -> None:
    best = nicodec.encode(picture, quality=100)
    with pytest.warns(UserWarning, match=f"quality 100 takes only {len(best):,} of 1,000,000 bytes"):
        assert nicodec.encode(picture, target_bytes=10**6) == best
    with pytest.warns(UserWarning, match="quality 0 gives .* dB, more than the 5 dB asked for"):
        assert nicodec.encode(picture, target_psnr=5) == nicodec.encode(picture, quality=0)


@pytest.mark.parametrize(
    "wrong",
    [{"target_bpp": 0}, {"target_bytes": -5}, {"target_psnr": math.nan}, {"target_bpp": math.inf},
     {"target_bpp": "1"}, {"target_bytes": True}, {"quality": 5, "target_bpp": 1},
     {"target_bpp": 1, "target_psnr": 30}],
    ids=str,
)  # fmt: skip
def test_impossible_targets_are_refused(picture: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(nicodec.NicError):
        nicodec.encode(picture, **wrong)
