"""The config of a model, typed, and checked when the model is loaded.

Under `checkpoint`; the runtime and the trainer read the same config.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from nicodec.errors import BadModel

# More channels, and more blocks in a row, than any network that is trained.
MAX_WIDTH, MAX_BLOCKS = 2**14, 64
# The planes of a model whose file states no number of them.
COLOURS = 3
# How the deep branch of g_s goes up; and how far each way sees at most, in positions of the latent, from /16 to pixels.
SHUFFLE = "shuffle"
UPSAMPLES = {SHUFFLE: 0, "nearest": 1, "bilinear": 3, "bed-of-nails": 1, "transposed": 2, "transposed-3": 2}
# The transforms: a deep and a linear branch side by side, or the linear one alone.
BOTH, LINEAR = TRANSFORMS = ("deep+linear", "linear")
# What is stated only if it is something else, and counted in the id only then; `repair` never is. So earlier files and
# ids stay as they are.
USUAL = {"colours": COLOURS, "upsample": SHUFFLE, "transform": BOTH, "repair": 0}
# The channels between the layers that repair pixels before g_a.
REPAIRING = 48
# Of a network without a deep branch: it has no blocks and no channels at /8.
_EMPTY = {"width": 1, "blocks_a": 0, "blocks_s": 0, "latent_blocks_a": 0, "latent_blocks_s": 0, "repair": 0}


@dataclass(frozen=True)
class ModelConfig:
    """Widths of the networks, the same for training, export and the manifest.

    latent, z: channels of the latent and of the hyper latent. width: channels of g_a and g_s at /8. hyper, context:
    channels of the hyper networks and of the context. blocks_a, blocks_s: blocks at /8 in g_a and g_s.
    latent_blocks_a, latent_blocks_s, context_blocks: blocks at /16. linear: the last channels of the latent, which
    only the linear shortcuts make and read, and which have no means. They carry rare content, such as thin lines.
    colours: planes of the pictures that it knows, 3, or 1 for gray alone. upsample: one of UPSAMPLES. transform: one of
    TRANSFORMS; "linear" has no deep branch, and then `linear` counts the channels that have no means. repair: layers at
    /2 that repair pixels before g_a, of REPAIRING channels between them; 0 without this stage.
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
    upsample: str = SHUFFLE
    transform: str = BOTH
    repair: int = 0

    @classmethod
    def of(cls, saved: object, where: str) -> ModelConfig:
        """The config in a file, checked. where: names the file in errors. Raises BadModel."""
        names = cls.__dataclass_fields__.keys()
        if not isinstance(saved, Mapping) or {*USUAL, *saved} != set(names):
            raise BadModel(f"{where}: the config of the model needs {', '.join(names)} and nothing else")
        if type(saved.get("colours", COLOURS)) is not int or saved.get("colours", COLOURS) not in (1, COLOURS):
            raise BadModel(f"{where}: the config of the model needs 1 or {COLOURS} colours")
        for name, known in (("upsample", tuple(UPSAMPLES)), ("transform", TRANSFORMS)):
            if name in saved and saved[name] not in known:
                raise BadModel(f"{where}: the config of the model needs {name}, one of {', '.join(known)}")
        numbers = {name: value for name, value in saved.items() if name not in ("upsample", "transform")}
        least = {name: 0 if "blocks" in name or name in ("linear", "repair") else 1 for name in numbers}
        most = {name: MAX_BLOCKS if "blocks" in name or name == "repair" else MAX_WIDTH for name in numbers}
        if type(saved["latent"]) is int:
            most["linear"] = saved["latent"] - 1
        for name, value in numbers.items():
            if type(value) is not int or not least[name] <= value <= most[name]:
                raise BadModel(f"{where}: the config of the model needs {name}, from {least[name]} to {most[name]}")
        config = cls(**saved)
        if config.transform == LINEAR and config != config.without_deep():
            raise BadModel(f"{where}: the config of the model needs no deep branch beside the transform {LINEAR}")
        return config

    def without_deep(self) -> ModelConfig:
        """The same latent and entropy model around the linear transform alone."""
        return replace(self, transform=LINEAR, upsample=SHUFFLE, **_EMPTY)

    def stated(self) -> dict[str, int | str]:
        """As a file states it, and as the id counts it: what is as usual is left out."""
        return {name: value for name, value in asdict(self).items() if USUAL.get(name) != value}

    @property
    def deep(self) -> int:
        """The number of deep channels of the latent, which come first."""
        return self.latent - self.linear

    @property
    def noise(self) -> int:
        """The channels of noise at /8 that layers which learnt from draws take: one for each sample of 8 x 8 pixels."""
        return 64 * self.colours

    @property
    def reach_a(self) -> int:
        """The positions of the latent that g_a sees around each.

        One for a block at /16, a half for a block at /8, an eighth for a layer at /2.
        """
        return self.latent_blocks_a + -(-(4 * self.blocks_a + self.repair) // 8)

    @property
    def reach_s(self) -> int:
        """The positions of the latent that g_s sees around each."""
        return self.latent_blocks_s + -(-self.blocks_s // 2) + UPSAMPLES[self.upsample]

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
