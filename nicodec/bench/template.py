"""A template of this room and texts -> one HTML page.

Under `comparison` and `proof`, whose pages look alike: `look.css`. Above `picture.web`, which fills it in.
"""

from __future__ import annotations

from importlib import resources

from nicodec.picture import web


def fill(name: str, **values: str) -> str:
    """As `web.filled`. name: of a file in `nicodec/bench`."""
    room = resources.files("nicodec.bench")
    page = room.joinpath(name).read_text(encoding="utf-8")
    return web.filled(page.replace("/*look*/\n", room.joinpath("look.css").read_text(encoding="utf-8")), **values)
