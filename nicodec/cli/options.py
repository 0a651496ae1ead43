"""The options that several commands share.

Under the commands, which name them in their signatures.
"""

import math
from typing import Annotated, Literal

import typer

from nicodec import parallel
from nicodec.errors import NicError
from nicodec.parallel.threads import MOST

NIC_FILES = ".nic files, folders, patterns, URLs as for decode; - is stdin."

Models = Annotated[
    list[str] | None,
    typer.Option(
        "-m",
        "--model",
        help="Name, id or .nicmodel file. May be repeated: each picture is encoded with every model, and the cheapest"
        " file is kept.",
        show_default="photo",
    ),
]
ModelOfFile = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        help="Name, id or .nicmodel file to try first. The model that a file names is found if it is released or"
        " installed, or lies beside the file or in one of the three folders above it.",
        show_default="the file's own",
    ),
]
Strip = Annotated[
    bool, typer.Option("--strip", help="Leave out colour profile, EXIF, XMP, IPTC, texts and print resolution.")
]
StripGps = Annotated[
    bool, typer.Option("--strip-gps", help="Leave out where the picture was taken: in EXIF, XMP, IPTC and texts.")
]
Threads = Annotated[
    int | None, typer.Option("-j", "--threads", min=1, max=MOST, help="Threads to use.", show_default="all")
]
# Those of `model.backends`, which is not imported here: --help needs no ONNX Runtime.
Backend = Annotated[
    Literal["cpu", "openvino", "coreml", "cuda", "directml", "migraphx", "tensorrt", "webgpu"] | None,
    typer.Option(
        "--backend",
        envvar="NICODEC_BACKEND",
        show_choices=False,
        help="What computes pixels: cpu; openvino (extra \\[openvino]); coreml, cuda, directml, migraphx, tensorrt or"
        " webgpu, which need another package. Each decodes the files of all others.",
        show_default="cpu",
    ),
]
Engine = Annotated[
    parallel.Name,
    typer.Option(
        "--engine",
        help="Where to work. local: on this machine. ray: on the Ray cluster of RAY_ADDRESS, or one begun here"
        " (extra \\[ray]); its machines have to see the files under the same names: a shared folder, or URLs.",
    ),
]
Force = Annotated[bool, typer.Option("-f", "--force", help="Overwrite an existing OUT.")]
Out = Annotated[str | None, typer.Option("-o", "--out", metavar="OUT", help="The same as OUT.", show_default=False)]
SkipExisting = Annotated[
    bool, typer.Option("--skip-existing", help="Leave files that have their OUT, whatever its date.")
]
Update = Annotated[bool, typer.Option("--update", help="Leave files whose OUT is as new or newer.")]
Preserve = Annotated[bool, typer.Option("--preserve", help="Give OUT the time and the permissions of IN.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="A line for each of many files, skipped ones too.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no notes: results and errors alone.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="Of pictures and .nic files, with all folders below it.")]
IndexFile = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--index",
        metavar="FILE",
        help="The index. It is made where it is missing, and brought up to date.",
        show_default=".nicodec-index.sqlite in FOLDER",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("-j", "--threads", min=1, max=MOST, help="Pictures to read at once.", show_default="all cores"),
]
Region = Annotated[
    str | None,
    typer.Option(metavar="X,Y,WIDTH,HEIGHT", help="Only this part, in pixels of the picture.", show_default="all"),
]


def number(value: float | None) -> float | None:
    """What an option gives, unless it is nan, which no range keeps out. Raises BadParameter."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is not a number")
    return value


def region_of(text: str) -> tuple[int, int, int, int]:
    """X,Y,WIDTH,HEIGHT as the option gives it. Raises BadParameter."""
    numbers = text.split(",")
    if len(numbers) != 4 or not all(n.strip().isascii() and n.strip().isdecimal() for n in numbers):
        raise typer.BadParameter(f"--region takes X,Y,WIDTH,HEIGHT in whole pixels, not {text!r}")
    x, y, width, height = (int(n) for n in numbers)
    return x, y, width, height


def suffixes_of(format: str | None) -> tuple[str, ...]:
    """The suffixes of a format, as `writer.suffixes`. Raises typer.BadParameter for one that cannot be written."""
    from nicodec.picture import writer  # not before: --help needs no Pillow

    try:
        return writer.suffixes(format)
    except NicError as error:
        raise typer.BadParameter(f"--format: {error}") from None
