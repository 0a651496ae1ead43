"""The options of training: defaults, ranges, and those that a resumed run takes from its state.

Under all of training; it loads neither torch nor numpy.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nicodec.bitstream.container import CELL
from nicodec.errors import BadFile, BadImage, NicError, one_line
from nicodec.model import card
from nicodec.model.config import NETWORKS, ModelConfig
from nicodec.storage.files import shown
from nicodec.train.damage import BadDamage, Damage

# The share of patches that show pictures in many ways, of a run from a model.
AUGMENT_FROM = 0.5
# The share of patches that are drawn, unless told otherwise.
DRAWN = 1 / 32
# The share of photographs that become gray, unless told otherwise. Few collections have gray ones.
GRAY = 1 / 16
# The learning rate of a run that starts from a model, by the word of its network, and of other networks. At the usual
# one, which is for networks that know nothing yet, a run from `photo` lost within minutes what it knew (docs/LOG.md).
RATE_FROM, RATE_FROM_OTHERS = {"full": 5e-4, "fast": 1e-3}, 5e-4
# The released model that a run starts from, by the word of its network, unless told otherwise; and that word.
RELEASED, NETWORK = {"full": "photo", "fast": "photo-fast"}, "fast"
# What --from takes in place of a model, to start from nothing; and the words of --measure.
NOTHING, REPORTS = "none", ("quick", "full", "none")
# The words of --colour: a model of gray pictures if all are gray, such a model, one of colour pictures.
COLOUR = ("auto", "gray", "rgb")
# The words of --freeze, and the beginnings of the names of weights that stay as they are. With "decoder" what learns
# is what makes symbols, so the id of the model stays; with "encoder" it is g_s alone, so its symbols stay.
_ENTROPY = ("context.", "h_mu.", "h_sigma.", "log_gain", "z_prior.")
FREEZE: dict[str, tuple[str, ...]] = {
    "none": (),
    "g_a": ("g_a.", "log_gain"),
    "decoder": ("g_s.", *_ENTROPY),
    "encoder": ("g_a.", "h_a.", *_ENTROPY),
}
# The words of --distortion.
DISTORTIONS = ("mse", "l1", "ms-ssim", "bce")
# The name of the state of a run, in the folder beside the model.
STATE = "state.safetensors"
# Patches in a step: for each thread of a CPU up to a most, and for a GPU. These keep them busy.
BATCH_PER_THREAD, BATCH_MOST, BATCH_GPU = 8, 64, 32


class BadOption(NicError):
    """An option of training cannot be what it was said to be."""

    exit_code = 2


@dataclass(frozen=True)
class Options:
    """How to train. Written into the state and, with the weights, into the model.

    name, licence, note: what the card of the model says; without a name it is that of the file. origin: name and first
    digits of the id of the model that training started from, or empty.
    """

    minutes: float = 30.0
    steps: int | None = None
    batch: int = 8
    patch: int = 128
    rate: float = 2e-3
    augment: float = 1.0
    drawn: float = DRAWN
    gray: float = GRAY
    colour: str = "auto"
    freeze: str = "none"
    distortion: str = "mse"
    clean_from: str = ""
    skips: bool = False
    fonts: str | None = None
    seed: int = 0
    threads: int | None = None
    device: str = "auto"
    save_every: float = 300.0
    measure: str = "quick"
    model: ModelConfig = NETWORKS["full"]
    name: str | None = None
    licence: str = ""
    note: str = ""
    origin: str = ""


# The options of the command line; where a run goes on, those not given come from the state.
SAID = ("minutes", "steps", "batch", "patch", "rate", "augment", "drawn", "gray", "colour", "freeze", "distortion",
        "clean_from", "skips", "fonts", "seed", "threads", "device", "measure", "name", "licence", "note")  # fmt: skip
# Those that a resumed run cannot change: its best state was chosen by them.
ASKED = ("clean_from", "distortion", "skips")
# Those that the card of the model says.
ON_CARD = ("name", "licence", "note", "origin")
# Its history has none of these, which are on the card, or a path of the user's.
NO_HISTORY = (*ON_CARD, "fonts")
_SHARES = ("augment", "drawn", "gray")
_LEAST = {"steps": 1, "batch": 1, "patch": CELL, "seed": 0, "threads": 1}
_MOST = {"seed": 2**63 - 1, "threads": 4096}


def check(options: Options) -> None:
    """Raises BadOption for an option that training cannot go by."""
    for name in ("minutes", "rate", *_SHARES):
        value = getattr(options, name)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise BadOption(f"--{name} takes a number, not {value}")
    for name in ("minutes", "rate"):
        if getattr(options, name) <= 0:
            raise BadOption(f"--{name} has to be larger than 0, not {getattr(options, name)}")
    for name in _SHARES:
        if not 0 <= getattr(options, name) <= 1:
            raise BadOption(f"--{name} is a share from 0 to 1, not {getattr(options, name)}")
    if not isinstance(options.fonts, str | None):
        raise BadOption(f"--fonts is a folder, not {options.fonts}")
    for name, least in _LEAST.items():
        value, most = getattr(options, name), _MOST.get(name, 2**31 - 1)
        if value is None and name in ("steps", "threads"):
            continue
        if type(value) is not int or not least <= value <= most:
            raise BadOption(f"--{name} takes a whole number from {least} to {most}, not {value}")
    if options.patch % CELL:
        raise BadOption(f"--patch has to be a multiple of {CELL}, not {options.patch}")
    if not isinstance(options.device, str) or not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", options.device):
        raise BadOption(f"--device is auto, cpu or cuda, not {options.device}")
    if options.measure not in REPORTS:
        raise BadOption(f"--measure is one of {', '.join(REPORTS)}, not {options.measure}")
    if options.colour not in COLOUR:
        raise BadOption(f"--colour is one of {', '.join(COLOUR)}, not {options.colour}")
    if options.freeze not in tuple(FREEZE):
        raise BadOption(f"--freeze is one of {', '.join(FREEZE)}, not {options.freeze}")
    if options.distortion not in DISTORTIONS:
        raise BadOption(f"--distortion is one of {', '.join(DISTORTIONS)}, not {options.distortion}")
    if not isinstance(options.clean_from, str):
        raise BadOption(f"--clean-from takes a word, not {options.clean_from}")
    if type(options.skips) is not bool:
        raise BadOption(f"--skips takes no value, not {options.skips}")
    if options.clean_from:
        Damage.of(options.clean_from)
    for name, most in {"licence": card.MAX_LICENCE, "note": card.MAX_NOTE, "origin": card.MAX_NAME + 9}.items():
        if why := card.fault(getattr(options, name), most):
            raise BadOption(f"--{name}: {why}")
    if options.name is not None and (why := card.fault(options.name, card.MAX_NAME) or card.name_fault(options.name)):
        raise BadOption(f"--name: {why}")


def check_call(
    images: Sequence[Path], out: Path, options: Options, *, resume: bool, again: bool, start: str | None, force: bool
) -> None:
    """All that can be wrong with the arguments and is seen without torch, which takes seconds to load.

    images: with those to hold out. Raises BadOption, BadImage, BadFile if there is no run to resume, or NicError if
    something would be overwritten.
    """
    from nicodec.model import shelf  # which loads numpy

    check(options)
    if options.name is not None and (why := shelf.taken(options.name)):
        raise BadOption(f"--name {options.name}: {why}")
    check_out(out)
    folder, page = run_of(out), page_of(out)
    if not resume and not force and (out.exists() or folder.exists()):
        onward = "--resume goes on with it, " if (folder / STATE).exists() else ""
        raise NicError(f"{shown(out)} or its run exists already; {onward}-f starts anew")
    paged = options.measure != "none" and not (options.clean_from or options.skips)
    if not (resume or force) and paged and page.exists():
        raise NicError(f"{shown(page)} exists already, and would be the page of this model; -f overwrites it")
    if again and not resume:
        raise BadOption("--again goes with --resume")
    if resume and start is not None:
        raise BadOption("--from starts a run; it does not go with --resume")
    if resume and not (folder / STATE).exists():
        raise BadFile(f"{shown(folder / STATE)}: there is no run to go on with; leave out --resume")
    check_there(images)


def run_of(model: Path) -> Path:
    """The folder of the run of a model: beside it."""
    return model.with_suffix(".run")


def page_of(model: Path) -> Path:
    """Where the page of a model lies: beside it."""
    return model.with_suffix(".html")


def check_out(out: Path) -> None:
    """Raises BadOption if no model can be written to `out`, or no run beside it."""
    from nicodec.model.modelfile import SUFFIX  # which loads numpy

    run = run_of(out)
    if out.suffix != SUFFIX:
        raise BadOption(f"{shown(out)}: the name of a model ends with {SUFFIX}")
    if out.is_dir():
        raise BadOption(f"{shown(out)}: is a folder")
    if not out.parent.is_dir():
        raise BadOption(f"{shown(out.parent)}: there is no such folder")
    if os.path.lexists(run) and not run.is_dir():
        raise BadOption(f"{shown(run)}: is not a folder, and the run would lie there")
    for folder in (out.parent, *([run] if run.is_dir() else [])):
        try:
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise BadOption(f"{shown(folder)}: cannot be written to: {one_line(error)}") from None


def check_there(paths: Sequence[Path]) -> None:
    """Raises BadImage for a name of pictures that is not there."""
    for path in paths:
        if not os.path.lexists(path):
            raise BadImage(f"{shown(path)}: there is no such file or folder")


def check_fonts(folder: str | None) -> None:
    """Raises BadOption if there is no such folder."""
    if folder is not None and not Path(folder).is_dir():
        raise BadOption(f"--fonts {shown(folder)}: there is no such folder")


def resumed(options: Options, said: Collection[str], saved: object, where: str) -> tuple[Options, list[str]]:
    """The options of a resumed run, and a line for each that differs from the state. said: names that were given.

    saved: the options in the state, which `where` names. Raises BadFile if they are no options.
    """
    if not isinstance(saved, Mapping):
        raise BadFile(f"{where}: not a training state (it has no options)")
    stored = {name: saved[name] for name in (*SAID, "origin") if name in saved}
    before = replace(Options(), **stored)
    try:
        check(before)
    except (BadOption, BadDamage) as error:
        raise BadFile(f"{where}: not a training state ({error})") from None
    if "minutes" in said and "steps" not in said:
        said, options = {*said, "steps"}, replace(options, steps=None)
    kept = ("origin", *(name for name in SAID if name not in said))
    result = replace(options, **{name: getattr(before, name) for name in kept})
    changed = [name for name in SAID if getattr(result, name) != getattr(before, name)]
    for name in ASKED:
        if name in changed:
            raise BadOption(f"{flag(name)} asks for another model than the state is of; it needs a new run")
    lines = [
        f"{flag(name)} is {_word(getattr(result, name))} in place of {_word(getattr(before, name))}"
        for name in changed
        if name not in ("minutes", "steps")
    ]
    if {"minutes", "steps"} & set(changed):
        lines.insert(0, f"{_schedule(result)} in place of {_schedule(before)}")
    return result, lines


def _schedule(options: Options) -> str:
    return f"--minutes {options.minutes:g}" if options.steps is None else f"--steps {options.steps}"


def flag(name: str) -> str:
    """The option of the command line, of a name in Python."""
    return "--from" if name == "start" else f"--{name.replace('_', '-')}"


def _word(value: object) -> str:
    return "not set" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def command(out: str, said: Mapping[str, Any], origin: str) -> list[str]:
    """The words of the command that trains so, without a path or a name of anything of the user's.

    out: the name of the model's file. said: options that were said, by their names in Python. origin: as in `Options`.
    """
    words = ["nicodec", "train", "PICTURES", "-o", out]
    plainly = {"validation": "PICTURES", "fonts": "FONTS", "start": origin.split(" ")[0] or NOTHING}
    for name, given in said.items():
        if name in ON_CARD:
            continue
        value = plainly.get(name, given) if given else given
        if (name, value) == ("freeze", "encoder"):
            name, value = "decoder-only", True
        if not (value is None or value is False or value == []):
            words += [flag(name)] if value is True else [flag(name), str(value)]
    return words


def plain(value: Any) -> Any:
    """The value for JSON, with None for infinity and nan, which JSON lacks."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value
