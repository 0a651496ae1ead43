"""A template of this room and texts -> one HTML page, which runs nothing but what the template holds.

Under `comparison` and `proof`, whose pages look alike: `look.css`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources


def fill(name: str, **values: str) -> str:
    """The template with all places filled in one pass, so that a filled-in text is never a place itself.

    name: of a file in `nicodec/bench`. Only its style and its script, with the right hashes, may run, so no script in
    a text can.
    """
    room = resources.files("nicodec.bench")
    page = room.joinpath(name).read_text(encoding="utf-8")
    page = page.replace("/*look*/\n", room.joinpath("look.css").read_text(encoding="utf-8"))
    for kind in ("style", "script"):
        if (text := re.search(f"<{kind}>(.*?)</{kind}>", page, re.DOTALL)) is not None:
            values[kind] = "sha256-" + base64.b64encode(hashlib.sha256(text[1].encode()).digest()).decode()
    return re.sub(r"\{\{(\w+)\}\}", lambda place: values[place[1]], page)
