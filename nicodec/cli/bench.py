"""`nicodec bench`: the options of the benchmark.

Under `app`; `nicodec.bench` does the work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nicodec.cli import plan
from nicodec.cli.options import Force, number
from nicodec.cli.report import notes
from nicodec.parallel.threads import MOST
from nicodec.progress import say
from nicodec.storage.files import shown


def bench(
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[IMAGES...]",
            help="Pictures and folders. Default: the photographs of scikit-image.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for results.json, points.csv and rd.png.")] = Path(
        "bench-results"
    ),
    codecs: Annotated[
        list[str] | None, typer.Option("-c", "--codec", help="Only this codec; may be repeated.", show_default="all")
    ] = None,
    points: Annotated[int, typer.Option(min=4, help="Settings for each codec.")] = 11,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--model",
            help="Name, id or .nicmodel file; of several the first is compared with all others.",
            show_default="photo",
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option("-j", "--threads", min=1, max=MOST, help="Threads for every codec that can be told.")
    ] = 1,
    anchors: Annotated[Path | None, typer.Option(help="JSON with published curves to draw and compare.")] = None,
    crops: Annotated[
        float | None,
        typer.Option(
            metavar="BPP",
            callback=number,
            help="Measure nothing, but show the pictures at this rate beside JPEG and AVIF: crops.png.",
        ),
    ] = None,
    perceptual: Annotated[
        bool,
        typer.Option(
            "--perceptual",
            help="Measure SSIMULACRA2, LPIPS and DISTS too, of faithful and natural pictures: perceptual.json and"
            " perceptual.csv.",
        ),
    ] = False,
    force: Force = False,
) -> None:
    """Measure rate and distortion of real files beside JPEG, WebP, AVIF, JPEG 2000 and JPEG XL."""
    from rich.console import Console

    from nicodec.bench import crops as showing
    from nicodec.bench import run as measuring

    model, *further = models or ["photo"]
    if perceptual and (crops is not None or anchors is not None or further):
        raise typer.BadParameter("--perceptual takes one model, and excludes --crops and --anchors")
    names: tuple[str, ...] = ("results.json", "points.csv", "rd.png")
    if perceptual or crops is not None:
        names = ("perceptual.json", "perceptual.csv") if perceptual else ("crops.png",)
    for name in names:
        plan.check_free(str(out / name), force, folders=True)
    with notes() as found:
        try:
            if crops is not None:
                showing.crops(
                    images or None, out / "crops.png", target_bpp=crops, codecs=codecs, model=model, further=further
                )
                typer.echo(shown(out / "crops.png"))
            elif perceptual:
                from nicodec.bench.perceptual import run as judging

                judging.run(
                    images or None, out, codecs=codecs or None, points=points, model=model, threads=threads
                ).print(Console())
            else:
                measured = measuring.run(
                    images or None,
                    out,
                    codecs=codecs or None,
                    points=points,
                    model=model,
                    further=further,
                    threads=threads,
                    anchors=anchors,
                )
                measured.print(Console())
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    for line in found.take():
        say(line)
