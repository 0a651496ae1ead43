"""`nicodec models`: the models that are installed.

Under `app`; prints what the manifests say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from nicodec.cli.options import Json
from nicodec.progress import say
from nicodec.storage.files import shown


def models(as_json: Json = False) -> None:
    """List the installed models."""
    from nicodec.model import checkpoint

    found = list(checkpoint.installed())
    if as_json:
        print(json.dumps([entry | {"path": str(path)} for entry, path in found]))
        return
    for entry, path in found:
        print(f"{shown(entry['name'])}  {entry['id'][:16]}  {shown(path)}")
        with suppress(KeyError, IndexError, TypeError, ValueError):  # somebody else's manifest
            for line in _about_model(entry):
                print(f"    {shown(line)}")
    if not found:
        say("no model is installed; NICODEC_MODELS names folders to look in")


def _about_model(entry: dict[str, Any]) -> Iterator[str]:
    """What a manifest tells of a model."""
    cost = entry["kmac_per_pixel"]
    yield (
        f"{entry['parameters'] / 1e6:.1f} million parameters; multiplications for each pixel:"
        f" {1000 * cost['encode']:,.0f} to encode, {1000 * cost['decode']:,.0f} to decode"
    )
    first, last = entry["rd"]["points"][0], entry["rd"]["points"][-1]
    yield (
        f"{first['bpp']:.3f} to {last['bpp']:.2f} bpp, {first['psnr']:.1f} to {last['psnr']:.1f} dB"
        f" ({entry['rd']['images']})"
    )
