"""A drawing -> a file of its samples in few colours, made where it costs less than the other files.

Beside the steps of `codec`, above `coding.lossless`, whose tiles hold the samples, and `picture.palette`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from nicodec.bitstream.container import MAX_QUALITY, File
from nicodec.coding import lossless, quantize
from nicodec.coding.encoded import Coded, Seen
from nicodec.coding.look import poor
from nicodec.coding.lossless import Lossless
from nicodec.picture import Array, Picture, invisible, metrics, palette, vp8l
from nicodec.picture.metrics import CELL_SIDE as SIDE

# Numbers of colours. Every second one is tried, then the neighbours of the best.
COUNTS = 4, 8, 16, 32, 64, 128, 256
# What it costs, in bits, that two neighbours differ. Chosen on drawings; anything from 1 to 4 is nearly as good.
EDGE = 2.0
# Passes over the labels. A third one still changes some, a fourth hardly any.
PASSES = 3
# Labels that are settled at a time, which bounds memory.
AT_ONCE = 2**17
# Samples of a photograph in so few steps as the quality needs, deflated, are more than this many times as large as its
# lossy file, at quality 0 and 100. Those of a drawing are less.
PHOTOGRAPH = 8.0, 1.6
# A lossless file is given up only for a drawing of at most this share of its bytes; latents, of at most this share of
# their cost or bytes. Between 0.9 and 1 are soft photographs, whose shadows get contours that squared error does not
# see, and lettering that loses its colour at the lowest qualities.
OF_LOSSLESS, OF_LATENTS = 0.5, 0.9


class Drawing:
    """A picture of 8 bits as a drawing, by quality. without_loss: the picture, and its lossless file."""

    def __init__(self, without_loss: Lossless) -> None:
        self._lossless = without_loss
        self._made: dict[int, Coded] = {}

    def may_pay(self, lossy: Coded) -> bool:
        """Whether the picture is no photograph, judged by few of its samples and its lossy file."""
        q = lossy.file.header.quality
        if self._lossless.picture.pixels.dtype != np.uint8:
            return False
        pixels = self._seen.pixels
        parts = lossless.sample(pixels)
        steps = np.rint(parts * np.float32(quantize.patch_steps(q) / 255)).astype(np.uint8)
        low, high = PHOTOGRAPH
        most = (low + (high - low) * q / MAX_QUALITY) * lossy.file.size
        return lossless.deflated(steps) * pixels.size <= most

    def cheaper(self, coded: Coded, q: int, psnr: Callable[[File], float]) -> Coded:
        """The drawing if it costs clearly less than another file, in bits + lambda * squared error at q; else that.

        q: quality in hundredths. psnr: of a file, in dB.
        """
        if q == MAX_QUALITY:
            return coded
        ours, size, height, width = self.at(q), coded.file.size, *self._lossless.picture.pixels.shape[:2]
        if coded.seen is None:
            return ours if self.is_less(q, coded) else coded
        cost = quantize.cost(q, ours.file.size, self.psnr(q), height * width) / OF_LATENTS
        return ours if cost < 8 * size or cost < quantize.cost(q, size, psnr(coded.file), height * width) else coded

    def is_less(self, q: int, other: Coded) -> bool:
        """Whether the drawing takes so few bytes that another file of no less quality is given up for it."""
        return self.at(q).file.size <= other.file.size * (OF_LOSSLESS if other.seen is None else OF_LATENTS)

    def psnr(self, q: int) -> float:
        """PSNR of the file at a quality in dB, as `metrics.psnr`."""
        seen = self.at(q).seen
        assert isinstance(seen, Seen)
        return seen.psnr

    def at(self, q: int) -> Coded:
        """The file at a quality in hundredths, below MAX_QUALITY, which means without loss."""
        if q not in self._made:
            picture = self._lossless.picture
            samples = self._samples(q)
            errors = metrics.cell_errors(picture.eight.pixels, samples, self._seen.alpha)
            for i, j in np.argwhere(errors > poor(q)):
                cell = np.s_[SIDE * i : SIDE * (i + 1), SIDE * j : SIDE * (j + 1)]
                samples[cell], errors[i, j] = picture.pixels[cell], 0.0
            file = lossless.of_samples(replace(picture, pixels=samples), q, self._lossless.threads)
            assert file is not None  # it has no limit
            seen = Seen(metrics.worst_of(errors), metrics.psnr(picture.pixels, samples, picture.alpha))
            self._made[q] = Coded(file, seen)
        return self._made[q]

    @cached_property
    def _seen(self) -> Picture:
        return invisible.filled(self._lossless.picture).eight

    @cached_property
    def _visible(self) -> NDArray[np.float32]:
        alpha, (height, width, _) = self._seen.alpha, self._seen.pixels.shape
        return np.ones((height, width), np.float32) if alpha is None else (alpha > 0).astype(np.float32)

    def _samples(self, q: int) -> Array:
        pixels, visible = self._seen.pixels, self._visible
        part, weights = lossless.blocks(pixels), lossless.blocks(visible[:, :, None])[:, :, 0]

        @cache
        def of_part(n: int) -> Array:
            return simplified(part, weights, q, COUNTS[n])

        @cache
        def cost(n: int) -> float:
            samples = of_part(n)
            error = (np.square(samples.astype(np.float32) - part).mean(-1) * weights).sum(dtype=np.float64)
            return 8 * len(vp8l.encode(samples, visible.size)) + quantize.lambda_of(q) * float(error)

        best = min(range(1, len(COUNTS), 2), key=cost)
        best = min(best, best - 1, best + 1, key=cost)
        return of_part(best) if part is pixels else simplified(pixels, visible, q, COUNTS[best])


def simplified(pixels: Array, visible: NDArray[np.float32], q: int, count: int) -> Array:
    """uint8 (H, W, C) -> the same in at most `count` colours, smoothed for quality q in hundredths.

    visible: (H, W), 0 where errors do not count, else 1. Neighbours get one colour where the bits that this saves are
    worth its squared error at lambda. Source: iterated conditional modes, J. Besag, "On the statistical analysis of
    dirty pictures" (1986), on a Potts model.
    """
    labels, colours = palette.reduced(pixels, count)
    weights = (visible * np.float32(quantize.lambda_of(q) / pixels.shape[2])).reshape(-1)
    values = pixels.reshape(-1, pixels.shape[2])
    for n in range(2 * PASSES):
        _settle(labels, n % 2, values, colours, weights)
    flat, seen = labels.reshape(-1), visible.reshape(-1)
    sums = [np.bincount(flat, values[:, c] * seen, count) for c in range(values.shape[1])]
    means = np.stack(sums, 1) / np.maximum(np.bincount(flat, seen, count), 1)[:, None]
    made: Array = np.rint(means).astype(np.uint8)[labels]
    return made


def _settle(
    labels: NDArray[np.uint8], odd: int, values: Array, colours: NDArray[np.float32], weights: NDArray[np.float32]
) -> None:
    """Give each pixel of one colour of the chessboard the best label among its own and those of its neighbours."""
    width = labels.shape[1]
    around = np.pad(labels, 1, mode="edge")
    sides = around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]
    edges = np.logical_or.reduce([labels != side for side in sides])
    edges[::2, odd::2] = edges[1::2, 1 - odd :: 2] = False
    flat, at, row = labels.reshape(-1), np.flatnonzero(edges), width + 2
    del edges
    for some in np.split(at, range(AT_ONCE, len(at), AT_ONCE)):
        place = (some // width + 1) * row + some % width + 1
        neighbours = around.reshape(-1)[np.add.outer([-row, row, -1, 1], place)]
        tried = np.concatenate([flat[some][None], neighbours])
        error = np.square(colours[tried] - values[some]).sum(-1) * weights[some]
        differ = (tried[:, None] != neighbours).sum(1)
        best = (error + np.float32(EDGE) * differ).argmin(0)
        flat[some] = tried[best, np.arange(len(some))]
