"""Good pictures -> a `Normal`, in two passes: sums of all cells, then scores of pictures that were left out.

Above `fields` and `expected`; under the command `anomaly learn`. Nothing but good pictures decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Protocol, TypeVar

import numpy as np

from nicodec import api
from nicodec.codec import Codec
from nicodec.coding import latents
from nicodec.errors import LimitExceeded, NicError
from nicodec.explore.normal import expected
from nicodec.explore.normal.fields import SCALES, Floats, Gaussian, Moments, features, shown, together, unlike
from nicodec.explore.normal.normal import Normal, Scale
from nicodec.explore.normal.twins import apart
from nicodec.explore.reading import opened
from nicodec.picture import Array
from nicodec.storage import store_of

Result = TypeVar("Result")

# Each picture is scored by Gaussians of the others, those of its own part left out.
FOLDS = 5
# The most cells of all good pictures together: their numbers take 12 bytes each. And the most pictures.
MOST_CELLS, MOST = 2**26, 2**16
# The least number of pictures of several sizes that show what a size does.
ENOUGH = 20


@dataclass(frozen=True)
class Item:
    """A good picture. source: its name. template: that of its twin, or "". fold: the part that it is left out with.

    target: nothing is made of it.
    """

    source: str
    template: str = ""
    fold: int = 0
    target: str = ""


class Run(Protocol):
    """Runs work over good pictures, in processes or not; leaves out those that raise a NicError, and names them."""

    def __call__(self, work: Callable[[Item], Result], items: list[Item], /) -> Iterable[tuple[Item, Result]]: ...


@dataclass(frozen=True)
class Gather:
    """A good picture -> its `Moments` at each scale. model: as for `api.codec_of`."""

    model: str

    def __call__(self, item: Item) -> list[Moments]:
        codec = api.codec_of(self.model, 1)
        pixels = pixels_of(item.source, codec)
        return [Moments.of(features(pixels, codec, n)) for n in SCALES]


@dataclass(frozen=True)
class Leave:
    """A good picture -> `fields.unlike` by the Gaussians of the other folds, and the same against its template."""

    model: str
    folds: tuple[tuple[Gaussian, ...], ...]

    def __call__(self, item: Item) -> tuple[list[Floats], Floats | None]:
        codec = api.codec_of(self.model, 1)
        pixels = pixels_of(item.source, codec)
        found, gaussians = [features(pixels, codec, n) for n in SCALES], self.folds[item.fold]
        against = None
        if item.template:
            against = apart(found[0], pixels, pixels_of(item.template, codec), codec, gaussians[0])
        return unlike(found, gaussians), against


def pixels_of(name: str, codec: Codec) -> Array:
    """The samples of a file, uint8 (H, W, 1 or 3); a .nic file is decoded. Raises NicError."""
    return shown(opened(store_of(name).source(name), codec))


def learn(items: Sequence[Item], run: Run, *, model: str, false_alarms: float) -> Normal:
    """What these good pictures have in common.

    model: the name, id or path of the model whose g_a sees them. false_alarms: 0..1, kept with what was learnt. Raises
    NicError for fewer than two pictures that can be read, or for templates of which some are missing.
    """
    codec = api.codec_of(model, 1)
    sums: list[list[Moments]] = []
    known: list[Item] = []
    # Added at once: the moments of one picture take 5 MB.
    for item, moments in run(Gather(model), list(items)):
        fold = len(known) % FOLDS
        if fold == len(sums):
            sums.append(moments)
        else:
            sums[fold] = [one.plus(other) for one, other in zip(sums[fold], moments, strict=True)]
        known.append(replace(item, fold=fold))
    if not 2 <= len(known) <= MOST:
        raise NicError(f"learning needs 2 to {MOST} good pictures that can be read, and there are {len(known)}")
    whole = [reduce(Moments.plus, scale) for scale in zip(*sums, strict=True)]
    folds = tuple(tuple(Gaussian.of(w.less(s)) for w, s in zip(whole, own, strict=True)) for own in sums)
    maps: list[list[Floats]] = []
    pairs: list[Floats] = []
    for _, (found, against) in run(Leave(model, folds), known):
        maps.append(found)
        if against is not None:
            pairs.append(against)
        if sum(part[0].size for part in maps) > MOST_CELLS:
            raise LimitExceeded(f"over {MOST_CELLS:,} cells of 16 pixels: learn from fewer or smaller pictures")
    if pairs and len(pairs) != len(maps):
        raise NicError("some good pictures have a template, and others none")
    chosen = _choice(maps)
    base = _scale([part[0] for part in maps], pairs or None)
    return Normal(
        model=codec.checkpoint.identity,
        encoder=latents.encoder_of(codec),
        gaussians=tuple(Gaussian.of(moments) for moments in whole[: chosen.count]),
        kind=chosen.kind,
        weights=chosen.weights,
        place=chosen.place,
        scale=chosen.scale,
        pairs=base,
        templates=bool(pairs),
        false_alarms=false_alarms,
    )


@dataclass(frozen=True, eq=False)
class _Choice:
    count: int
    kind: str
    weights: tuple[float, ...]
    place: Floats | None
    scale: Scale
    spread: float


def _choice(maps: list[list[Floats]]) -> _Choice:
    """The scales, and the kind of what is expected, by which the scores of good pictures differ least.

    Values are logarithms, so a defect adds about the same to each kind, and the narrowest tells it best.
    """
    found = []
    for count in (1, len(SCALES)):
        values = [together(part[:count]) for part in maps]
        for kind in expected.KINDS:
            if kind == "place" and len({value.shape for value in values}) > 1:
                continue
            found.append(_tried(count, kind, values))
    return min(found, key=lambda choice: choice.spread)


def _tried(count: int, kind: str, values: list[Floats]) -> _Choice:
    place, mean = None, _mean(values)
    weights: tuple[float, ...] = (0.0,) * expected.COUNT
    if kind == "own":
        weights = expected.weights(values)
        off = [expected.off(value, weights) for value in values]
    elif kind == "place":
        total = np.sum(values, axis=0, dtype=np.float64)
        place = (total / len(values)).astype(np.float32)
        off = [value - (total - value) / (len(values) - 1) for value in values]
    else:
        off = [value - mean for value in values]
    unit = max(float(np.sqrt(np.mean(np.concatenate([np.square(part).reshape(-1) for part in off])))), 1e-3)
    growth, usual = _growth(off, unit)
    scale = Scale(mean, unit, growth, usual, np.zeros(0, np.float32))
    scores = np.sort([scale.numbers(part).max() for part in off]).astype(np.float32)
    scale = replace(scale, scores=scores)
    return _Choice(count, kind, weights, place, scale, unit * scale.spread)


def _growth(off: list[Floats], unit: float) -> tuple[float, float]:
    """How much the largest number grows with the logarithm of the number of cells, and the usual number of cells."""
    sizes = np.log([part.size for part in off])
    largest = np.array([part.max() for part in off]) / unit
    usual = float(np.exp(sizes.mean()))
    if len(off) < ENOUGH or sizes.std() < 0.1:
        return 0.0, usual
    slope = float(np.cov(sizes, largest)[0, 1] / np.var(sizes, ddof=1))
    return min(max(slope, 0.0), 3.0), usual


def _mean(values: list[Floats]) -> float:
    return float(np.mean(np.concatenate([value.reshape(-1) for value in values]), dtype=np.float64))


def _scale(values: list[Floats], pairs: list[Floats] | None) -> Scale:
    """The scale of pictures against templates: `Normal.pairs`."""
    plain = _tried(1, "all", values).scale
    if pairs is None:
        return plain
    return replace(plain, scores=np.sort([plain.numbers(part - plain.mean).max() for part in pairs]).astype(np.float32))
