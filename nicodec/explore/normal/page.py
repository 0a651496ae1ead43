"""What was found in many pictures -> one HTML page, offline: the oddest first, each beside its map.

Beside `looking`; under the command `anomaly check`. The page holds all its content; its one script moves the threshold.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib import resources
from itertools import takewhile

from nicodec import __version__
from nicodec.explore.normal.looking import Seen
from nicodec.explore.normal.normal import Scale
from nicodec.picture import web
from nicodec.storage.files import shown

# The most pictures that are shown, about 20 kB each. All scores count.
MOST = 1000


def page(found: Sequence[Seen], scale: Scale, threshold: float) -> str:
    """The page. found: in any order. scale: its scores are those of good pictures. threshold: where the slider begins.

    At most `MOST` pictures are shown; the page says how many are left out.
    """
    ordered = sorted(found, key=lambda seen: -seen.finding.score)
    count = sum(seen.finding.score > threshold for seen in ordered)
    facts = {
        "good": [float(score) for score in scale.scores],
        "checked": [seen.finding.score for seen in ordered],
        "threshold": threshold,
    }
    start = _folder([seen.source for seen in ordered])
    left = f"{len(ordered) - MOST} pictures with lower scores are not shown." if len(ordered) > MOST else ""
    intro = f"{count} of {len(ordered)} flagged. The oddest come first; each picture stands beside its map."
    template = resources.files("nicodec.explore.normal").joinpath("page.html").read_text(encoding="utf-8")
    return web.filled(
        template,
        title="Odd pictures",
        intro=intro,
        left=left,
        version=html.escape(__version__),
        figures="".join(_figure(seen, start) for seen in ordered[:MOST]),
        facts=json.dumps(facts),
    )


def _folder(names: list[str]) -> str:
    """The folder that all names begin with, or "": the page leaves it out."""
    if not names:
        return ""
    first, *others = (name.split("/")[:-1] for name in names)
    count = sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, zip(first, *others, strict=False)))
    return "".join(part + "/" for part in first[:count])


def _figure(seen: Seen, start: str) -> str:
    name = html.escape(shown(seen.source.removeprefix(start)))
    pictures = f'<img alt="{name}" src="{seen.picture}"><img alt="map" src="{seen.map}">'
    caption = f"<figcaption><span>{name}</span><b>{seen.finding.score:.2f}</b></figcaption>"
    return f"<figure>{caption}<div>{pictures}</div></figure>\n"
