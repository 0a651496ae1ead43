"""The names that users import.

The front door, before every other module. It loads nothing heavy: a module that needs NumPy, Pillow or ONNX Runtime
is loaded when one of its names is first used.
"""

import os
import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING

from nicodec.errors import (
    BadFile,
    BadImage,
    BadModel,
    ChecksumMismatch,
    LimitExceeded,
    MissingExtra,
    ModelNotFound,
    NicError,
    TargetMissed,
    UnsupportedVersion,
)

if TYPE_CHECKING:
    from nicodec.api import Info, decode, encode, info
    from nicodec.choice import Choice
    from nicodec.codec import Codec
    from nicodec.pillow import open

__version__ = "0.1.0"

__all__ = [
    "BadFile",
    "BadImage",
    "BadModel",
    "ChecksumMismatch",
    "Choice",
    "Codec",
    "Info",
    "LimitExceeded",
    "MissingExtra",
    "ModelNotFound",
    "NicError",
    "TargetMissed",
    "UnsupportedVersion",
    "__version__",
    "decode",
    "encode",
    "info",
    "open",
]

_MODULE_OF = {
    **dict.fromkeys(("Info", "decode", "encode", "info"), "api"),
    "Choice": "choice",
    "Codec": "codec",
    "open": "pillow",
}


if not TYPE_CHECKING:  # it would make a type checker accept every name

    def __getattr__(name: str) -> object:
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'nicodec' has no attribute {name!r}")
        value = getattr(import_module(f"nicodec.{_MODULE_OF[name]}"), name)
        globals()[name] = value  # so that Python does not ask here again
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


# Without this variable at its import, ONNX Runtime reports to its maker, and keeps a file in the user's home.
_TELEMETRY = "ORT_DISABLE_TELEMETRY"
if "onnxruntime" in sys.modules and _TELEMETRY not in os.environ:
    warnings.warn(
        f"onnxruntime was imported before nicodec, and may report to its maker; set {_TELEMETRY}=1 in the"
        " environment, or import nicodec first",
        stacklevel=2,
    )
os.environ.setdefault(_TELEMETRY, "1")
