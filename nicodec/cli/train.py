"""`nicodec train`: the options of training.

Under `app`; `nicodec.train` does the work, and says what an option may be.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nicodec.cli.options import Force
from nicodec.train import train as training
from nicodec.train.damage import MEANING
from nicodec.train.options import AUGMENT_FROM, BATCH_GPU, BATCH_MOST, BATCH_PER_THREAD, RATE_FROM, Options


def train(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGES...", help="Pictures, folders and tar files to learn from.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", help="The .nicmodel file; its state, its log and a page of what it is worth lie beside it."
        ),
    ],
    validation: Annotated[
        list[Path] | None,
        typer.Option(
            help="Pictures, folders and tar files to hold out; may be repeated.",
            show_default="5 of 20, 20 of 200, then one in 32",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Minutes for all: reading, learning, writing, measuring.", show_default=f"{Options.minutes:g}"
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps to learn for, instead of --minutes.", show_default=False)
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on from the state beside OUT, with its options unless others are given."),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="With --resume: a new schedule, from the averaged weights.")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Start from this model, its name or its file; none starts from nothing.",
            show_default="photo-fast; with --network full photo",
        ),
    ] = None,
    network: Annotated[
        Literal["full", "fast"] | None,
        typer.Option(
            help="full: the smallest files; fast: encodes 4 times and decodes 2 times as fast.",
            show_default="that of --from or --resume, else fast; with --from none full",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            help="Patches in a step.",
            show_default=f"{BATCH_PER_THREAD} for each CPU thread, {BATCH_MOST} at most; {BATCH_GPU} on a GPU",
        ),
    ] = None,
    patch: Annotated[
        int | None,
        typer.Option(
            help="Side of a patch, a multiple of 64; twice that at the end, up to 256, where most pictures have room.",
            show_default=f"{Options.patch}, or 64 where pictures are small",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            help="Learning rate.",
            show_default=f"{RATE_FROM['fast']:g}, full {RATE_FROM['full']:g}, with --from none {Options.rate:g}",
        ),
    ] = None,
    drawn: Annotated[
        float | None,
        typer.Option(
            help="Share of patches that are drawn: letters, lights, shapes, noise.", show_default=f"{Options.drawn:g}"
        ),
    ] = None,
    gray: Annotated[
        float | None, typer.Option(help="Share of photographs that become gray.", show_default=f"{Options.gray:g}")
    ] = None,
    colour: Annotated[
        Literal["auto", "gray", "rgb"] | None,
        typer.Option(
            help="gray: a model of gray pictures alone, which is quicker; auto: such a model if all pictures are gray.",
            show_default=Options.colour,
        ),
    ] = None,
    freeze: Annotated[
        Literal["none", "g_a", "decoder"] | None,
        typer.Option(
            help="g_a: the encoder stays, so that latents can be compared with those of the start. decoder: only the"
            " encoder learns; its files decode with the start, and the id stays.",
            show_default=f"{Options.freeze}; with --clean-from decoder",
        ),
    ] = None,
    clean_from: Annotated[
        str | None,
        typer.Option(
            "--clean-from",
            metavar="DAMAGE",
            help=f"Learn to restore: the encoder sees damaged pictures, the loss compares with clean ones. {MEANING}.",
            show_default=False,
        ),
    ] = None,
    decoder_only: Annotated[
        bool,
        typer.Option(
            "--decoder-only",
            help="With --clean-from: only g_s learns. The model restores files that the start has made.",
        ),
    ] = False,
    augment: Annotated[
        float | None,
        typer.Option(
            help="Share of patches that show pictures reduced, turned, mirrored, from any place. The others are what"
            " encoders will see.",
            show_default=f"{AUGMENT_FROM:g}, with --from none or --clean-from {Options.augment:g}",
        ),
    ] = None,
    skips: Annotated[
        bool | None,
        typer.Option(
            "--skips",
            help="A way around the latent, as in a U-Net. No file can hold it, so no model is written: it tells what"
            " the latent costs.",
            show_default=False,
        ),
    ] = None,
    upsample: Annotated[
        Literal["shuffle", "nearest", "bilinear", "bed-of-nails", "transposed", "transposed-3"] | None,
        typer.Option(help="With --from none: how the deep branch of g_s goes up to pixels.", show_default="shuffle"),
    ] = None,
    transform: Annotated[
        Literal["deep+linear", "linear"] | None,
        typer.Option(help="With --from none: linear leaves out the deep branch.", show_default="deep+linear"),
    ] = None,
    distortion: Annotated[
        Literal["mse", "l1", "ms-ssim", "bce"] | None,
        typer.Option(help="The error that training weighs against bits.", show_default=Options.distortion),
    ] = None,
    fonts: Annotated[
        Path | None, typer.Option(help="Folder of fonts to draw letters with.", show_default="those of the system")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.", show_default=f"{Options.seed}")] = None,
    threads: Annotated[int | None, typer.Option("-j", "--threads", help="CPU threads.", show_default="all")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.", show_default=f"{Options.device}")] = None,
    measure: Annotated[
        Literal["quick", "full", "none"] | None,
        typer.Option(
            help="The page on held-out pictures: 8 of them at 5 qualities; 24 at 11, beside more codecs; or none.",
            show_default=Options.measure,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the model: letters, digits, - and _, 40 at most.", show_default="that of OUT"),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the model, 100 characters at most.", show_default=False)
    ] = None,
    note: Annotated[
        str | None,
        typer.Option(
            help="What others should know of the model, 1000 characters at most: what it is good for, whom to ask.",
            show_default=False,
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Train a codec for your own kind of picture: one command, one file."""
    training(
        images,
        out,
        validation=validation,
        minutes=minutes,
        steps=steps,
        resume=resume,
        again=again,
        start=start,
        network=network,
        batch=batch,
        patch=patch,
        rate=rate,
        drawn=drawn,
        gray=gray,
        colour=colour,
        freeze=freeze,
        upsample=upsample,
        transform=transform,
        distortion=distortion,
        clean_from=clean_from,
        decoder_only=decoder_only,
        augment=augment,
        skips=skips,
        fonts=fonts,
        seed=seed,
        threads=threads,
        device=device,
        measure=measure,
        name=name,
        licence=licence,
        note=note,
        force=force,
    )
