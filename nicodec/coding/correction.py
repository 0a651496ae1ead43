"""The correction: a 5x5 filter across colours on the planes of g_s, fitted to one picture by its encoder.

`windows` applies it, `fitting` fits it, and `bitstream.correction` stores it. The filter is a sum of the model's basis
filters, and each coefficient of the sum is sent. It weighs samples, and steps between samples that are cut off. So it
smooths small steps and keeps edges, as in VVC's loop filter (Taquet et al. 2019, "Non-linear adaptive loop filter").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec.bitstream import correction
from nicodec.bitstream.correction import MAX_STEP, MAX_WIDER, Correction
from nicodec.coding import quantize
from nicodec.errors import BadModel
from nicodec.model.backends import Planes
from nicodec.model.checkpoint import Checkpoint
from nicodec.picture import Samples
from nicodec.storage.files import shown

# How far the filter sees, in pixels.
REACH = 2
# Pairs of distances, 0 to 2 rows and 0 to 2 columns, and the samples that lie this far away on either side.
TAPS = [1, 2, 2, 2, 4, 4, 2, 4, 4]
# A step between two samples is cut off at this. It is 8 levels of 255, more than the grain that coding leaves.
STEEP = np.float32(1 / 32)
# The kinds of steps: to the four neighbours, to the four diagonal ones, and from the four neighbours outwards.
STEPS = 3
# Pixels that are filtered at a time, few enough for their sums to stay in the processor's cache.
IN_CACHE = 24576
# Columns of a product. BLAS shares larger ones among threads, which then wait for those of the codec.
PIECE = 128
# The range of planes is -HALF to HALF.
HALF = 0.5
# The largest number in a basis. So no correction can leave the range of float32.
MAX_BASIS = 1024
# The variance of rounding to 8 bits. A fit that adds it to the samples is stable in flat pictures too.
ROUNDING = 1 / 12 / 255**2
# A step costs least bits where its square times the weight of an error is this, 6 / ln 2: the derivative of
# weight * step^2 / 12 - log2(step) is zero there.
BEST_STEP = 6 / math.log(2)
# The bits that a coefficient of one step is taken to cost at first. Without it a gray picture has many best ones.
PRIOR = 1e-3
# How often each coefficient is rounded anew beside the others.
ROUNDS = 2
Matrix = npt.NDArray[np.float64]
# Begins work, and returns the function that waits for it.
Aside: TypeAlias = Callable[[Callable[[], None]], Callable[[], None]]


def features(colours: int) -> int:
    """The number F of features of a filter.

    For each pair of distances and each colour: the sum of the samples this far away. For each kind of steps and each
    colour: their sum. The last feature is a one.
    """
    return (len(TAPS) + STEPS) * colours + 1


def rounding(colours: int) -> Matrix:
    """What rounding of samples and steps adds to the products of features, for each pixel: diagonal, (F, F)."""
    return np.diag(ROUNDING * np.append(np.repeat([*TAPS, *[2 * 4] * STEPS], colours), 0))


class Filters:
    """The filters that a model can express. Raises BadModel if its basis is malformed.

    colours, features: those of the model, C and F. basis: float32 (K, C, F), what a coefficient of 1 adds of each
    feature to each colour. widths: int8 (K,), the low bits in the code of each coefficient. Without a basis K is 0, and
    no correction is sent.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.colours = checkpoint.config.colours
        self.features = features(self.colours)
        empty = np.zeros((0, self.colours, self.features), np.float32)
        self.basis = checkpoint.tensors.get("correction.basis", empty)
        self.widths = checkpoint.tensors.get("correction.widths", np.zeros(0, np.int8))
        count = self.widths.size
        if (
            self.basis.dtype != np.float32
            or self.widths.dtype != np.int8
            or (self.basis.shape, self.widths.shape) != ((count, *empty.shape[1:]), (count,))
            or count > correction.MAX_COUNT
            or not (np.abs(self.basis) <= MAX_BASIS).all()  # so that NaN fails too
            or np.abs(self.widths.astype(int)).max(initial=0) > correction.MAX_WIDTH
        ):
            raise BadModel(f"{shown(checkpoint.path)}: the model has an impossible basis of corrections")

    def decode(self, payload: bytes) -> Planes:
        """The payload of a chunk -> what it adds of each feature to each colour, (C, F). Raises BadFile."""
        return self.weights(correction.decode(payload, self.widths))

    def weights(self, sent: Correction) -> Planes:
        """As `decode`, of numbers."""
        values = sent.coefficients * 2.0**-sent.step
        return np.tensordot(values, self.basis[: len(values)].astype(np.float64), 1).astype(np.float32)

    def best(self, products: Matrix, weight: float) -> Correction | None:
        """The correction that makes the sum of its bits and of weight * squared error least. None: no correction does.

        products: as `products` makes them; of a gray picture they have one error. weight: the bits that a squared error
        of 1 is worth, for samples of range 1.
        """
        own, cross = self.parts(products)
        pixels = float(own[-1, -1])
        own = own + pixels * rounding(self.colours)
        basis = self.seen(products)
        flat = basis.reshape(len(basis), -1)
        step = min(MAX_STEP, round(math.log2(max(1.0, weight * pixels / BEST_STEP)) / 2))
        # The squared error is c @ bend @ c - 2 * pull @ c, and a constant, in bits, for coefficients c in steps.
        bend = weight * 4.0**-step * ((basis @ own).reshape(flat.shape) @ flat.T)
        pull = weight * 2.0**-step * (flat @ cross.reshape(-1))
        c = np.rint(np.linalg.solve(bend + PRIOR * np.eye(len(bend)), pull)).astype(np.int64)
        sizes = [
            int(correction.lengths(c, correction.low_bits(self.widths, wider)).sum()) for wider in range(MAX_WIDER + 1)
        ]
        wider = int(np.argmin(sizes))
        low = correction.low_bits(self.widths, wider)
        c = rounded(bend, pull, c, low, correction.largest(low, step))
        # What is saved by the first coefficients alone, for each number of them.
        gains = 2 * pull * c - c * (2 * np.tril(bend, -1) @ c + np.diag(bend) * c)
        saved = np.cumsum(gains - correction.lengths(c, low))
        count = int(saved.argmax()) + 1
        return Correction(step, wider, c[:count]) if saved[count - 1] > 0 else None

    def seen(self, products: Matrix) -> Matrix:
        """The basis as it bears on the errors: (K, C, F), or (K, 1, F), the mean, of a gray picture."""
        basis = self.basis.astype(np.float64)
        return basis.mean(1, keepdims=True) if len(products) == self.features + 1 else basis

    def parts(self, products: Matrix) -> tuple[Matrix, Matrix]:
        """The products of features with features (F, F), and of errors with features, (C, F) or (1, F)."""
        return products[: self.features, : self.features], products[self.features :, : self.features]

    def saves(self, products: Matrix, sent: Correction) -> float:
        """By how much a correction lowers the squared error of what `products` are of."""
        values = sent.coefficients * 2.0**-sent.step
        weights = np.tensordot(values, self.seen(products)[: len(values)], 1)
        own, cross = self.parts(products)
        return float((weights * (2 * cross - weights @ own)).sum())


def rounded(
    bend: Matrix, pull: Matrix, start: npt.NDArray[np.int64], low: npt.NDArray[np.int64], most: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Whole numbers c near `start` with a small sum of c @ bend @ c - 2 * pull @ c and their own bits.

    low: the low bits in the code of each. most: the largest magnitude of each.
    """
    c = np.clip(start, -most, most)
    for _ in range(ROUNDS):
        for k, (m, limit) in enumerate(zip(low.tolist(), most.tolist(), strict=True)):
            square = float(bend[k, k])
            alone = float(pull[k] - bend[k] @ c) + square * int(c[k])
            near = math.floor(alone / square) if square > 0 else 0
            costs = {
                value: square * value**2 - 2 * alone * value + (2 * abs(value) - (value < 0) >> m)
                for value in (0, near, near + 1)
                if abs(value) <= limit
            }
            c[k] = min(costs, key=costs.__getitem__)
    return c


def inner(flat: Planes, wide: int, apart: int = 0) -> Planes:
    """A view of the entries of (C, n) whose surroundings are all there, or of those that lie `apart` from them.

    Rows of `wide` entries lie one after another, so all sums run over one long row. Between two rows of the view lie
    2 * REACH entries that mean nothing.
    """
    edge = REACH * (wide + 1)
    return flat[:, edge + apart : flat.shape[1] - edge + apart]


class Room:
    """Room for sums over strips of planes, used for one after the other: new memory would take as long as the sums.

    colours, height, width: of the planes. rows, wide: the most rows of a strip, and the samples of a row with its
    surroundings. Strips are flat, (C, (h + 4) * wide): their rows lie one after another.
    """

    def __init__(self, colours: int, height: int, width: int) -> None:
        self.rows, self.wide = max(1, min(height, IN_CACHE // width)), width + 2 * REACH
        size = colours * (self.rows + 2 * REACH) * self.wide
        self._across, self._cut = np.zeros(3 * size, np.float32), np.zeros(size, np.float32)
        self._steps = np.zeros((STEPS, size), np.float32)

    def across(self, flat: Planes) -> Planes:
        """For 0 to 2 columns apart and each colour the sum on both sides, (3C, (h + 4) * wide)."""
        sums = self._across[: 3 * flat.size].reshape(3, *flat.shape)
        sums[0] = flat
        for j in range(1, REACH + 1):
            np.add(flat[:, : -2 * j], flat[:, 2 * j :], out=sums[j, :, j:-j])
        return sums.reshape(-1, flat.shape[1])

    def steps(self, flat: Planes) -> Planes:
        """The sum of each kind of steps and each colour, (3C, h * wide), in the order of `inner`.

        A step is a difference of two samples, cut off at STEEP. Each is computed once, and seen from both of its ends.
        """
        wide, count = self.wide, flat.shape[1] - 2 * REACH * self.wide
        sums = self._steps[:, : len(flat) * count].reshape(STEPS, len(flat), count)
        near, diagonal, far = sums[..., : -2 * REACH]
        cut = self._cut[: flat.size].reshape(flat.shape)
        for apart, totals in ((1, (near, far)), (wide, (near, far)), (wide + 1, (diagonal,)), (wide - 1, (diagonal,))):
            step = np.subtract(flat[:, apart:], flat[:, :-apart], out=cut[:, :-apart])
            np.clip(step, -STEEP, STEEP, out=step)
            for first, total in enumerate(totals):  # from the sample, or from its neighbour on
                on, back = inner(cut, wide, first * apart), inner(cut, wide, -(first + 1) * apart)
                if apart in (1, wide + 1):
                    np.subtract(on, back, out=total)
                else:
                    total += on
                    total -= back
        return sums.reshape(-1, count)


def corrected(x: Planes, weights: Planes, aside: Aside = cache) -> Planes:
    """Planes (1, C, h, w) of g_s -> the same, corrected. weights: (C, F), as of `Filters.decode`.

    Beyond an edge the last row and column are repeated. aside: begins work in another thread, as `threads.aside`.
    """
    colours, height, width = x.shape[1:]
    around, result = np.pad(x[0], ((0, 0), (REACH, REACH), (REACH, REACH)), mode="edge"), np.empty_like(x)
    # Rows are summed after the products, which are of 9 sums then and not of 27: (3 C, 3 C), by rows apart and colour.
    size = 3 * colours
    linear, of_steps = np.split(weights[:, :-1], [len(TAPS) * colours], axis=1)
    kernel = np.ascontiguousarray(linear.reshape(colours, 3, size).transpose(1, 0, 2)).reshape(size, size)

    def rows(first: int, last: int) -> None:
        room = Room(colours, height, width)
        for top in range(first, last, room.rows):
            bottom = min(top + room.rows, last)
            flat = around[:, top : bottom + 2 * REACH].reshape(colours, -1)
            # Row by row: products of few numbers, which BLAS computes in this thread.
            sums, steps = (
                part.reshape(len(part), -1, room.wide).transpose(1, 0, 2)
                for part in (room.across(flat), room.steps(flat))
            )
            near = np.matmul(kernel, sums).reshape(-1, 3, colours, room.wide)[..., REACH:-REACH]
            added = np.matmul(of_steps, steps)[..., :width]
            added += near[REACH:-REACH, 0]
            for i in range(1, REACH + 1):
                added += near[REACH - i :, i][: bottom - top]
                added += near[REACH + i :, i][: bottom - top]
            added += weights[:, -1:]
            np.add(x[0, :, top:bottom], added.transpose(1, 0, 2), out=result[0, :, top:bottom])

    lower = aside(partial(rows, height // 2, height))
    rows(0, height // 2)
    lower()
    return result


def products(planes: Planes, source: Samples, counted: npt.NDArray[np.bool_]) -> Matrix:
    """The products of all features and errors, both ways, summed over pixels: (F + E, F + E).

    planes: (C, h + 4, w + 4), those of g_s around h x w pixels. source: samples (h, w, 1 or 3). E is 3 if both have
    three colours, else 1. counted: bool (h, w), the pixels to sum over. Every row counts: the errors of g_s depend on
    the place in its grid, so leaving out every second row spoils a fit.
    """
    height, width, channels = source.shape
    colours, room = len(planes), Room(len(planes), height, width)
    known, errors, linear, wide = features(colours), min(colours, channels), len(TAPS) * colours, room.wide
    total = np.zeros((known + errors, known + errors))
    every = np.zeros((known + errors, room.rows * wide), np.float32)
    for top in range(0, height, room.rows):
        rows = min(room.rows, height - top)
        here, part, both = slice(top, top + rows), planes[:, top : top + rows + 2 * REACH], every[:, : rows * wide]
        flat = np.ascontiguousarray(part).reshape(colours, -1)
        sums = room.across(flat)
        parts = both[:linear].reshape(REACH + 1, 3 * colours, -1)[..., : flat.shape[1] - 2 * REACH * (wide + 1)]
        parts[0] = inner(sums, wide)
        for i in range(1, REACH + 1):
            np.add(inner(sums, wide, -i * wide), inner(sums, wide, i * wide), out=parts[i])
        both[linear : known - 1], both[known - 1] = room.steps(flat), 1
        own, square = part[:, REACH:-REACH, REACH:-REACH], both.reshape(-1, rows, wide)
        wanted = quantize.planes(source[here], colours)[0, :errors]
        np.subtract(wanted, own if errors == colours else own.mean(0, keepdims=True), out=square[known:, :, :width])
        # Samples beyond the range are cut off, whatever a filter adds. As zeros they are quick to leave out.
        seen = counted[here] & (np.abs(own).max(0) <= HALF)
        square[:, :, width:] = 0
        square[:, :, :width][:, ~seen] = 0
        total += gram(both)
    return total


def gram(x: Planes) -> Matrix:
    """x @ x.T of (F, n), in pieces that BLAS computes in this thread."""
    whole = x.shape[1] // PIECE * PIECE
    pieces, rest = x[:, :whole].reshape(len(x), -1, PIECE).transpose(1, 0, 2), x[:, whole:]
    total: Matrix = np.matmul(pieces, pieces.transpose(0, 2, 1)).sum(0, dtype=np.float64) + rest @ rest.T
    return total
