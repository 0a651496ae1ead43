"""A picture -> how far other pictures are from it, which may hold it turned, mirrored, or as a part.

Between `sketch` and the command `similar`; `search.nearest` asks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from nicodec.codec import Codec
from nicodec.explore import sketch
from nicodec.explore.search import Floats, distances
from nicodec.explore.sketch import LAYOUT, TURNS
from nicodec.picture import Picture

# A part that is shown as large as a whole has a coarser texture; so the picture is also seen smaller.
ZOOMS = (1.0, 0.7, 0.55)
# The picture is laid over all of another one's layout, or over so many of its rows and columns, anywhere.
SPANS = (LAYOUT, 4)
# The weight of the layout beside texture and colour. These, and TURNED, were chosen on photographs (docs/EXPLORE.md).
PLACE = 0.8
# What a turned position adds to the square of a distance: most parts are not turned, and eight guesses find more
# that is alike by chance than one.
TURNED = 4.0
# Spreads that hardly count: of a layout, in units of its whole, and of gray levels.
PLAIN, PLAIN_GRAY = 0.1, 4.0


@dataclass(frozen=True, eq=False)
class Query:
    """A picture that is looked for, in the eight positions of `sketch.TURNS`.

    textures: float32 (8, zooms, ...), the vectors without their layouts. layouts: for each of `SPANS`, (8, span^2).
    """

    textures: Floats
    layouts: tuple[Floats, ...]

    def away(self, vectors: Floats) -> Floats:
        """The distance of each vector (N, ...), float32 (N,), in the best position, at the best zoom and place."""
        own = vectors[:, : -(LAYOUT**2)]
        turns, zooms, length = self.textures.shape
        textures = np.square(distances(self.textures.reshape(-1, length), own)).reshape(turns, zooms, -1).min(axis=1)
        grid = vectors[:, -(LAYOUT**2) :].reshape(-1, LAYOUT, LAYOUT)
        layouts = np.full((turns, len(vectors)), np.inf, np.float32)
        for span, layout in zip(SPANS, self.layouts, strict=True):
            for top, left in product(range(LAYOUT - span + 1), repeat=2):
                part = _even(grid[:, top : top + span, left : left + span], PLAIN * sketch.PLACE)
                np.minimum(layouts, np.square(distances(layout, part)), out=layouts)
        squares = textures + PLACE**2 * layouts
        squares[1:] += TURNED  # the first position is the one as it is
        found: Floats = np.sqrt(squares.min(axis=0))
        return found


def of(picture: Picture, codec: Codec) -> Query:
    """A picture to look for. Raises BadModel if the network fails."""
    seen = sketch.without_frame(sketch.shown(picture))
    small = [sketch.scaled(seen, zoom) for zoom in ZOOMS]
    found = [[sketch.vector_of(sketch.turned(each, *turn), codec) for each in small] for turn in TURNS]
    grays = [sketch.gray(small[0], span, span) for span in SPANS]
    layouts = tuple(_even(np.stack([sketch.turned(gray, *turn) for turn in TURNS]), PLAIN_GRAY) for gray in grays)
    return Query(np.stack(found).astype(np.float32)[..., : -(LAYOUT**2)], layouts)


def _even(parts: Floats, plain: float) -> Floats:
    """Brightness (N, span, span) -> (N, span^2), of mean 0 and spread 1, scaled so that all spans weigh the same.

    plain: a spread so small that it hardly counts.
    """
    flat = parts.reshape(len(parts), parts.shape[1] ** 2)
    flat = flat - flat.mean(axis=1, keepdims=True)
    even: Floats = flat / (flat.std(axis=1, keepdims=True) + np.float32(plain)) * np.float32(LAYOUT / parts.shape[1])
    return even
