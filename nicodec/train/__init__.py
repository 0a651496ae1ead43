"""Training: everything that needs torch, from a folder of pictures to one .nicmodel file.

Its door is `train`, which `nicodec train` goes through too; nothing in the runtime imports it. torch is loaded when
`train` is called. `export` is the one bridge back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from nicodec.train.loop import Step

Name: TypeAlias = str | os.PathLike[str]

__all__ = ["train"]


def train(
    images: Name | Sequence[Name],
    out: Name,
    *,
    validation: Name | Sequence[Name] | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    again: bool = False,
    start: str | None = None,
    network: str | None = None,
    batch: int | None = None,
    patch: int | None = None,
    rate: float | None = None,
    augment: float | None = None,
    drawn: float | None = None,
    gray: float | None = None,
    colour: str | None = None,
    freeze: str | None = None,
    upsample: str | None = None,
    transform: str | None = None,
    distortion: str | None = None,
    clean_from: str | None = None,
    decoder_only: bool = False,
    skips: bool | None = None,
    fonts: Name | None = None,
    seed: int | None = None,
    threads: int | None = None,
    device: str | None = None,
    measure: str | None = None,
    name: str | None = None,
    licence: str | None = None,
    note: str | None = None,
    force: bool = False,
    report: Callable[[Step], None] | None = None,
) -> Path:
    """Train a codec on pictures, as `nicodec train` does; returns the path of the model.

    images: pictures, folders and tar files. out: the .nicmodel file. Its state, its log and a page of what it is worth
    lie beside it.
    The others are the options of the command; `start` is --from, and "none" starts from nothing. None is the default,
    or with `resume` what the state says. report: called a few times a second with a `Step`: its number, the fraction
    of the schedule that is done, mean loss, bpp, psnr, and pixels_per_second.

    Raises NicError for options, pictures, states and models that cannot be used, and if something would be
    overwritten.
    """
    from nicodec import extras
    from nicodec.model.config import NETWORKS
    from nicodec.train import parts
    from nicodec.train.options import BadOption, Options, check_call

    if network is not None and network not in NETWORKS:
        raise BadOption(f"--network is one of {', '.join(NETWORKS)}, not {network}")
    if minutes is not None and steps is not None:
        raise BadOption("--minutes and --steps exclude each other")
    parts.check(upsample=upsample, transform=transform, start=start, resume=resume)
    options = {
        "minutes": minutes,
        "steps": steps,
        "batch": batch,
        "patch": patch,
        "rate": rate,
        "augment": augment,
        "drawn": drawn,
        "gray": gray,
        "colour": colour,
        "freeze": freeze,
        "distortion": distortion,
        "clean_from": clean_from,
        "skips": skips,
        "fonts": None if fonts is None else os.fspath(fonts),
        "seed": seed,
        "threads": threads,
        "device": device,
        "measure": measure,
        "name": name,
        "licence": licence,
        "note": note,
    }
    if decoder_only:
        if freeze not in (None, "encoder"):
            raise BadOption(f"--decoder-only freezes the encoder; it does not go with --freeze {freeze}")
        options["freeze"] = "encoder"
    options = {key: value for key, value in options.items() if value is not None}
    pictures, held, target = _paths(images), _paths(validation), Path(out)
    chosen = Options(**options)  # type: ignore[arg-type]
    check_call([*pictures, *held], target, chosen, resume=resume, again=again, start=start, force=force)
    run = extras.load("nicodec.train.run", "train", "training")
    others = {"validation": held, "resume": resume, "again": again, "start": start}
    others |= {"network": network, "upsample": upsample, "transform": transform}
    said = options | others | {"force": force}
    run.train(pictures, target, chosen, said=said, report=report, **others)
    return target


def _paths(names: Name | Sequence[Name] | None) -> list[Path]:
    if names is None:
        return []
    return [Path(names)] if isinstance(names, str | os.PathLike) else [Path(name) for name in names]
