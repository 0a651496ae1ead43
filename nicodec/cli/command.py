"""A command of the program, as typer shows it.

Under `app` and `anomaly`.
"""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import typer
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

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            # typer checks values with pydantic, whose sentences are for programmers.
            errors = getattr(error.__cause__, "errors", None)
            if error.param is None or errors is None:
                raise
            value = errors()[0]["input"]
            hint = "; --lossless does this" * (value == "lossless" and any("--lossless" in p.opts for p in self.params))
            raise typer.BadParameter(f"{self._wanted(error.param)}, not {str(value)!r}{hint}", ctx=ctx) from None

    def _wanted(self, param: Any) -> str:
        """What a parameter has to be, as its annotation says it: -q must be a number from 0 to 100."""
        kind, info = get_args(get_type_hints(self.callback, include_extras=True)[param.name])
        kinds = get_args(kind) or (kind,)  # of Literal["a", "b"] | None: Literal["a", "b"], NoneType
        choices = [word for each in kinds for word in get_args(each) or (each,) if isinstance(word, str)]
        name = (param.metavar if param.param_type_name == "argument" else param.opts[0]).strip("[]")
        if choices:
            return f"{name} must be {' or '.join([', '.join(choices[:-1]), choices[-1]])}"
        words = f"{name} must be a {'whole ' * (int in kinds)}number"
        if info.max is not None:
            return f"{words} from {info.min} to {info.max}"
        return words if info.min is None else f"{words} of at least {info.min}"

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say(STOPPED)
            raise  # typer ends the program with 130
