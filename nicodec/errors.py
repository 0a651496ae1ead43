"""Every error that nicodec raises on purpose; the last stop of all imports.

Anything wrong with an input, a file or a model ends here, as one kind of `NicError`.
"""


class NicError(Exception):
    """Base of all errors that nicodec raises on purpose. Its text is one line for a person."""

    exit_code = 3


class BadImage(NicError):
    """The picture to encode cannot be read, or is not one that can be coded."""


class BadFile(NicError):
    """The bytes are not a whole, well-formed .nic file."""


class ChecksumMismatch(BadFile):
    """The bytes parse, but what they decode to is not what was encoded."""


class LimitExceeded(NicError):
    """A size in the input passes a safety limit."""


class TargetMissed(NicError):
    """No quality gives a file as small, or a picture as good, as was asked for."""


class UnsupportedVersion(NicError):
    """The file is of a format version, or uses a feature, that this release cannot decode."""

    exit_code = 4


class ModelNotFound(NicError):
    """No installed or given model has the name or the hash asked for."""

    exit_code = 4


class BadModel(NicError):
    """The model file is damaged, or not a nicodec model."""


class MissingExtra(NicError):
    """An optional dependency is needed; the message names the extra to install."""

    exit_code = 4
