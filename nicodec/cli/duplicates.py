"""`nicodec duplicates`: groups of copies in a folder, listed, shown on a page, moved away or linked.

Under `app`; `explore.duplicates` finds them, `explore.moving` acts.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nicodec.cli.options import Engine, Folder, Force, IndexFile, Json, Quiet, Workers
from nicodec.progress import say, working
from nicodec.storage import store_of

if TYPE_CHECKING:
    from nicodec.explore.duplicates import Group


def duplicates(
    folder: Folder,
    page: Annotated[
        str | None,
        typer.Option(
            "--page", metavar="OUT", help="Also write an HTML page, offline, that shows the groups.", show_default=False
        ),
    ] = None,
    move: Annotated[
        str | None,
        typer.Option(
            "--move",
            metavar="DIR",
            help="Move copies into a new folder, under their names: what can be made again of a better file of its"
            " group, or decodes from it. What may be an original stays, and is named. DIR/undo.py moves files back:"
            " python DIR/undo.py",
            show_default=False,
        ),
    ] = None,
    hardlink: Annotated[
        bool, typer.Option("--hardlink", help="Make byte-identical files one file with several names.")
    ] = False,
    path: IndexFile = None,
    threads: Workers = None,
    engine: Engine = "local",
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Find copies: recompressed, resized, gray, brighter, framed, a little cropped, mirrored or turned.

    The best of each group comes first: the most pixels, then the most bytes. But a .nic file with loss comes after
    other files of its size, and what a JPEG or a .nic file decodes to comes after that file. Nothing is deleted.
    Pictures that only look alike may be in one group: look at them before you act, with --page.

    [dim]
    nicodec duplicates photos/ --page copies.html
    nicodec duplicates photos/ --move copies/  then python copies/undo.py, if it was wrong
    [/dim]
    """
    from nicodec.cli import plan
    from nicodec.cli.explored import indexed
    from nicodec.cli.report import say_written
    from nicodec.explore import duplicates as copies
    from nicodec.explore import moving
    from nicodec.storage.files import shown

    if move is not None and hardlink:
        raise typer.BadParameter("--move and --hardlink exclude each other")
    if page == "-" and as_json:
        raise typer.BadParameter("--json and the page cannot both go to stdout")
    if page is not None:
        plan.check_free(page, force, folders=False)
    if move == "-":
        raise plan.BadUsage("--move: a folder is needed, not -")
    if move is not None:
        moving.check(folder, move)
    with indexed(folder, path, threads, engine, quiet=quiet) as (found, _), working("comparing all pictures"):
        groups = copies.find(found)
        folder = found.folder
    if page is not None:
        from nicodec.explore.page import page as drawn

        data = drawn(groups, folder).encode("utf-8", "backslashreplace")
        store_of(page).write(page, data, overwrite=force)
        if not quiet:
            say_written(folder, page, len(data))
    if as_json:
        print(json.dumps([_facts(group, folder) for group in groups]))
    elif page != "-":
        for group in groups:
            for number, name in enumerate(group.files):
                print(f"{'  ' * bool(number)}{shown(os.path.join(folder, name))}")
            if not quiet:
                for match in group.matches:
                    print(f"    {shown(match.files[0])} - {shown(match.files[1])}: {match}")
    if not quiet:
        say(copies.counted(groups))
    if move is not None:
        with working("looking for what each copy was made of", hidden=quiet):
            moved, doubtful = moving.move(groups, folder, move)
        for name in () if quiet else doubtful:
            say(f"{shown(os.path.join(folder, name))}: stays, because it may be an original")
        if not quiet and moved:
            script = shown(os.path.join(move, moving.SCRIPT))
            say(f"files moved to {shown(move)}: {len(moved)}; python {script} undoes it")
    if hardlink:
        linked = moving.link(groups, folder)
        if not quiet:
            say(f"files that became hard links: {len(linked)}")


def _facts(group: Group, folder: str) -> dict[str, object]:
    """For JSON: only what a match has."""

    def inside(name: str) -> str:
        return os.path.join(folder, name)

    matches = []
    for match in group.matches:
        facts = {name: value for name, value in asdict(match).items() if value is not None}
        matches.append(facts | {"files": [inside(name) for name in match.files]})
    return {"files": [inside(name) for name in group.files], "matches": matches}
