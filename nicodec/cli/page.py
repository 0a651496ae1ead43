"""`nicodec page` and `nicodec open`: .nic files as one HTML page, written or shown in the browser.

Under `app`; the room `page` makes it.
"""

from __future__ import annotations

import os
import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nicodec.cli import plan
from nicodec.cli.options import NIC_FILES, Force, ModelOfFile, Out, Quiet
from nicodec.cli.plan import Job
from nicodec.cli.report import SOME_FAILED, about, label, say_written
from nicodec.errors import LimitExceeded, NicError
from nicodec.progress import say
from nicodec.storage import is_nic, is_url, store_of
from nicodec.storage.files import shown

if TYPE_CHECKING:
    from nicodec.page import Picture

SUFFIX = ".html"


def page(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE... [OUT]",
            help=f"FILE: {NIC_FILES} OUT: the HTML page, a folder for it, or - for stdout; by default FILE, or the"
            " folder, with the suffix .html, or of several files album.html beside the first. The last of"
            " several names is OUT, unless it is a .nic file that exists.",
        ),
    ],
    out: Out = None,
    model: ModelOfFile = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Make one HTML page that shows a .nic file in any browser, by itself: picture, weights and decoder are inside.

    It needs no network and works from the disk. A folder, or several files, become an album.

    [dim]
    nicodec page photo.nic          photo.html, to be sent to somebody: 11 MB with the decoder of photo, 4 of photo-fast
    nicodec page holiday/           holiday.html, an album of all in it
    [/dim]
    """
    sources, out = plan.split(names, out, is_nic)
    first = sources[0].rstrip("/\\") or sources[0]
    target = plan.destination(first, out, SUFFIX) if _one(sources) else _album_target(first, out)
    plan.check_stdout(target, "a page")
    for note in () if quiet else plan.other_suffix(target, (SUFFIX, ".htm")):
        say(note)
    plan.check_target(Job(sources[0], target), force, folders=target != out)
    text, failed = _made(sources, model, quiet)
    data = text.encode()
    store_of(target).write(target, data, overwrite=force, folders=target != out)
    if not quiet:
        say_written(sources[0], target, len(data))
    if failed:
        raise typer.Exit(SOME_FAILED)


def open_(
    names: Annotated[list[str], typer.Argument(metavar="FILE...", help=NIC_FILES)],
    model: ModelOfFile = None,
    quiet: Quiet = False,
) -> None:
    """Show .nic files in the default browser. The page that `page` makes goes into the folder for temporary files."""
    sources, _ = plan.split(names, "-", is_nic)
    text, failed = _made(sources, model, quiet)
    name = os.path.splitext(os.path.basename(sources[0].rstrip("/\\")))[0].strip("-. ") or "picture"
    # The browser reads it when this program has ended, so the system's tidying has to remove it.
    path = Path(tempfile.mkdtemp(prefix="nicodec-")) / (name + SUFFIX)
    store_of(str(path)).write(str(path), text.encode(), overwrite=False)
    if not webbrowser.open(path.as_uri()):
        raise NicError(f"no browser can be opened; the page is {shown(path)}")
    if not quiet:
        say(f"{label(sources[0], 'stdin')} -> {shown(path)}")
    if failed:
        raise typer.Exit(SOME_FAILED)


def _one(sources: list[str]) -> bool:
    return len(sources) == 1 and store_of(sources[0]).is_one(sources[0])


def _album_target(first: str, out: str | None) -> str:
    """Where an album goes: OUT, or into the folder OUT, or beside the first folder, or beside the first picture."""
    folder = _folder(first)
    whole = folder if is_url(folder) else os.path.abspath(folder)
    place = whole if folder == first else store_of(first).inside(folder, "album")
    return plan.destination(place + SUFFIX, out, SUFFIX) if out is not None else place + SUFFIX


def _folder(source: str) -> str:
    """A folder itself; of a file its folder, and of a pattern the folder in which it looks."""
    if store_of(source).is_folder(source):
        return source
    folder = os.path.dirname(source)
    while set("*?[").intersection(folder) and not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _title(source: str) -> str:
    """What an album is called: as its folder."""
    return os.path.basename(os.path.abspath(_folder(source))) or "Album"


def _made(sources: list[str], model: str | None, quiet: bool) -> tuple[str, bool]:
    """The page of some files, and whether some of them could not be shown: an album goes on without them.

    Raises LimitExceeded for an album of over `pages.MOST_BYTES`.
    """
    from nicodec import page as pages

    paths = plan.nic_files(sources)
    names = _names(paths)
    album = not _one(sources)
    pictures: list[Picture] = []
    weights: dict[str, bytes] = {}
    failed, size = False, 0
    for path, name in zip(paths, names, strict=True):
        try:
            with about(path, quiet):
                picture = pages.Picture(name, store_of(path).read(path), path)
                pages.gather(weights, picture, model)
        except NicError as error:
            if not album:
                raise
            say(f"nicodec: {error}")
            failed = True
            continue
        pictures.append(picture)
        size += len(picture.data)
        if size > pages.MOST_BYTES:
            raise LimitExceeded(f"an album of over {pages.MOST_BYTES:,} bytes is too large; make several")
    if not pictures:
        raise NicError("nothing to show: no .nic file could be read")
    title = _title(sources[0].rstrip("/\\") or sources[0]) if album else names[0]
    return pages.page(pictures, title, album=album, weights=weights), failed


def _names(paths: Sequence[str]) -> list[str]:
    """What pictures are called: their names, with the folders that tell them apart."""
    if len(paths) == 1:
        return ["stdin" if paths[0] == "-" else os.path.basename(paths[0])]
    start = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
    return [os.path.relpath(os.path.abspath(path), start).replace(os.sep, "/") for path in paths]
