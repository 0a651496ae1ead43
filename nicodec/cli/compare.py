"""`nicodec compare`: the pictures that are shown, read or made, and the page of them.

Under `app`; `bench.comparison` makes the page.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from nicodec.cli import plan
from nicodec.cli.options import Force, ModelOfFile, Quiet, Region, Threads, number, region_of
from nicodec.cli.plan import Job
from nicodec.cli.report import about, label
from nicodec.progress import say, working
from nicodec.storage import is_nic, store_of

if TYPE_CHECKING:
    from nicodec.bench.comparison import Version


def compare(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="ORIGINAL [CANDIDATE...] [OUT]",
            help="ORIGINAL: a picture in any format that Pillow reads; - is stdin. CANDIDATE: .nic, JPEG, WebP,"
            " AVIF, PNG, JPEG XL, ... files made of it; without any, as --all. OUT: the HTML page, a folder for it,"
            " or - for stdout; by default ORIGINAL with the suffix .compare.html. The last of several names is OUT,"
            " unless it is a picture or a .nic file that exists.",
        ),
    ],
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="OUT", help="The same as OUT.", show_default=False)
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Make JPEG, WebP and AVIF too, none larger than the first .nic among the candidates;"
            " without one, make that as well.",
        ),
    ] = False,
    quality: Annotated[
        float, typer.Option("-q", "--quality", min=0, max=100, callback=number, help="Of the .nic that is made.")
    ] = 50,
    natural: Annotated[
        bool,
        typer.Option(
            "--natural",
            help="Show the natural picture of the first .nic too, beside AVIF tuned for SSIM that is no larger. Without"
            " a .nic among the candidates, make it.",
        ),
    ] = False,
    region: Region = None,
    model: ModelOfFile = None,
    threads: Threads = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Make one HTML page that shows a picture beside what codecs made of it, with sizes and measures.

    With --region only a part is shown; the numbers are of the whole.

    [dim]
    nicodec compare photo.jpg                      beside JPEG, WebP and AVIF of equal size
    nicodec compare photo.jpg --natural -q 20      the two pictures of one file: faithful, and with texture drawn
    [/dim]
    """
    part = None if region is None else region_of(region)

    from nicodec.bench import comparison
    from nicodec.picture import writer

    (source, *paths), out = plan.split(names, out, lambda name: is_nic(name) or writer.is_picture(name))
    if [source, *paths].count("-") > 1:
        raise plan.BadUsage("- can be read only once")
    target = plan.destination(source, out, ".compare.html")
    plan.check_stdout(target, "a page")
    for note in () if quiet else plan.other_suffix(target, (".html", ".htm")):
        say(note)
    plan.check_target(Job(source, target), force, folders=target != out)
    unique = len({os.path.basename(path) for path in [source, *paths]}) == 1 + len(paths)
    load = _loader(unique, model, threads, quiet)
    original = load(source)
    versions = [load(path) for path in paths]
    with about(source, quiet), working("making the pictures of the page", hidden=quiet):
        rivals = [*comparison.RIVALS] if everything or not (paths or natural) else []
        rivals += comparison.NATURAL_RIVALS if natural else ()
        if rivals:
            place = next((i for i, version in enumerate(versions) if version.nic is not None), None)
            more = len(rivals) + natural + (place is None)
            comparison.area(original, versions, part, more)  # before the long work, not after it
            if place is None:
                versions.insert(0, comparison.ours(original, quality, model or "photo", threads))
            made, near = versions[place or 0], source if place is None else paths[place]
            if natural:
                versions.insert((place or 0) + 1, comparison.natural(made, model, threads, near))
            versions += comparison.rivals(original, made.n_bytes, threads, rivals)
        page = comparison.page(original, versions, part).encode()
    store_of(target).write(target, page, overwrite=force, folders=target != out)
    if not quiet:
        result = f"{1 + len(versions)} pictures, {len(page):,} bytes"
        say(f"{label(source, 'stdin')} -> {label(target, 'stdout')}: {result}")


def _loader(unique: bool, model: str | None, threads: int | None, quiet: bool) -> Callable[[str], Version]:
    """What reads a file as a version of the picture."""
    from nicodec.bench import comparison

    def load(path: str) -> Version:
        name = "stdin" if path == "-" else os.path.basename(path) if unique else path
        with about(path, quiet):
            data = store_of(path).read(path)
            return comparison.load(name, data, model, threads, near=path)

    return load
