"""A target -> the quality at which a file has the wanted size, or a picture the wanted PSNR.

Beside the steps of `codec`, which makes one trial for each quality. The benchmark also searches the settings of
other codecs with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nicodec.bitstream.container import MAX_QUALITY, File
from nicodec.coding import quantize
from nicodec.coding.drawing import Drawing
from nicodec.coding.encoded import Coded, Seen
from nicodec.coding.lossless import Lossless
from nicodec.errors import NicError, TargetMissed, warn

# Typical values of a photograph at quality 0, and their growth for each hundredth of quality: a search begins there.
TYPICAL_BPP, LOG_BPP_STEP = 0.1, 3.3e-4
TYPICAL_PSNR, PSNR_STEP = 26.0, 1.65e-3
# The growth of ln(bytes) of other codecs over their whole scale, about. Only the second trial depends on it.
TYPICAL_RISE = 4.0
# A file may be under its target by this share, for bytes and for bpp. A picture may be over it by these dB.
SIZE_TOLERANCE, BPP_TOLERANCE, PSNR_TOLERANCE = 0.02, 0.01, 0.1
# The range of a target that can be calculated with.
LEAST, MOST = 1e-9, 1e15
# Stands for infinite dB, with which a search cannot calculate.
NO_LOSS = 1000.0
# Secant steps converge in about three. A search that has not after six is not smooth, so its range is halved.
SECANT_STEPS = 6


@dataclass(frozen=True)
class Target:
    """A range low..high for the measure of a trial, which is about linear in quality.

    size: True for ln(bytes), which must not exceed `high`; False for PSNR in dB, which must reach `low`. first: the
    quality to try first, in hundredths. step: the growth of the measure for a hundredth of quality. most: the bytes
    that `high` stands for. bpp: the size was given in bits for each pixel.
    """

    size: bool
    low: float
    high: float
    first: float
    step: float
    most: float | None = None
    bpp: bool = False


@dataclass(frozen=True)
class Wish:
    """A quality in hundredths or a target, and lossless: True, False, or None for what costs less."""

    q: int
    target: Target | None
    lossless: bool | None

    @classmethod
    def of(
        cls,
        pixels: int,
        quality: float | str | None,
        size: float | None,
        bpp: float | None,
        psnr: float | None,
        lossless: bool | None,
    ) -> Wish:
        """Arguments of `Codec.encode`, checked. Raises NicError for impossible ones."""
        wanted = target(pixels, size=size, bpp=bpp, psnr=psnr)
        if quality is not None and wanted is not None:
            raise NicError("quality and a target exclude each other")
        exact = quality == "lossless"
        if exact and lossless is False:
            raise NicError("quality='lossless' and lossless=False exclude each other")
        if lossless and (wanted is not None or quality not in (None, "lossless")):
            raise NicError(f"lossless=True and a {'quality' if wanted is None else 'target'} exclude each other")
        number = 50 if quality is None or exact else quality
        return cls(quantize.quality_index(number), wanted, True if exact else lossless)


def target(
    pixels: int, *, size: float | None = None, bpp: float | None = None, psnr: float | None = None
) -> Target | None:
    """The target that is given: bytes of the file, its bits for each pixel, or dB; None without one.

    pixels: those of the picture. Raises NicError for more than one target, and for anything but a finite number
    above zero.
    """
    given = [value for value in (size, bpp, psnr) if value is not None]
    if not given:
        return None
    if len(given) > 1:
        raise NicError("only one of target_bytes, target_bpp and target_psnr can be given")
    (value,) = given
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not LEAST <= value <= MOST:  # negated, so that NaN is refused too
        raise NicError(f"a target must be a number above 0, not {value!r}")
    value = float(value)
    if psnr is not None:
        return Target(False, value, value + PSNR_TOLERANCE, (value - TYPICAL_PSNR) / PSNR_STEP, PSNR_STEP)
    most, tolerance = (value, SIZE_TOLERANCE) if bpp is None else (value * pixels / 8, BPP_TOLERANCE)
    first = math.log(8 * most / pixels / TYPICAL_BPP) / LOG_BPP_STEP
    low, high = math.log(most * (1 - tolerance)), math.log(most)
    return Target(True, low, high, first, LOG_BPP_STEP, most, bpp is not None)


def search(trial: Callable[[int], float], wanted: Target, highest: int = MAX_QUALITY) -> tuple[int, bool]:
    """A whole number 0..highest whose trial is in the wanted range, and True; or else the nearest number, and False.

    trial: a number -> a measure that grows with it; called at most once for each number. The nearest number is the
    largest that does not exceed a size, or the smallest that reaches a PSNR. If no number does, it is 0 for a size and
    `highest` for a PSNR.
    """
    middle = (wanted.low + wanted.high) / 2
    below, above = -1, highest + 1  # the nearest numbers with too little and with too much
    q, slope, last = round(min(max(wanted.first, 0), highest)), wanted.step, None
    for count in range(2 * highest):
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
        if count >= SECANT_STEPS and below >= 0 and above <= highest:
            q = (below + above) // 2
        q = min(max(q, below + 1), above - 1)
    return min(max(below if wanted.size else above, 0), highest), False


def crossing(value: Callable[[int], float], at: float, highest: int, *, reach: bool = False) -> int:
    """The last number 0..highest whose value does not exceed `at`. value: grows with the number.

    reach: the first number whose value reaches `at`, in place of that. If the value never crosses `at`, the nearer end
    of the scale is returned.
    """
    wanted = Target(not reach, at, at, highest / 2, TYPICAL_RISE / highest)
    return search(value, wanted, highest)[0]


def meet(
    wish: Wish, code: Callable[[int], Coded], psnr: Callable[[File], float], pixels: int, exact: Lossless
) -> Coded:
    """The trial at the wanted quality, or at the one that meets a target; or a drawing or lossless file that is better.

    If no trial meets the target, it is the nearest that keeps to it, with a warning. code: quality in hundredths -> a
    trial. psnr: of a file, in dB. pixels: those of the picture. Raises TargetMissed if nothing keeps to the target.
    """
    wanted, drawing = wish.target, Drawing(exact)
    if wish.lossless is None:
        exact.begin()

    def better(made: Coded) -> Coded:
        """made: the lossy file."""
        if wish.lossless is not None:
            return made
        q, best = made.file.header.quality, exact.cheaper(made, psnr, None if wanted is None else wanted.most)
        if not drawing.may_pay(made):
            return best
        if wanted is None:
            return drawing.cheaper(best, q, psnr)
        if wanted.size and best is not made:  # without loss, and within the size
            return best
        drawn = _drawn(drawing, wanted)
        if drawn is None:
            return best
        pays = drawing.psnr(drawn) > psnr(made.file) if wanted.size else drawing.is_less(drawn, best)
        return drawing.at(drawn) if pays else best

    if wanted is None:
        return better(code(wish.q))
    trials: dict[int, tuple[Coded, float]] = {}

    def trial(q: int) -> float:
        made = code(q)
        trials[q] = made, made.file.size if wanted.size else psnr(made.file)
        return math.log(trials[q][1]) if wanted.size else min(trials[q][1], NO_LOSS)

    q, hit = search(trial, wanted)
    made, value = trials[q]
    if hit:
        return _told(better(made), wanted)
    if wanted.size:
        text, kept = f"{value:,.0f} bytes ({8 * value / pixels:.4f} bpp)", math.log(value) <= wanted.high
    else:
        text, kept = f"{value:.2f} dB", value >= wanted.low
    text += f", at quality {q / 100:g}"
    if not kept:
        whole = exact.coded if wish.lossless is None else None
        drawn = _drawn(drawing, wanted) if wish.lossless is None and drawing.may_pay(made) else None
        if drawn is not None and (whole is None or drawing.is_less(drawn, whole)):
            return _told(drawing.at(drawn), wanted)
        if whole is not None and (wanted.most is None or whole.file.size <= wanted.most):
            return whole
        if whole is not None and whole.file.size < made.file.size:
            text = f"{whole.file.size:,} bytes, without loss"
        raise TargetMissed(f"no quality keeps to the target; the nearest is {text}")
    if (chosen := better(made)) is not made:
        return _told(chosen, wanted)
    if wanted.size and q == MAX_QUALITY:
        most = wanted.most or 0.0
        sizes = (
            f"{8 * value / pixels:.4f} of {8 * most / pixels:.4f} bpp"
            if wanted.bpp
            else f"{value:,.0f} of {most:,.0f} bytes"
        )
        warn(f"quality 100 takes only {sizes}")
    elif not wanted.size and q == 0:
        warn(f"quality 0 gives {value:.2f} dB, more than the {wanted.low:g} dB asked for")
    else:
        warn(f"no quality meets the target closely; the nearest is {text}")
    return made


def _told(made: Coded, wanted: Target) -> Coded:
    """A file that keeps to the target; warns of one in few colours that is far from it, for it has steps."""
    if isinstance(made.seen, Seen):
        size, psnr = made.file.size, made.seen.psnr
        if wanted.size and math.log(size) < wanted.low:
            warn(
                f"few colours are better than a file of the wanted size, and take {size:,} of {wanted.most:,.0f} bytes"
            )
        elif not wanted.size and psnr > wanted.high:
            warn(f"few colours take fewer bytes than a file of the wanted PSNR, and have {psnr:.2f} dB")
    return made


def _drawn(drawing: Drawing, wanted: Target) -> int | None:
    """The quality of the best drawing within a size, or of the smallest that reaches a PSNR; None if there is none."""

    def value(number: int) -> float:
        q = 100 * number
        return math.log(drawing.at(q).file.size) if wanted.size else min(drawing.psnr(q), NO_LOSS)

    def fits(number: int) -> bool:
        return value(number) <= wanted.high if wanted.size else value(number) >= wanted.low

    # Whole numbers are fine enough: a drawing has few colours, so its size has steps.
    highest = MAX_QUALITY // 100 - 1
    if not fits(0 if wanted.size else highest):
        return None
    number = crossing(value, wanted.high if wanted.size else wanted.low, highest, reach=not wanted.size)
    return 100 * number if fits(number) else None
