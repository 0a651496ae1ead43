"""The program: its commands, and the exit code of each error.

First in every call from a shell; `encode`, `decode` and the other commands come next.
"""

from __future__ import annotations

import signal
import sys
from typing import Annotated, Any

import typer
import typer.core

from nicodec import __version__
from nicodec.cli import (
    anomaly,
    bench,
    compare,
    cost,
    decode,
    duplicates,
    encode,
    index,
    info,
    models,
    page,
    restore,
    similar,
    train,
    verify,
)
from nicodec.cli import interpolate as interpolating
from nicodec.cli import map as mapping
from nicodec.errors import NicError
from nicodec.progress import say

app = typer.Typer(
    name="nicodec",
    help="A neural image codec: photographs in far fewer bytes than JPEG, on an ordinary CPU, offline.",
    epilog="Environment: NICODEC_MODELS names folders of models, separated as in PATH, in place of the one in the data"
    " folder of the user; nicodec models add writes to the first. NICODEC_MAX_PIXELS is the"
    " most pixels of a picture; it takes the place of 2^27. NICODEC_BACKEND is the backend of commands that are given"
    " none.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point: runs the app and turns every NicError into one line on stderr and its exit code."""
    # SIGTERM ends the program as Ctrl-C does: half-written files are removed. If ignored, it stays so.
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
    except NicError as error:
        say(f"nicodec: {error}")
        sys.exit(error.exit_code)
    except MemoryError:
        say("nicodec: not enough memory for this picture")
        sys.exit(NicError.exit_code)
    except ImportError as error:
        # A signal during the import of a compiled library becomes an ImportError.
        if isinstance(error.__cause__, KeyboardInterrupt):
            sys.exit(128 + signal.SIGINT)
        if isinstance(error.__cause__, SystemExit):
            raise error.__cause__ from None
        raise


def _version(show: bool) -> None:
    if show:
        print(f"nicodec {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


class Command(typer.core.TyperCommand):
    """A command whose usage line shows its names as they are described, IN... [OUT], and whose text fits a terminal."""

    def __init__(self, *args: Any, help: str | None = None, **options: Any) -> None:
        # Rich keeps the line ends of the source, which a narrow terminal would break once more.
        paragraphs = (help or "").split("\n\n")
        flowing = (text if text.startswith("[dim]") else text.replace("\n", " ") for text in paragraphs)
        super().__init__(*args, help="\n\n".join(flowing), **options)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", *(p.metavar or "" for p in self.params if p.param_type_name == "argument")]


for command in (
    encode.encode, decode.decode, restore.restore, page.page, page.open_, compare.compare, info.info, verify.verify,
    cost.cost, index.index, similar.similar, duplicates.duplicates, mapping.map, interpolating.interpolate,
    models.models, bench.bench, train.train,
):  # fmt: skip
    app.command(command.__name__.rstrip("_"), cls=Command)(command)

group = typer.Typer(help=anomaly.HELP, no_args_is_help=True, rich_markup_mode="rich")
group.command(cls=Command)(anomaly.learn)
group.command(cls=Command)(anomaly.check)
app.add_typer(group, name="anomaly")
