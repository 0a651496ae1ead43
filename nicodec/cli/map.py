"""`nicodec map`: the pictures of a folder on a plane, like ones together, as a page or as CSV.

Under `app`; `explore.chart` makes the map.
"""

from __future__ import annotations

import json
import os
from typing import Annotated, Literal
from urllib.parse import quote

import typer

from nicodec.cli.options import Engine, Folder, Force, Json, Quiet, Workers
from nicodec.progress import say, working
from nicodec.storage import is_url, path_of, store_of


def map(
    folder: Folder,
    out: Annotated[
        str | None,
        typer.Option(
            "-o", "--out", metavar="OUT", help="The page, one HTML file; - is stdout.", show_default="map.html"
        ),
    ] = None,
    method: Annotated[
        Literal["tsne", "pca", "umap"],
        typer.Option(
            "--method",
            help="tsne needs the extra \\[explore], umap needs umap-learn; pca needs nothing, and separates less.",
        ),
    ] = "tsne",
    table: Annotated[
        str | None,
        typer.Option("--csv", metavar="OUT", help="Also write places and clusters as CSV.", show_default=False),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option(
            "--scores",
            metavar="FILE",
            help="What nicodec anomaly check --json printed: a colour of the map.",
            show_default=False,
        ),
    ] = None,
    path: Annotated[
        str | None,
        typer.Option(
            "--index",
            metavar="FILE",
            help="The index. It is made where it is missing, and brought up to date.",
            show_default=".nicodec-index.sqlite in FOLDER",
        ),
    ] = None,
    threads: Workers = None,
    engine: Engine = "local",
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Show the pictures of a folder on one page, like ones together.

    Texture, shape and colour are compared, and nothing of what a picture means. The page works offline. It holds small
    pictures, clusters with the picture in the middle of each, odd ones, and the nearest pictures of each one.

    [dim]
    nicodec map photos/ -o map.html
    nicodec map photos/ -o map.html --method pca --csv map.csv
    [/dim]
    """
    from nicodec.cli import plan
    from nicodec.cli.explored import indexed
    from nicodec.cli.report import say_written
    from nicodec.explore import chart

    out, table = path_of(out or "map.html"), None if table is None else path_of(table)
    if [out, table, "-" if as_json else None].count("-") > 1:
        raise typer.BadParameter("only one of the page, the CSV and JSON can go to stdout")
    for target in (out, table):
        if target is not None:
            plan.check_free(target, force, folders=False)
    given = None if scores is None else store_of(path_of(scores)).read(path_of(scores))
    with indexed(folder, path, threads, engine, quiet=quiet) as (found, _):
        with working("finding places"):
            made = chart.of(found, method)
        values = None if given is None else chart.scores_of(given, found.folder, made.entries)
        data = chart.page(
            made,
            list(found.thumbnails(made.entries)),
            f"Map of {os.path.basename(os.path.abspath(found.folder))}",
            base=_base(out, found.folder),
            quality=chart.qualities(found.folder, made.entries),
            scores=values,
        ).encode("utf-8", "backslashreplace")
        folder = found.folder
    files = {out: data}
    if table is not None:
        files[table] = chart.table(made, values).encode("utf-8", "backslashreplace")
    for name, data in files.items():
        store_of(name).write(name, data, overwrite=force)
        if not (quiet or as_json):
            say_written(folder, name, len(data))
    if as_json:
        rows = [row | {"file": os.path.join(folder, row["file"])} for row in chart.rows(made, values)]
        print(json.dumps(rows))
    elif not quiet:
        say(f"pictures: {len(made.entries)}; clusters: {len(made.medoids)}; odd ones: {int(made.odd.sum())}")


def _base(out: str, folder: str) -> str | None:
    """The folder of the pictures as seen from the page, as a relative URL; None where the page has no place."""
    if out == "-" or is_url(out):
        return None
    try:
        below = os.path.relpath(folder, os.path.dirname(os.path.abspath(out)))
    except ValueError:  # another drive of Windows
        return None
    return "./" + quote(below.replace(os.sep, "/")) + "/"
