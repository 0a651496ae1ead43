"""A command of the program, as typer shows it.

Under `app` and `anomaly`.
"""

from __future__ import annotations

from typing import Any

import typer.core

from nicodec.progress import say

# What Ctrl-C is answered with, where no command has more to say.
STOPPED = "stopped"


class Command(typer.core.TyperCommand):
    """A command whose usage line shows its names as they are described, IN... [OUT], and whose text fits a terminal."""

    def __init__(self, *args: Any, help: str | None = None, **options: Any) -> None:
        # Rich keeps the line ends of the source, which a narrow terminal would break once more.
        paragraphs = (help or "").split("\n\n")
        flowing = (text if text.startswith("[dim]") else text.replace("\n", " ") for text in paragraphs)
        super().__init__(*args, help="\n\n".join(flowing), **options)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", *(p.metavar or "" for p in self.params if p.param_type_name == "argument")]

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say(STOPPED)
            raise  # typer ends the program with 130
