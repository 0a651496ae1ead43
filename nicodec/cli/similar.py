"""`nicodec similar`: the pictures of a folder that are most like one picture.

Under `app`; `explore.search` finds them.
"""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from nicodec.cli.options import Engine, IndexFile, Json, Quiet, Workers
from nicodec.storage import store_of


def similar(
    source: Annotated[
        str, typer.Argument(metavar="PICTURE", help="In any format that Pillow reads, or a .nic file; - is stdin.")
    ],
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Of the pictures to search, with all folders below.")],
    count: Annotated[int, typer.Option("-n", min=1, help="How many pictures to name.")] = 20,
    path: IndexFile = None,
    threads: Workers = None,
    engine: Engine = "local",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Name the pictures of a folder that are most like PICTURE, nearest first, each with its distance.

    Texture, shape and colour are compared, and nothing of what a picture means. PICTURE may be turned, mirrored, or a
    part of what is found. Most copies have distances below 3.5; above, the order is what counts.

    [dim]
    nicodec similar cut.jpg photos/ -n 5       from which photograph was it cut?
    [/dim]
    """
    from nicodec import api
    from nicodec.cli.explored import indexed
    from nicodec.cli.report import about
    from nicodec.explore import query, search, sketch
    from nicodec.explore.reading import opened
    from nicodec.storage import path_of

    source = path_of(source)
    with about(source, quiet):
        codec = api.codec_of(sketch.MODEL, threads)
        wanted = query.of(opened(store_of(source).source(source), codec), codec)
    with indexed(folder, path, threads, engine, quiet=quiet) as (found, _):
        named = (([entry.path for entry in entries], vectors) for entries, _, vectors in found.blocks())
        near = search.nearest(wanted.away, named, count)
        files = [(os.path.join(found.folder, name), distance) for distance, name in near]
    if as_json:
        print(json.dumps([{"file": name, "distance": round(distance, 4)} for name, distance in files]))
        return
    from nicodec.storage.files import shown

    for name, distance in files:
        print(f"{distance:7.3f}  {shown(name)}")
