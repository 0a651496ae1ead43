"""`nicodec anomaly`: learn what good pictures look like, and say which others are not like them, and where.

Under `app`; `explore.normal` learns, scores and draws.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nicodec.cli.command import Command
from nicodec.cli.options import Engine, Force, Json, Quiet, Workers
from nicodec.progress import say
from nicodec.storage import path_of, store_of, tree

if TYPE_CHECKING:
    from nicodec.explore.normal.learning import Item
    from nicodec.explore.normal.normal import Normal, Scale
    from nicodec.parallel.threads import Result

HELP = "Learn what good pictures look like, then find those that are not like them, and where."
ODD = 1

Template = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="TEMPLATE",
        help="The good twin of each picture, of the same size and place: one file for all, or a folder with a file of"
        " the same name for each.",
        show_default=False,
    ),
]
FilesArgument = typer.Argument(
    metavar="FILE...", help="Pictures in any format that Pillow reads, .nic files, folders, patterns, URLs; - is stdin."
)


def share(text: str) -> float:
    """1% or 0.01 -> 0.01. Raises BadParameter unless it is between 0 and 1."""
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise typer.BadParameter(f"a share of good pictures between 0 and 100%, such as 1% or 0.01, not {text!r}")
    return value


def learn(
    sources: Annotated[list[str], FilesArgument],
    out: Annotated[str, typer.Option("-o", "--out", metavar="OUT", help="The .nicnormal file to make.")],
    false_alarms: Annotated[
        str,
        typer.Option(
            "--false-alarms", metavar="SHARE", help="The most good pictures that may be flagged, as 1% or 0.01."
        ),
    ] = "1%",
    against: Template = None,
    model: Annotated[
        str, typer.Option("-m", "--model", help="Name, id or .nicmodel file, whose encoder sees the pictures.")
    ] = "photo-fast",
    threads: Workers = None,
    engine: Engine = "local",
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Learn what good pictures look like, from good pictures alone.

    Each picture is scored by what the others taught. The threshold follows from these scores: another good picture
    passes it with at most the probability that --false-alarms says. 100 pictures can promise 1%, 20 can promise 5%.

    [dim]
    nicodec anomaly learn good/ -o parts.nicnormal
    nicodec anomaly check new/ -n parts.nicnormal --report odd.html
    [/dim]
    """
    from nicodec.cli import explored, plan
    from nicodec.cli.report import SOME_FAILED, say_written
    from nicodec.explore.normal import file, learning

    wanted, out = share(false_alarms), path_of(out)
    if out == "-" and as_json:
        raise typer.BadParameter("--json and the file cannot both go to stdout")
    plan.check_free(out, force, folders=False)
    jobs = explored.jobs(sources, None, "")
    twin = _twins(against)
    items = [learning.Item(job.source, twin(job.source)) for job in jobs]
    failed: list[object] = []

    def run(work: Callable[[Item], Result], given: list[Item]) -> Iterable[tuple[Item, Result]]:
        running: Any = explored.Work(work, given, threads, engine=engine, quiet=quiet)  # type: ignore[arg-type]
        yield from running
        failed.extend(running.failed)

    normal = learning.learn(items, run, model=model, false_alarms=wanted)
    data = file.write(normal)
    store_of(out).write(out, data, overwrite=force)
    scale = normal.pairs if against else normal.scale
    facts = {"file": out, "pictures": len(scale.scores), "kind": normal.kind, "scales": len(normal.gaussians)}
    facts |= {"false_alarms": wanted, "least": scale.least, "threshold": scale.threshold(wanted)}
    if as_json:
        print(json.dumps(facts))
    elif not quiet:
        say(f"{len(scale.scores)} good pictures, scores {scale.scores[0]:.2f} to {scale.scores[-1]:.2f}")
        _promise(scale, wanted)
        say(f"threshold {scale.threshold(wanted):.2f}")
        say_written(sources[0], out, len(data))
    if failed:
        raise typer.Exit(SOME_FAILED)


def check(
    sources: Annotated[list[str], FilesArgument],
    normal_file: Annotated[
        str, typer.Option("-n", "--normal", metavar="FILE", help="What was learnt: a .nicnormal file.")
    ],
    false_alarms: Annotated[
        str | None,
        typer.Option(
            "--false-alarms",
            metavar="SHARE",
            help="The most good pictures that may be flagged, as 1% or 0.01.",
            show_default="as learnt",
        ),
    ] = None,
    against: Template = None,
    report: Annotated[
        str | None,
        typer.Option(
            "--report",
            metavar="OUT",
            help="Also write an HTML page, offline: the oddest first, each beside its map.",
            show_default=False,
        ),
    ] = None,
    maps: Annotated[
        str | None,
        typer.Option(
            "--maps",
            metavar="DIR",
            help="Also write DIR/NAME.png for each picture: 16-bit gray of its size, brighter is odder; one scale for"
            " all, and middle gray is the threshold as learnt.",
            show_default=False,
        ),
    ] = None,
    fail: Annotated[bool, typer.Option("--fail", help="Exit with 1 if a picture is flagged.")] = False,
    model: Annotated[
        str | None,
        typer.Option("-m", "--model", help="Where the model is that was learnt with.", show_default="found by its id"),
    ] = None,
    threads: Workers = None,
    engine: Engine = "local",
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Say how odd pictures are, and where: the score is that of the oddest 16 x 16 pixels.

    A picture is flagged if its score is over the threshold, which good pictures alone have set. It sees texture, shape
    and colour, and nothing of what a part is for.

    [dim]
    nicodec anomaly check new/ -n parts.nicnormal --report odd.html
    nicodec anomaly check part.jpg -n parts.nicnormal --fail --json    for a script: exit 1 if it is odd
    nicodec anomaly check board.png -n boards.nicnormal --against template.png
    [/dim]
    """
    from nicodec.cli import explored, plan
    from nicodec.cli.jobs import Writing
    from nicodec.cli.report import SOME_FAILED, naming, say_written
    from nicodec.explore.normal import checking, file, looking
    from nicodec.explore.normal.learning import Item

    wanted = None if false_alarms is None else share(false_alarms)
    if report == "-" and as_json:
        raise typer.BadParameter("--json and the page cannot both go to stdout")
    if maps == "-":
        raise plan.BadUsage("--maps: a folder is needed, not -")
    report = None if report is None else path_of(report)
    jobs = explored.jobs(sources, None if maps is None else os.path.join(path_of(maps), ""), ".png")
    for later, first in plan.clashes(jobs).items() if maps is not None else ():
        raise plan.BadUsage(f"{later}: its map would be {first.target}, as that of {first.source}")
    for job in jobs if maps is not None else ():
        plan.check_target(job, force, folders=True)
    if report is not None:
        plan.check_free(report, force, folders=False)
    normal_file = path_of(normal_file)
    with naming(normal_file, ""):
        normal = file.read(store_of(normal_file).read(normal_file))
        checking.codec_of(normal, model)
    scale = normal.pairs if against else normal.scale
    threshold = scale.threshold(wanted or normal.false_alarms)
    if not quiet:
        _note(normal, scale, wanted, against)
    twin = _twins(against)
    items = [Item(job.source, twin(job.source), target=job.target) for job in jobs]
    write = Writing(force, again=engine == "ray", folders=True)
    look = looking.Look(normal, model, against is not None, page=report is not None, write=write)
    work: Any = explored.Work(look, items, threads, engine=engine, quiet=quiet or as_json)  # type: ignore[arg-type]
    found = []
    for item, seen in work:
        found.append(seen)
        if not as_json and report != "-":
            print(_line(item.source, seen.finding, threshold))
    if report is not None:
        from nicodec.explore.normal.page import page

        data = page(found, scale, threshold).encode("utf-8", "backslashreplace")
        store_of(report).write(report, data, overwrite=force)
        if not (quiet or as_json):
            say_written(sources[0], report, len(data))
    flagged = sum(seen.finding.score > threshold for seen in found)
    if as_json:
        print(json.dumps([looking.facts_of(seen, threshold) for seen in found]))
    elif not quiet:
        say(f"{flagged} of {len(found)} flagged; threshold {threshold:.2f}")
    if work.failed:
        raise typer.Exit(SOME_FAILED)
    if fail and flagged:
        raise typer.Exit(ODD)


def _twins(against: str | None) -> Callable[[str], str]:
    """A picture -> its template, or "". A folder is listed once, as it may be large.

    What comes back raises BadUsage if the folder has none of this name, or several. Raises BadUsage for stdin.
    """
    from nicodec.cli import explored
    from nicodec.cli.plan import BadUsage
    from nicodec.storage.files import shown

    if against is None:
        return lambda source: ""
    if against == "-":  # each process would wait for it
        raise BadUsage("--against: a template is a file or a folder, not -")
    place = path_of(against)
    if not store_of(place).is_folder(place):
        return lambda source: place
    named: dict[str, list[str]] = {}
    for path, _ in store_of(place).found(place, explored.is_source):
        if tree.is_closed(path):
            store_of(path).start(path)  # a folder that cannot be listed says why
        named.setdefault(_stem(path), []).append(path)

    def twin(source: str) -> str:
        fits = named.get(_stem(source), [])
        if len(fits) != 1:
            raise BadUsage(f"{shown(source)}: {len(fits) or 'no'} files named {shown(_stem(source))} in {shown(place)}")
        return fits[0]

    return twin


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _promise(scale: Scale, wanted: float) -> None:
    """Says so if good pictures are too few for what was asked."""
    if wanted < scale.least:
        say(
            f"{len(scale.scores)} good pictures cannot promise {100 * wanted:.3g} % false alarms, only"
            f" {100 * scale.least:.3g} %; the threshold is the largest of their scores"
        )


def _note(normal: Normal, scale: Scale, wanted: float | None, against: str | None) -> None:
    _promise(scale, wanted or normal.false_alarms)
    if against and not normal.templates:
        say("the threshold is that of good pictures alone; learn --against sets one for pairs, which is lower")


def _line(source: str, finding: Any, threshold: float) -> str:
    from nicodec.cli.report import label

    said = f"{label(source, 'stdin')}: score {finding.score:.2f}"
    boxes = finding.boxes(threshold)
    if boxes:
        x, y, width, height, _ = boxes[0]
        said += f", odd: {width}x{height} pixels at {x},{y}" + f" and {len(boxes) - 1} more" * (len(boxes) > 1)
    return said


group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")
group.command(cls=Command)(learn)
group.command(cls=Command)(check)
