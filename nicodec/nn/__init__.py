"""The networks in torch: the same weights as the runtime's, for training and for devices.

The room's door: `load` gives one of its modules, or says that torch is missing. Importing this loads no torch.
"""

from typing import Any

from nicodec import extras


def load(name: str, wish: str) -> Any:
    """A module of this package, such as "networks". wish: what needs it. Raises MissingExtra."""
    return extras.load(f"nicodec.nn.{name}", "train", wish)
