"""Layers that learnt from draws: they paint the natural picture, mixed with the faithful one, the same everywhere."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from tiny_models import with_natural

from nicodec.bitstream import container
from nicodec.bitstream.container import Chunk, Kind
from nicodec.bitstream.tiles import Box
from nicodec.codec import Codec
from nicodec.coding.natural import Draw
from nicodec.errors import BadModel
from nicodec.model import checkpoint, modelfile

Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def learnt(codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Codec:
    """The same layers as those of g_s, and noise beside them."""
    path = tmp_path_factory.mktemp("models") / "learnt.nicmodel"
    return Codec(with_natural(codec.checkpoint, path, 0.005), threads=1)


def plain(codec: Codec, data: bytes, **options: Any) -> Array:
    pixels: Array = codec.decode(data, dtype=np.uint16, **options).astype(int)
    return pixels


def test_layers_of_natural_pictures_leave_the_id_as_it_is(codec: Codec, learnt: Codec) -> None:
    assert learnt.checkpoint.has_natural
    assert not codec.checkpoint.has_natural
    assert learnt.checkpoint.identity == codec.checkpoint.identity
    assert learnt.checkpoint.sha256 != codec.checkpoint.sha256


def test_the_faithful_picture_stays_as_it_is(codec: Codec, learnt: Codec, file: bytes) -> None:
    assert np.array_equal(plain(learnt, file), plain(codec, file))
    assert np.array_equal(plain(learnt, file, scale=1 / 8, natural=1), plain(codec, file, scale=1 / 8))


def test_layers_that_learnt_nothing_and_hear_no_noise_paint_as_g_s_does(
    codec: Codec, file: bytes, tmp_path: Path
) -> None:
    deaf = Codec(with_natural(codec.checkpoint, tmp_path / "deaf.nicmodel", 0), threads=1)
    off = np.abs(plain(deaf, file, natural=1) - plain(codec, file, natural=1))
    assert off.max() <= 3  # of 65535: sums of floats in another order


def test_strength_mixes_the_faithful_and_the_drawn_picture(learnt: Codec, file: bytes) -> None:
    faithful, drawn = plain(learnt, file), plain(learnt, file, natural=1)
    assert np.abs(drawn - faithful).max() > 2000
    inside = (np.minimum(faithful, drawn) > 0) & (np.maximum(faithful, drawn) < 65535)
    for share in (0.25, 0.5):
        mixed = share * drawn + (1 - share) * faithful
        assert np.abs(plain(learnt, file, natural=share) - mixed)[inside].max() <= 2


def test_g_s_does_not_run_for_a_picture_that_is_all_natural(learnt: Codec, file: bytes) -> None:
    fresh = Codec(learnt.checkpoint, threads=1)
    fresh.decode(file, natural=1)
    opened = fresh.networks._sessions  # type: ignore[attr-defined]
    assert "g_s_natural" in opened
    assert "g_s" not in opened


def test_a_correction_is_not_for_the_drawn_picture(learnt: Codec, file: bytes) -> None:
    """It was fitted to the faithful one."""
    vector = Path(__file__).parents[1] / "vectors" / "c37e9372-correction" / "file.nic"
    sent = container.unpack(vector.read_bytes()).extra(Kind.CORRECTION)
    assert sent is not None
    header, chunks = container.unpack(file)
    corrected = container.pack(header, sorted([*chunks, Chunk(Kind.CORRECTION, sent)], key=lambda chunk: chunk.kind))
    assert not np.array_equal(plain(learnt, file), plain(learnt, corrected))
    assert np.array_equal(plain(learnt, file, natural=1), plain(learnt, corrected, natural=1))


def test_noise_of_a_seed_is_always_the_same_and_of_another_seed_another(
    codec: Codec, learnt: Codec, file: bytes
) -> None:
    first, other = plain(learnt, file, natural=1), plain(learnt, file, natural=1, seed=3)
    assert np.array_equal(first, plain(learnt, file, natural=1, seed=0))
    # Without noise the draws alone differ.
    assert np.abs(first - plain(codec, file, natural=1)).mean() > 200
    assert np.abs(first - other).mean() > 200


def test_a_region_with_noise_is_the_crop_of_the_whole(learnt: Codec, file: bytes) -> None:
    whole = plain(learnt, file, natural=0.7)
    for x, y, width, height in ((0, 0, 64, 64), (100, 70, 130, 90), (383, 255, 1, 1)):
        part = plain(learnt, file, natural=0.7, region=(x, y, width, height))
        assert np.abs(part - whole[y : y + height, x : x + width]).max() <= 257


def test_windows_and_threads_hear_the_same_noise(learnt: Codec) -> None:
    # Several windows and tiles, of a picture too large for one.
    pixels = np.random.default_rng(5).integers(90, 160, (192, 1600, 1), np.uint8).repeat(3, 2)
    data = learnt.encode(pixels, quality=10, lossless=False)
    whole = plain(learnt, data, natural=1)
    assert np.abs(whole - plain(Codec(learnt.checkpoint, threads=2), data, natural=1)).max() <= 257
    assert np.abs(whole[64:128, 700:900] - plain(learnt, data, natural=1, region=(700, 64, 200, 64))).max() <= 257


def test_noise_is_standard_normal_and_depends_on_file_seed_and_place_alone(codec: Codec) -> None:
    widths = codec.crew.alone.widths
    draw, whole = Draw(widths, 1, (1, 2), 2500, 192), Box(0, 0, 3, 4)
    noise = draw.grain(whole)
    assert noise.shape == (1, 192, 24, 32)
    assert noise.dtype == np.float32
    assert abs(noise.mean()) < 0.02
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert np.array_equal(draw.grain(Box(2, 1, 3, 2)), noise[:, :, 16:, 8:16])
    assert abs(np.corrcoef(noise[0, :, :8, :8].ravel(), noise[0, :, :8, 8:16].ravel())[0, 1]) < 0.1
    for key in ((1, 3), (0, 2)):
        assert abs(np.corrcoef(Draw(widths, 1, key, 2500, 192).grain(whole).ravel(), noise.ravel())[0, 1]) < 0.05


def test_keys_of_all_64_bits_make_draws_of_their_own(codec: Codec) -> None:
    """A trainer counts its pictures from far above what 53 bits hold."""
    widths, cell = codec.crew.alone.widths, Box(0, 0, 1, 1)
    first, second = (Draw(widths, 1, (0, 2**63 + k), 2500, 192).grain(cell) for k in (0, 1))
    assert not np.array_equal(first, second)


def test_noise_has_bytes_of_its_own(codec: Codec) -> None:
    """Not those of the draws of the same cell."""
    draw, cell = Draw(codec.crew.alone.widths, 1, (1, 2), 2500, 192), Box(0, 0, 1, 1)
    channels = codec.checkpoint.config.latent
    latent, noise = draw._bytes(cell, 0, channels, 4).ravel(), draw._bytes(cell, 1, 192, 8).ravel()
    assert (latent == noise[: latent.size]).mean() < 0.02
    # docs/NATURAL.md: block n has the counter (n + 1, 1, row, column), and its numbers are little-endian.
    raw = np.random.Philox(key=(1, 2), counter=[0, 1, 0, 0]).random_raw(192 * 64 // 8)
    assert noise.tobytes() == b"".join(int(word).to_bytes(8, "little") for word in raw)


def test_half_of_the_layers_is_a_bad_model(learnt: Codec, file: bytes) -> None:
    tensors = learnt.checkpoint.tensors
    graph = ("graph.g_s_natural", "graph.g_s_natural.weights")
    layers = [name for name in tensors if name.startswith("natural.")]
    kernel = tensors["natural.waves.weight"]
    for changed in (
        dict.fromkeys(graph),
        {graph[0]: None},
        {graph[1]: None},
        dict.fromkeys(layers),
        {"natural.waves.weight": None},
        {"natural.head.bias": None},
        {"natural.waves.weight": kernel[:, :9]},
        {"natural.waves.weight": kernel[:0]},
        {"natural.head.bias": tensors["natural.head.bias"][:-1]},
        {"natural.quality.scale": np.full_like(tensors["natural.quality.scale"], np.nan)},
        {graph[0]: tensors[graph[0]][:-9]},
        {graph[0]: tensors[graph[0]][:0]},
        {graph[0]: tensors["graph.g_s"]},
        {graph[1]: np.array([0xFF, 0xFE], np.uint8)},
    ):
        kept = {name: array for name, array in (tensors | changed).items() if array is not None}
        broken = Codec(replace(learnt.checkpoint, tensors=kept), threads=1)
        with pytest.raises(BadModel, match=r"learnt\.nicmodel: the (graph g_s_natural fails|model lacks)"):
            broken.decode(file, natural=1)


def test_a_model_for_pages_goes_without_the_layers(learnt: Codec) -> None:
    """Pages show the faithful picture."""
    made = modelfile.for_decoders(modelfile.read(learnt.checkpoint.path), "learnt")
    kept = checkpoint.of(made, Path("made.nicmodel"))
    assert kept.identity == learnt.checkpoint.identity
    assert not kept.has_natural


def test_another_backend_paints_the_same_natural_picture(learnt: Codec, file: bytes) -> None:
    pytest.importorskip("openvino")
    there = Codec(learnt.checkpoint, threads=1, backend="openvino")
    off = np.abs(plain(there, file, natural=1) - plain(learnt, file, natural=1))
    assert type(there.networks.session("g_s_natural")).__module__ == "nicodec.model.backends.openvino"  # type: ignore[attr-defined]
    assert off.max() <= 3 * 257
    assert 0 < off.mean() < 257
