"""The options that several commands share.

Beside `cli` and `tools`, which name them in their signatures.
"""

from typing import Annotated, Literal

import typer

Model = Annotated[str, typer.Option("-m", "--model", help="Name, hash or .nicmodel file.")]
ModelOfFile = Annotated[
    str | None,
    typer.Option("-m", "--model", help="Name, hash or .nicmodel file.", show_default="the file's own"),
]
Threads = Annotated[
    int | None, typer.Option("-j", "--threads", min=1, help="Threads to use.", show_default="all")
]
Engine = Annotated[
    Literal["local", "ray"],
    typer.Option(
        "--engine",
        help="Where to work: local, on this machine, or ray, on a Ray cluster (extra \\[ray]), that of"
        " RAY_ADDRESS or one begun here. Its machines have to see the files under the same names: a shared"
        " folder, or URLs.",
    ),
]
Force = Annotated[bool, typer.Option("-f", "--force", help="Overwrite an existing OUT.")]
Out = Annotated[
    str | None, typer.Option("-o", "--out", metavar="OUT", help="OUT, said as an option.", show_default=False)
]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", help="Leave files that have their OUT.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="A line for each of many files.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
