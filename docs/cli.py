"""Writes docs/CLI.md from the program itself: `make docs`. A test holds the file against it."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any

import typer.main

from nicodec.cli.app import app

HEAD = """# The command line

    nicodec [--version] [--install-completion] COMMAND ...

Results go to stdout, everything else to stderr. Where the result is a file, as of `encode` and `decode`, the line about
it is a note on stderr; for programs there is `--json`, on stdout. Exit codes: 0 fine, 1 the pipe of stdout was closed,
2 usage, 3 bad input, 4 unsupported by this installation, 5 some of many files failed, 130 stopped by Ctrl-C (`train`
ends with 0 where it then writes the best model so far). A file is written under a temporary name and renamed when it is
whole; nothing is overwritten without `-f`. Every command takes `-h`.

This page is made from the program: `make docs`.
"""


def option(parameter: Any) -> str:
    """One row of the table."""
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    takes = "" if parameter.is_flag else f" {parameter.metavar or 'VALUE'}".replace("|", r"\|")
    said = parameter.show_default
    default = said if isinstance(said, str) else parameter.default if said else None
    text = " ".join(parameter.help.split())
    return f"| {names}{takes} | {text}{f' Default: {default}.' if default not in (None, False, ()) else ''} |"


def commands(group: Any, start: str = "") -> Iterator[tuple[str, Any]]:
    """All commands with their names, those of groups too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{start}{name} ")
        else:
            yield start + name, command


def page() -> str:
    program: Any = typer.main.get_command(app)
    parts = [HEAD, f"{program.epilog}\n"]
    for name, command in commands(program):
        said, _, examples = command.help.partition("[dim]")
        text = "\n\n".join(fill(paragraph, 120) for paragraph in said.strip().split("\n\n"))
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = [p.metavar + "..." * (p.nargs == -1 and "..." not in p.metavar) for p in arguments]
        usage = [word if p.required else f"[{word}]" for word, p in zip(usage, arguments, strict=True)]
        parts.append(f"## nicodec {name}\n\n    nicodec {' '.join([name, '[OPTIONS]', *usage])}\n\n{text}\n")
        if examples:
            lines = examples.replace("[/dim]", "").strip("\n").splitlines()
            parts.append("\n".join(f"    {line.strip()}" for line in lines if line.strip()) + "\n")
        rows = [f"| {p.metavar} | {' '.join(p.help.split())} |" for p in arguments]
        rows += [option(p) for p in command.params if p.param_type_name == "option" and p.name != "help"]
        parts.append("\n".join(["| | |", "|---|---|", *rows]) + "\n")
    return re.sub(r"[ \t]+\n", "\n", "\n".join(parts))


if __name__ == "__main__":
    Path(__file__).with_name("CLI.md").write_text(page(), encoding="utf-8")
