"""Target -> quality: finds the quality at which a file has the size, or a picture the PSNR, that is wanted.

Around the steps of `codec`, which makes one trial file for each quality that is asked for here.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from nicodec.errors import NicError, TargetMissed

BEST = 10_000  # quality in hundredths
# What a photograph gives at quality 0, and what each hundredth of quality adds: where a search begins.
TYPICAL_BPP, LOG_BPP_STEP = 0.1, 3.3e-4
TYPICAL_PSNR, PSNR_STEP = 26.0, 1.65e-3
# By how much a file may be smaller than its target, and a picture better, in dB.
SIZE_TOLERANCE, BPP_TOLERANCE, PSNR_TOLERANCE = 0.02, 0.01, 0.1
# Secant steps converge in about three; what has not by then is not smooth, and is halved.
SECANT_STEPS = 6


@dataclass(frozen=True)
class Target:
    """A window low..high for one measure of a trial, on a scale where that is about linear in quality.

    size: whether it is ln(bytes), of which more is worse, or PSNR in dB, of which less is worse. first, step:
    the quality to try first, and what a hundredth of quality adds.
    """

    size: bool
    low: float
    high: float
    first: float
    step: float


def target(
    pixels: int, *, size: float | None = None, bpp: float | None = None, psnr: float | None = None
) -> Target | None:
    """The target that is given: bytes of the file, its bits for each pixel, or dB; None without one.

    Raises NicError for more than one, and for numbers that are not above zero.
    """
    given = [value for value in (size, bpp, psnr) if value is not None]
    if not given:
        return None
    if len(given) > 1:
        raise NicError("only one of size, bpp and psnr can be the target")
    (value,) = given
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise NicError(f"a target must be a number above 0, not {value!r}")
    if psnr is not None:
        return Target(False, psnr, psnr + PSNR_TOLERANCE, (psnr - TYPICAL_PSNR) / PSNR_STEP, PSNR_STEP)
    most, tolerance = (size, SIZE_TOLERANCE) if bpp is None else (bpp * pixels / 8, BPP_TOLERANCE)
    assert most is not None
    first = math.log(8 * most / pixels / TYPICAL_BPP) / LOG_BPP_STEP
    return Target(True, math.log(most * (1 - tolerance)), math.log(most), first, LOG_BPP_STEP)


def search(trial: Callable[[int], float], wanted: Target) -> tuple[int, bool]:
    """Quality in hundredths whose trial is in the window, and True; or the nearest on its safe side.

    trial: quality -> measure, which grows with it; called once for each quality. Where none hits the window
    it is False: the best that does not exceed a size, the least that reaches a PSNR; or, where
    none does even that, the end of the scale: 0 for a size and 10000 for a PSNR.
    """
    middle = (wanted.low + wanted.high) / 2
    below, above = -1, BEST + 1  # the nearest qualities known to give too little and too much
    q, slope, last = round(min(max(wanted.first, 0), BEST)), wanted.step, None
    for count in range(2 * BEST):
        value = trial(q)
        if wanted.low <= value <= wanted.high:
            return q, True
        if value < wanted.low:
            below = q
        else:
            above = q
        if above - below == 1:
            break
        if last is not None and (value - last[1]) * (q - last[0]) > 0:
            slope = (value - last[1]) / (q - last[0])
        last = q, value
        q += round((middle - value) / slope)
        if count >= SECANT_STEPS and below >= 0 and above <= BEST:
            q = (below + above) // 2
        q = min(max(q, below + 1), above - 1)
    return min(max(below if wanted.size else above, 0), BEST), False


def explain(target: Target, q: int, value: float, bpp: float) -> None:
    """Says how near a target that is not met can be: an error where it is not even kept to.

    q: quality in hundredths, and the value and the bits for each pixel that it gives.
    """
    if target.size:
        text, kept = f"{math.exp(value):,.0f} bytes ({bpp:.4f} bpp)", value <= target.high
    else:
        text, kept = f"{value:.2f} dB", value >= target.low
    text += f", at quality {q / 100:g}"
    if not kept:
        raise TargetMissed(f"no quality keeps to the target; the nearest is {text}")
    warnings.warn(f"no quality meets the target closely; the nearest is {text}", stacklevel=3)
