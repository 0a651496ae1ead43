"""The config of a model, typed, and checked when the model is loaded.

Under `checkpoint`; the runtime and the trainer read the same config.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from nicodec.errors import BadModel

# More channels, and more blocks in a row, than any network that is trained.
MAX_WIDTH, MAX_BLOCKS = 2**14, 64
# The planes of a model whose file states no number of them.
COLOURS = 3


@dataclass(frozen=True)
class ModelConfig:
    """Widths of the networks, the same for training, export and the manifest.

    latent, z: channels of the latent and of the hyper latent. width: channels of g_a and g_s at /8. hyper, context:
    channels of the hyper networks and of the context. blocks_a, blocks_s: blocks at /8 in g_a and g_s.
    latent_blocks_a, latent_blocks_s, context_blocks: blocks at /16. linear: the last channels of the latent, which
    only the linear shortcuts make and read, and which have no means. They carry rare content, such as thin lines.
    colours: planes of the pictures that it knows, 3, or 1 for gray alone.
    """

    latent: int
    width: int
    blocks_a: int
    blocks_s: int
    hyper: int
    z: int
    context: int
    context_blocks: int
    latent_blocks_a: int
    latent_blocks_s: int
    linear: int
    colours: int = COLOURS

    @classmethod
    def of(cls, saved: object, where: str) -> ModelConfig:
        """The config in a file, checked. where: names the file in errors. Raises BadModel."""
        names = cls.__dataclass_fields__.keys()
        if not isinstance(saved, Mapping) or {"colours", *saved} != set(names):
            raise BadModel(f"{where}: the config of the model needs {', '.join(names)} and nothing else")
        if type(saved.get("colours", COLOURS)) is not int or saved.get("colours", COLOURS) not in (1, COLOURS):
            raise BadModel(f"{where}: the config of the model needs 1 or {COLOURS} colours")
        least = {name: 0 if "blocks" in name or name == "linear" else 1 for name in names}
        most = {name: MAX_BLOCKS if "blocks" in name else MAX_WIDTH for name in names}
        if type(saved["latent"]) is int:
            most["linear"] = saved["latent"] - 1
        for name, value in saved.items():
            if type(value) is not int or not least[name] <= value <= most[name]:
                raise BadModel(f"{where}: the config of the model needs {name}, from {least[name]} to {most[name]}")
        return cls(**saved)

    def stated(self) -> dict[str, int]:
        """As a file states it, and as the id counts it: the colours only if they are not three."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("colours", COLOURS)}

    @property
    def deep(self) -> int:
        """The number of deep channels of the latent, which come first."""
        return self.latent - self.linear

    @property
    def reach_a(self) -> int:
        """The positions of the latent that g_a sees around each: one for a block at /16, a half for a block at /8."""
        return self.latent_blocks_a + -(-self.blocks_a // 2)

    @property
    def reach_s(self) -> int:
        """The positions of the latent that g_s sees around each."""
        return self.latent_blocks_s + -(-self.blocks_s // 2)

    @property
    def reach_mean(self) -> int:
        """The positions of the latent that the mean of the second phase sees around each."""
        return 1 + self.context_blocks


# The networks that can be trained by name. "full" makes the smallest files. "fast" needs a fifth of the products, and
# its files are about a tenth larger.
NETWORKS = {
    "full": ModelConfig(
        latent=768,
        width=128,
        blocks_a=12,
        blocks_s=4,
        hyper=96,
        z=64,
        context=192,
        context_blocks=1,
        latent_blocks_a=10,
        latent_blocks_s=4,
        linear=448,
    ),
    "fast": ModelConfig(
        latent=512,
        width=96,
        blocks_a=3,
        blocks_s=2,
        hyper=64,
        z=48,
        context=96,
        context_blocks=1,
        latent_blocks_a=0,
        latent_blocks_s=1,
        linear=272,
    ),
}
