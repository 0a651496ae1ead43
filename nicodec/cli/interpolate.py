"""`nicodec interpolate`: a strip of pictures between two, or along a direction, in latents and in pixels.

Under `app`; `explore.interpolate` makes the steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nicodec.cli.options import Force, Quiet, Threads, number
from nicodec.progress import say
from nicodec.storage import path_of, store_of

if TYPE_CHECKING:
    from nicodec.codec import Codec
    from nicodec.explore.interpolate import Mean, Seen


def interpolate(
    first: Annotated[
        str, typer.Argument(metavar="A", help="In any format that Pillow reads, or a .nic file; - is stdin.")
    ],
    second: Annotated[
        str | None, typer.Argument(metavar="[B]", help="The same, of the same size. Not with --plus and --minus.")
    ] = None,
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="OUT", help="A PNG; - is stdout.", show_default="strip.png")
    ] = None,
    plus: Annotated[
        str | None,
        typer.Option(
            "--plus",
            metavar="FOLDER",
            help="In place of B, a direction: the mean of this folder less that of --minus is added to A.",
            show_default=False,
        ),
    ] = None,
    minus: Annotated[
        str | None, typer.Option("--minus", metavar="FOLDER", help="See --plus.", show_default=False)
    ] = None,
    steps: Annotated[int, typer.Option("-n", "--steps", min=2, max=25, help="Pictures in a row.")] = 5,
    most: Annotated[
        float, typer.Option("--amount", min=0, max=100, callback=number, help="How much of a direction the last has.")
    ] = 2,
    quality: Annotated[
        float, typer.Option("-q", "--quality", min=0, max=100, callback=number, help="To encode pictures with.")
    ] = 80,
    model: Annotated[str, typer.Option("-m", "--model", help="Name, id or .nicmodel file.")] = "photo",
    threads: Threads = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Draw the steps from picture A to picture B: mixed latents above, mixed pixels below.

    The latents of a codec hold what lies at each place. They are no space of things: on the way one picture fades into
    the other, nearly as in pixels. Nothing moves, and nothing becomes something else. With --plus and --minus, A
    changes in the direction between two folders.

    [dim]
    nicodec interpolate a.jpg b.jpg -o strip.png
    nicodec interpolate a.jpg --plus night/ --minus day/ -o strip.png
    [/dim]
    """
    from nicodec import api
    from nicodec.cli import plan
    from nicodec.cli.report import say_written
    from nicodec.explore import interpolate as ways

    if (second is None) == (plus is None) or (plus is None) != (minus is None):
        raise plan.BadUsage("give B, or both --plus and --minus")
    if first == second == "-":
        raise plan.BadUsage("- cannot be both pictures")
    out = path_of(out or "strip.png")
    plan.check_free(out, force, folders=False)
    codec = api.codec_of(model, threads)
    start = _seen(first, codec, quality, quiet)
    if second is not None:
        made = ways.between(start, _seen(second, codec, quality, quiet), codec, steps)
        sign = ""
    else:
        high, low = (_mean(str(folder), codec, quality, quiet) for folder in (plus, minus))
        amounts = [most * step / (steps - 1) for step in range(steps)]
        made, placed = ways.along(start, high, low, codec, amounts)
        sign = "+"
        if not quiet and not placed:
            say("pictures of several sizes: each channel changes by one number, the same everywhere")
    data = ways.strip(made, sign)
    store_of(out).write(out, data, overwrite=force)
    if not quiet:
        say_written(first, out, len(data))
        middle = made[len(made) // 2]
        say(f"at {sign}{middle.share:g} the latents' picture is {middle.psnr:.1f} dB from that of pixels")


def _seen(source: str, codec: Codec, quality: float, quiet: bool) -> Seen:
    from nicodec.cli.report import about
    from nicodec.explore.interpolate import Seen
    from nicodec.explore.reading import opened

    source = path_of(source)
    with about(source, quiet):
        return Seen.of(opened(store_of(source).source(source), codec), codec, quality)


def _mean(folder: str, codec: Codec, quality: float, quiet: bool) -> Mean:
    from nicodec import progress
    from nicodec.cli import explored
    from nicodec.explore.interpolate import Mean

    jobs, mean = explored.jobs([folder], None, ""), Mean()
    with progress.bar(len(jobs), hidden=quiet) as advance:
        for job in jobs:
            mean.add(_seen(job.source, codec, quality, quiet))
            advance(job.source)
    return mean
