"""The names that users import; the front door of the package, before every other module.

Importing nicodec loads nothing heavy: what needs numpy, Pillow or ONNX Runtime is fetched when it is first
named.
"""

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
    from nicodec.codec import Codec
    from nicodec.pillow import open

__version__ = "0.1.0"

__all__ = [
    "BadFile",
    "BadImage",
    "BadModel",
    "ChecksumMismatch",
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
    "Codec": "codec",
    "open": "pillow",
}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'nicodec' has no attribute {name!r}")
    value: object = getattr(import_module(f"nicodec.{_MODULE_OF[name]}"), name)
    globals()[name] = value  # from now on Python finds it without asking here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
