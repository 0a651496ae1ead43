"""Groups of copies -> one HTML page that shows them, offline.

Beside `moving`; under the command `duplicates`. The page holds all its content, and runs no script.
"""

from __future__ import annotations

import html
import os
from collections.abc import Sequence

from nicodec import __version__, api
from nicodec.errors import NicError, one_line
from nicodec.explore.duplicates import Group, counted
from nicodec.explore.reading import opened
from nicodec.explore.sketch import MODEL
from nicodec.picture import web
from nicodec.storage.files import shown

# The most pictures of a page, about 10 kB each, and the longer side of each in pixels.
MOST, SIDE = 2000, 240

_HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{
  --paper: #fff; --ink: #22262b; --faint: #555; --line: #ccd; --well: #eee; --best: #0a6ebd; color-scheme: light dark
}}
@media (prefers-color-scheme: dark) {{
  :root {{ --paper: #161616; --ink: #ececec; --faint: #a0a0a0; --line: #363636; --well: #222; --best: #6cb0ff }}
}}
body {{
  font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 72rem; padding: 0 1rem;
  color: var(--ink); background: var(--paper)
}}
h1 {{ font-size: 1.4rem; overflow-wrap: anywhere }}
h2 {{ font-size: 1rem; margin: 1.5rem 0 .7rem; border-top: 1px solid var(--line); padding-top: 1rem }}
.group {{ display: grid; grid-template-columns: repeat(auto-fill, 15rem); gap: 1rem }}
@media (max-width: 34rem) {{ .group {{ grid-template-columns: 1fr 1fr }} }}
/* Pictures of a row stand on one line, whatever is below them. */
figure {{ margin: 0; display: grid; grid-row: span 2; grid-template-rows: subgrid; row-gap: .4rem }}
img {{ display: block; max-width: 100%; max-height: 15rem; align-self: end; background: var(--well) }}
figcaption {{ overflow-wrap: anywhere; font-size: .85rem }} .best img {{ outline: 3px solid var(--best) }}
ul {{ color: var(--faint); font-size: .85rem; margin: .7rem 0 0; padding-left: 1.2rem; overflow-wrap: anywhere }}
</style>
<h1>{title}</h1>
<p>{intro}</p>
"""


def page(groups: Sequence[Group], folder: str) -> str:
    """The page of the groups of a folder: each copy small, the best first and outlined, and why they belong together.

    At most `MOST` pictures are shown; the page says how many groups are left out. A file that cannot be read now has
    its error in place of a picture.
    """
    fitting, count = 0, 0
    for group in groups:
        count += len(group.entries)
        fitting += count <= MOST
    more = f" {len(groups) - fitting} more are not shown." if fitting < len(groups) else ""
    intro = f"{counted(groups)}. The best of each group has a blue edge.{more}"
    title = html.escape(f"Copies in {shown(folder)}")
    parts = [_HEAD.format(title=title, intro=intro)]
    for number, group in enumerate(groups[:fitting], 1):
        figures = "".join(_figure(group, i, folder) for i in range(len(group.entries)))
        reasons = "".join(
            f"<li>{html.escape(' — '.join(map(shown, match.files)))}: {html.escape(str(match))}</li>"
            for match in group.matches
        )
        parts.append(f'<h2>Group {number}</h2>\n<div class="group">{figures}</div>\n<ul>{reasons}</ul>\n')
    parts.append(f"<p><small>nicodec {html.escape(__version__)}</small></p>\n</html>\n")
    return "".join(parts)


def _figure(group: Group, number: int, folder: str) -> str:
    entry = group.entries[number]
    name = html.escape(shown(entry.path))
    try:
        picture = opened(os.path.join(folder, entry.path), api.codec_of(MODEL, 1))
        image = f'<img alt="{name}" src="{web.thumbnail(picture, SIDE)}">'
    except NicError as error:
        image = f"<p>{html.escape(one_line(error))}</p>"
    said = f"{entry.width}×{entry.height}, {entry.size:,} bytes"
    best = ' class="best"' if number == 0 else ""
    return f"<figure{best}>{image}<figcaption>{name}<br>{said}</figcaption></figure>\n"
