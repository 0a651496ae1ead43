"""`nicodec index`: the sketches of a folder's pictures, kept for `similar`, `duplicates` and `map`.

Under `app`; `explore.index` keeps them.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from nicodec.cli.options import Engine, Folder, Force, IndexFile, Json, Quiet, Workers
from nicodec.progress import say
from nicodec.storage import store_of


def index(
    folder: Folder,
    path: IndexFile = None,
    export: Annotated[
        str | None,
        typer.Option(
            "--export",
            metavar="OUT",
            help="Also write names, sizes, hashes and vectors: .npz for NumPy, without pickles, or .parquet (needs"
            " pyarrow).",
            show_default=False,
        ),
    ] = None,
    threads: Workers = None,
    engine: Engine = "local",
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Make or update the index of a folder, by which like pictures are found.

    Only new and changed files are read. What is gone is removed from the index. It holds for each picture its size, two
    hashes, a vector of texture, shape and colour, and the picture small, at most 96 pixels a side.
    """
    from nicodec.cli import plan
    from nicodec.cli.explored import indexed
    from nicodec.cli.report import SOME_FAILED, say_written

    if export is not None:
        if not export.lower().endswith((".npz", ".parquet")):
            raise typer.BadParameter(f"--export writes .npz or .parquet, not {export!r}")
        plan.check_free(export, force, folders=False)
    with indexed(folder, path, threads, engine, quiet=quiet) as (found, change):
        if export is not None:
            from nicodec.explore import export as exporting

            make = exporting.numpy_file if export.lower().endswith(".npz") else exporting.parquet_file
            data = make(found)
            store_of(export).write(export, data, overwrite=force)
            if not (quiet or as_json):
                say_written(found.path, export, len(data))
        count = len(found)
    if as_json:
        facts = {"index": found.path, "pictures": count, "read": change.read, "gone": change.gone}
        print(json.dumps(facts | {"remade": change.remade, "failed": change.failed}))
    elif not quiet:
        pictures = f"{count} picture{'s' * (count != 1)}"
        say(f"{pictures}; {change.read} read, {change.gone} gone, {len(change.failed)} cannot be read")
    if change.failed:
        raise typer.Exit(SOME_FAILED)
