"""How well anomalies are found: python bench/anomalies.py FOLDER, with train/good, test/good and test/KIND in it.

Masks may lie in ground_truth/KIND/NAME_mask.png, white where a defect is. Printed are the area under the ROC curve of
pictures, of cells of 16 pixels (its mean over pictures), and the false alarms at three promises. docs/EXPLORE.md has
the results.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nicodec.explore.normal import checking, learning
from nicodec.picture import metrics


def area(odd: npt.ArrayLike, good: npt.ArrayLike) -> float:
    """The area under the ROC curve: the share of pairs that the odd one wins, ties count half."""
    a, b = np.asarray(odd), np.sort(np.asarray(good))
    return float((np.searchsorted(b, a, "left") + np.searchsorted(b, a, "right")).mean() / (2 * len(b)))


def defects(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.bool_] | None:
    """Which cells have a defective pixel, (rows, columns), if there is a mask."""
    kind, name = path.parent.name, path.stem
    mask = path.parents[2] / "ground_truth" / kind / f"{name}_mask.png"
    if not mask.exists():
        return None
    marked = np.asarray(Image.open(mask).convert("L")) > 127
    found: npt.NDArray[np.bool_] = metrics.visible(*marked.shape, marked) > 0
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    items = [learning.Item(str(path)) for path in sorted((folder / "train" / "good").iterdir())]
    start = time.process_time()
    normal = learning.learn(
        items, lambda work, given: [(g, work(g)) for g in given], model="photo-fast", false_alarms=0.05
    )
    print(
        f"{len(items)} good pictures in {time.process_time() - start:.1f} s:"
        f" {normal.kind}, {len(normal.gaussians)} scales"
    )
    codec, scores, cells = checking.codec_of(normal), defaultdict(list), defaultdict(list)
    start = time.process_time()
    for path in sorted((folder / "test").glob("*/*")):
        finding = checking.check(learning.pixels_of(str(path), codec), normal, codec)
        scores[path.parent.name].append(finding.score)
        marked = defects(path, finding.cells.shape)
        if marked is not None and marked.any() and not marked.all():
            cells[path.parent.name].append(area(finding.cells[marked], finding.cells[~marked]))
    print(f"{(time.process_time() - start) / sum(map(len, scores.values())):.3f} s for each other picture")
    good = scores.pop("good")
    every = [score for kind in scores.values() for score in kind]
    for kind, found in {**scores, "all": every}.items():
        within = cells[kind] if kind != "all" else [value for values in cells.values() for value in values]
        said = f", cells {np.mean(within):.3f}" if within else ""
        print(f"{kind}: pictures {area(found, good):.3f}{said}")
    for share in (0.01, 0.05, 0.1):
        threshold = normal.scale.threshold(share)
        alarms, right = (np.mean(np.array(values) > threshold) for values in (good, every))
        print(f"promised {share:.0%}: false alarms {alarms:.1%}, found {right:.1%}")


if __name__ == "__main__":
    main()
