"""The program: its commands, and the exit code of each error.

First in every call from a shell; `encode`, `decode` and the other commands come next.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from importlib import import_module
from typing import Annotated, NoReturn

import typer

from nicodec import __version__
from nicodec.cli.command import STOPPED, Command
from nicodec.errors import NicError, one_line
from nicodec.progress import say

# The module and the function of each command, in the order of the help. A command that is called is loaded alone.
COMMANDS = {
    "encode": ("encode", "encode"),
    "decode": ("decode", "decode"),
    "restore": ("restore", "restore"),
    "page": ("page", "page"),
    "open": ("page", "open_"),
    "compare": ("compare", "compare"),
    "info": ("info", "info"),
    "verify": ("verify", "verify"),
    "cost": ("cost", "cost"),
    "index": ("index", "index"),
    "similar": ("similar", "similar"),
    "duplicates": ("duplicates", "duplicates"),
    "map": ("map", "map"),
    "interpolate": ("interpolate", "interpolate"),
    "models": ("models", "models"),
    "bench": ("bench", "bench"),
    "train": ("train", "train"),
    "anomaly": ("anomaly", "group"),
}


# The exit code where the reader of stdout has gone; and the errors of a stdout that takes no more.
CLOSED = 1
NO_ROOM = (errno.EPIPE, errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)

EPILOG = (
    "Environment: NICODEC_MODELS names folders of models, separated as in PATH, in place of the one in the data"
    " folder of the user; nicodec models add writes to the first. NICODEC_MAX_PIXELS is the"
    " most pixels of a picture; it takes the place of 2^27. NICODEC_BACKEND is the backend of commands that are given"
    " none."
)


def program(*names: str) -> typer.Typer:
    """The program with these commands of `COMMANDS`. typer takes a millisecond for each."""
    app = typer.Typer(
        name="nicodec",
        help="A neural image codec: photographs in far fewer bytes than JPEG, on an ordinary CPU, offline.",
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name in names:
        module, function = COMMANDS[name]
        found = getattr(import_module(f"nicodec.cli.{module}"), function)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name, cls=Command)(found)
    return app


def __getattr__(name: str) -> typer.Typer:
    """`app`: the program with all commands."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return program(*COMMANDS)


def main() -> None:
    """Entry point: runs the app and turns every NicError into one line on stderr and its exit code."""
    # SIGTERM ends the program as Ctrl-C does: half-written files are removed. If ignored, it stays so.
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    asked = [name for name in sys.argv[1:2] if name in COMMANDS]
    try:
        try:
            program(*(asked or COMMANDS))()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:
        if error.filename is not None or error.errno not in NO_ROOM:
            raise  # a fault of the program: other errors of the system are NicErrors by now
        _without_stdout(error)
    except NicError as error:
        say(f"nicodec: {error}")
        sys.exit(error.exit_code)
    except MemoryError:
        say("nicodec: not enough memory for this picture")
        sys.exit(NicError.exit_code)
    except KeyboardInterrupt:  # before the command began
        _stopped()
    except ImportError as error:
        # A signal during the import of a compiled library becomes an ImportError.
        if isinstance(error.__cause__, KeyboardInterrupt):
            _stopped()
        if isinstance(error.__cause__, SystemExit):
            raise error.__cause__ from None
        raise


def _stopped() -> NoReturn:
    say(STOPPED)
    sys.exit(128 + signal.SIGINT)


def _without_stdout(error: OSError) -> None:
    """Ends the program when stdout takes no more; what is left for it is not tried again at the exit."""
    assert sys.stdout is not None
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):  # as after `| head`
        sys.exit(CLOSED)
    say(f"nicodec: stdout: cannot be written: {one_line(error)}")
    sys.exit(NicError.exit_code)


def _version(show: bool) -> None:
    if show:
        print(f"nicodec {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""
