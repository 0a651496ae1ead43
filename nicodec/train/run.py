"""`nicodec train`: pictures in, one .nicmodel file and a report of what it does out.

The face of training: `plan` says what will be done, `data` reads the pictures, `loop` learns, `finish` writes.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from nicodec import progress
from nicodec.errors import BadModel, ModelNotFound, NicError
from nicodec.model import card, checkpoint, modelfile, shelf
from nicodec.model.card import Card
from nicodec.model.config import COLOURS, NETWORKS, ModelConfig
from nicodec.model.modelfile import SUFFIX
from nicodec.nn.model import Model
from nicodec.storage.files import shown
from nicodec.train import finish, gray, loop, parts, plan, restoring
from nicodec.train.abreast import torch_threads
from nicodec.train.data import Patches
from nicodec.train.endings import explained
from nicodec.train.held import Held
from nicodec.train.loop import Step
from nicodec.train.notes import notes
from nicodec.train.options import (
    AUGMENT_FROM,
    BATCH_GPU,
    BATCH_MOST,
    BATCH_PER_THREAD,
    NETWORK,
    NO_HISTORY,
    NOTHING,
    RATE_FROM,
    RATE_FROM_OTHERS,
    RELEASED,
    SAID,
    STATE,
    BadOption,
    Options,
    check_fonts,
    command,
    page_of,
    plain,
    resumed,
    run_of,
)
from nicodec.train.plan import Plan
from nicodec.train.schedule import fitting
from nicodec.train.state import read_held, read_meta, read_progress
from nicodec.train.trainer import Trainer


def train(
    images: list[Path],
    out: Path,
    options: Options,
    *,
    resume: bool,
    again: bool,
    start: str | None,
    network: str | None = None,
    upsample: str | None = None,
    transform: str | None = None,
    validation: list[Path] | None = None,
    said: Mapping[str, Any] | None = None,
    report: Callable[[Step], None] | None = None,
) -> None:
    """Train as `options` say and write `out`; the run's state, log and report lie in the folder `out`.run.

    resume: go on from the state there. again: with a new schedule. start: a model to start from; None: the released
    one of the network; `NOTHING`: none.
    network: one of `model.config.NETWORKS`; None: that of the state or the model, else that of the options. upsample,
    transform: parts of a network that starts from nothing; None: its own.
    validation: pictures to hold out. said: the arguments that were given, by the names of `nicodec.train.train`; a
    resumed run takes all others from its state. report: called with every report of the loop.
    The arguments have passed `options.check_call`. Raises NicError for unusable pictures, states and models.
    """
    times = Plan(options.minutes, options.measure)
    console, said = Console(stderr=True, soft_wrap=True, highlight=False), said or {}
    folder = run_of(out)
    state = folder / STATE
    # Before minutes of reading, all that can be wrong with the arguments and that `options.check_call` does not see.
    begin: checkpoint.Checkpoint | None = None
    if not resume and start != NOTHING:
        begin = checkpoint.load(checkpoint.find(start or RELEASED[network or NETWORK]))
    if network is not None and begin is not None and replace(begin.config, repair=0) != NETWORKS[network]:
        raise NicError(f"{shown(begin.path)} has another network than --network {network}")
    changed: list[str] = []
    kept: Held | None = None
    done = 0
    if resume:
        meta = read_meta(state)
        saved = meta.get("options")
        model = ModelConfig.of(saved.get("model") if isinstance(saved, dict) else None, shown(state))
        options, changed = resumed(replace(options, model=widths(state, model)), said, saved, shown(state))
        kept = None if validation else read_held(state)
        steps, share = read_progress(meta, state)
        done = 0 if again else steps
        if not again and not said.keys() & {"minutes", "steps"}:
            times.left = 1 - share
    elif begin is not None:
        origin = f"{card.cleaned(begin.name)} {begin.identity[:8]}"
        options = replace(options, model=widths(begin.path, begin.config), origin=origin)
        if "rate" not in said:
            options = replace(options, rate=RATE_FROM.get(_word(begin.config), RATE_FROM_OTHERS))
    if network is not None:
        options = replace(options, model=NETWORKS[network] if begin is None else begin.config)
    options = replace(options, model=parts.network(options.model, upsample, transform))
    check_fonts(options.fonts)
    device = pick_device(options.device)
    if "augment" not in said and not resume:
        options = replace(options, augment=AUGMENT_FROM if begin is not None and not options.clean_from else 1.0)
    if "batch" not in said and not resume:
        threads = options.threads or torch.get_num_threads()
        busy = BATCH_GPU if device.type == "cuda" else min(BATCH_MOST, BATCH_PER_THREAD * threads)
        options = replace(options, batch=busy)
    options = restoring.chosen(options, SAID if resume else said)
    frozen = restoring.begun(folder, begin, options, resume=resume)
    times.minutes, times.measure = options.minutes if options.steps is None else None, options.measure
    there, word = plan.look(images), _word(options.model)
    left = None if options.steps is None else max(0, options.steps - done)
    alone = not validation and (kept is None or kept.borrowed)
    more = {"alone": alone, "resume": resume, "writes": not options.skips}
    begins = plan.lines(there, times, options.origin, word, device.type, left, **more)
    for line in begins + restoring.words(options) + changed:
        console.print(line, markup=False)

    def say(line: str) -> None:
        console.print(line, markup=False)

    with explained(out, state, say, resume=resume), torch_threads(options.threads):
        colour = gray.word(options, begin, resume)
        data = _read(images, validation, kept, device, replace(options, colour=colour), times, out)
        if not resume and "patch" not in said:
            side, count = fitting(options.patch, options.batch, data.share)
            options = replace(options, patch=side, batch=options.batch if "batch" in said else count)
        options = replace(options, model=gray.network(options.model, begin, data))
        for line in notes(data, options.patch, "; --patch 64 needs the least"):
            console.print(line, markup=False)
        if begin is not None:  # from nothing there is no g_a that could learn from repaired pixels
            options = replace(options, model=restoring.network(options))
        trainer = Trainer(options, data, fresh=not resume and begin is None)
        if resume:
            trainer.load(state, restart=again)
        elif begin is not None:
            trainer.start_from(begin)
        if not resume:
            (folder / loop.LOG).unlink(missing_ok=True)
        held = "one of them is measured on" if data.held.borrowed else f"{len(data.validation)} held out"
        console.print(
            f"{data.photographs} photograph{'s' * (data.photographs != 1)}, {data.pixels / 1e6:.3g} megapixels together"
            f"{', gray' if data.is_gray else ''}, {held}; read in {times.passed():.0f} s."
            f" Learning on {device.type}{' in bf16' if trainer.amp else ''}."
            f"{gray.alone(options, begin, resume)}"
        )
        earlier = trainer.seconds  # of the calls before this one
        restoring.keep(folder, frozen)
        loop.begin(trainer, folder)
        origin = _start(options.origin, begin)
        reserve = times.reserve(trainer.speed, data, finish.models(trainer, origin))
        if times.minutes is not None:
            trainer.length = max(1e-3, trainer.spent + times.learning(reserve))
        with progress.bar(1, share=True) as advance:

            def show(step: Step) -> None:
                advance(
                    f"step {step.number} loss {step.loss:.2f}"
                    f" {step.bpp:.3f} bpp {step.psnr:.2f} dB {step.pixels_per_second / 1e6:.2f} Mpx/s",
                    step.fraction,
                )
                if report is not None:
                    report(step)

            loop.run(trainer, folder, show, say)
        learnt = times.passed()
        name = options.name or card.cleaned(out.stem)
        history: dict[str, Any] = {
            "command": shlex.join(command(name + SUFFIX, said, options.origin)),
            "options": {key: value for key, value in plain(asdict(options)).items() if key not in NO_HISTORY},
            "steps": trainer.step,
            "pixels": trainer.pixels,
            "seconds": round(trainer.seconds),
            "device": device.type,
            "torch": torch.__version__,
        }
        today = datetime.now(timezone.utc).date().isoformat()
        said_of_it = Card(licence=options.licence, note=options.note, made=today, start=options.origin)
        said_of_it = restoring.told(said_of_it, options, frozen)
        verdict = finish.verdict(trainer)
        for line in verdict:
            say(line)
        if options.skips:
            for line in restoring.without_file(trainer):
                say(line)
            return
        with nullcontext() if said.get("force") else finish.replacing(out, say):
            made = finish.write(trainer, out, name, history, said_of_it, times.effort(), frozen)
        known = finish.facts(trainer, made, name, tuple(verdict))
        say(f"{shown(out)}: {known.n_bytes / 1e6:.1f} MB, {made.identity[:16]}")
        effort = times.effort()
        found = finish.measure(trainer, known, out, origin, folder, effort, lambda: earlier + times.passed())
        restored = restoring.lines(trainer, Card.of(modelfile.head(out)).curve)
        for line in finish.lines(found) if found else restored:
            say(line)
        loop.note(trainer, folder / loop.LOG, reserve=reserve, finished=times.passed() - learnt)
        seen = f" {shown(page_of(out))} shows what the model is worth." if found else ""
        say(f"It took {times.passed() / 60:.1f} minutes.{seen}")


def pick_device(name: str) -> torch.device:
    """The device of torch. Raises BadOption if it is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BadOption(f"the device {name} was not found; use --device cpu")
    return device


def _start(origin: str, begin: checkpoint.Checkpoint | None) -> str:
    """The model that training started from, for the report: its name or its file; empty if it cannot be found."""
    name, _, identity = origin.partition(" ")
    if not name or shelf.released(identity):
        return name
    try:
        return str(begin.path if begin is not None else checkpoint.find(name))
    except ModelNotFound:
        return ""


def _word(config: ModelConfig) -> str:
    """The word of --network for these widths, in colour or gray, with repair or without; empty for others."""
    usual = replace(config, colours=COLOURS, repair=0)
    return next((word for word, known in NETWORKS.items() if usual == known), "")


def widths(path: Path, config: ModelConfig) -> ModelConfig:
    """The config that a file names, if the file can hold that network. Raises BadModel."""
    with torch.device("meta"):  # no memory yet
        parameters = sum(p.numel() for p in Model(config).parameters())
    if parameters > path.stat().st_size:
        raise BadModel(f"{shown(path)}: not a network of these widths, {config}")
    return config


def _read(
    images: list[Path],
    validation: list[Path] | None,
    kept: Held | None,
    device: torch.device,
    options: Options,
    times: Plan,
    out: Path,
) -> Patches:
    with progress.bar(None) as advance:
        seen = [0, 0]

        def note(name: str, pixels: int) -> None:
            seen[0], seen[1] = seen[0] + 1, seen[1] + pixels
            advance(f"reading pictures: {seen[0]}, {seen[1] / 1e6:.0f} megapixels")

        data = Patches(
            images,
            device,
            options.seed,
            note,
            drawn=options.drawn,
            gray=options.gray,
            colour=options.colour,
            fonts=None if options.fonts is None else Path(options.fonts),
            validation=validation,
            kept=kept,
            folder=out.parent,
            seconds=times.reading(),
            augment=options.augment,
            margins=not options.clean_from,  # an encoder continues what it sees, which is damaged
        )
    return data
