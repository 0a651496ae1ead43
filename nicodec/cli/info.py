"""`nicodec info`: what .nic files say of themselves.

Under `app`; prints what `api.info` finds.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from nicodec.cli import plan
from nicodec.cli.options import NIC_FILES, Json
from nicodec.cli.report import SOME_FAILED, about, label
from nicodec.errors import NicError
from nicodec.progress import say
from nicodec.storage import store_of
from nicodec.storage.files import shown


def info(
    sources: Annotated[list[str], typer.Argument(metavar="FILE...", help=NIC_FILES)], as_json: Json = False
) -> None:
    """Say what .nic files hold, without decoding them."""
    from nicodec import api

    paths, failed = plan.nic_files(sources), False
    for path in paths:
        try:
            with about(path, quiet=False):
                found = api.info(store_of(path).source(path))
        except NicError as error:
            if len(paths) == 1:
                raise
            say(f"nicodec: {error}")
            failed = True
            continue
        if as_json:
            chunks = [{"kind": kind, "bytes": size} for kind, size in found.chunks]
            print(json.dumps({"source": path} | asdict(found) | {"chunks": chunks}))
            continue
        model = f"{shown(found.model or 'not found')} ({found.model_id})"
        rows = [("file", label(path, "stdin"))] if len(paths) > 1 else []
        rows += [
            ("size", f"{found.width}x{found.height} {found.mode}" + ", 16 bits" * (found.depth == 16)),
            ("bytes", f"{found.size:,} ({found.bpp:.3f} bpp)"),
            ("quality", "lossless" if found.lossless else f"{found.quality:g}" + ", few colours" * found.drawing),
            ("model", "none needed" if found.lossless or found.drawing else model),
            ("format", found.version),
            ("tiles", f"{found.tiles[0]}x{found.tiles[1]}"),
            ("chunks", ", ".join(f"{kind} {size:,}" for kind, size in found.chunks)),
            ("metadata", ", ".join(found.metadata) or "none"),
        ]
        for key, value in rows:
            print(f"{key:9}{value}")
        if path != paths[-1]:
            print()
    if failed:
        raise typer.Exit(SOME_FAILED)
