"""A model of gray pictures: it does what the colour model did to them, with less, and knows no colour."""

# ruff: noqa: E402

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import independent_decoder
import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models
import tiny_training
from tiny_models import TINY
from tiny_training import picture

import nicodec
import nicodec.train
from nicodec.bitstream import container
from nicodec.bitstream.container import Kind
from nicodec.coding import quantize
from nicodec.errors import BadImage, NicError
from nicodec.model.checkpoint import Checkpoint, load
from nicodec.model.config import ModelConfig
from nicodec.nn.model import Model
from nicodec.nn.thaw import model_of
from nicodec.picture import Picture
from nicodec.train import gray, loop, options, plan, thin
from nicodec.train.data import Patches, luma
from nicodec.train.trainer import Trainer

Run = Callable[..., tuple[int, bytes, str]]

GRAY = replace(TINY, colours=1)
# Wide enough for an eighth of the deep channels to be 16 of them.
WIDE = replace(TINY, latent=168, linear=8)


def in_gray(seed: int, height: int = 150, width: int = 170) -> Any:
    return np.ascontiguousarray(picture(seed, height, width)[:, :, :1])


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with tiny_training.one_thread():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gray pictures, one of them in three equal channels."""
    made = tmp_path_factory.mktemp("gray")
    for i in range(4):
        Image.fromarray(in_gray(i)[:, :, 0]).convert("RGB" if i == 2 else "L").save(made / f"{i}.png")
    return made


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training.pictures(tmp_path_factory.mktemp("coloured"))


@pytest.fixture(scope="module")
def patches(folder: Path) -> Patches:
    return tiny_training.patches(folder, colour="auto")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return tiny_models.write(tiny_models.random(GRAY), tmp_path_factory.mktemp("model") / "gray.nicmodel")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A model of three colours."""
    return tiny_models.write(tiny_models.random(TINY), tmp_path_factory.mktemp("start") / "start.nicmodel")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_second_decoder_agrees_on_gray_models(made: Checkpoint, channels: int, dtype: Any) -> None:
    """A gray picture stays one, of one channel or of three equal ones, and so do its parts."""
    codec = nicodec.Codec(made, threads=1)
    pixels = in_gray(9, 97, 131).repeat(channels, 2).astype(dtype) * (257 if dtype == np.uint16 else 1)
    data = codec.encode(Picture(pixels), quality=60)
    theirs = independent_decoder.decode(bytes(data), independent_decoder.Model(made.path.read_bytes()))
    ours = codec.decode(data, dtype=dtype)
    assert theirs.pixels.shape == pixels.shape
    assert np.abs(ours.reshape(pixels.shape).astype(int) - theirs.pixels.astype(int)).max() <= (
        64 if dtype == np.uint16 else 1
    )
    assert codec.decode(data).mode == ("L" if channels == 1 else "RGB")
    part = codec.decode(data, region=(40, 20, 50, 60), dtype=dtype)
    assert np.abs(part.astype(int) - ours[20:80, 40:90].astype(int)).max() <= (64 if dtype == np.uint16 else 1)
    assert codec.decode(data, scale=1 / 8).size == (17, 13)


def test_three_equal_channels_are_coded_as_one(made: Checkpoint) -> None:
    codec, pixels = nicodec.Codec(made, threads=1), in_gray(9, 128, 192)
    one, three = (codec.encode(Picture(pixels.repeat(n, 2)), quality=60) for n in (1, 3))
    assert np.array_equal(
        codec.decode(one, dtype=np.uint8)[..., None].repeat(3, 2), codec.decode(three, dtype=np.uint8)
    )


def test_effort_and_corrections_serve_gray_models(made: Checkpoint) -> None:
    codec, pixels = nicodec.Codec(made, threads=1), in_gray(3, 128, 192)
    plain = codec.encode(Picture(pixels), quality=50, lossless=False)
    refined = codec.encode(Picture(pixels.repeat(3, 2)), quality=50, effort=2, lossless=False)
    kinds = [chunk.kind for chunk in container.unpack(refined).chunks]
    assert Kind.CORRECTION in kinds
    costs = [quantize.cost(5000, len(d), codec.psnr(Picture(pixels.repeat(c, 2)), d), pixels.size)
             for c, d in ((1, plain), (3, refined))]  # fmt: skip
    assert costs[1] < costs[0]
    theirs = independent_decoder.decode(bytes(refined), independent_decoder.Model(made.path.read_bytes()))
    assert np.abs(codec.decode(refined, dtype=np.uint8).astype(int) - theirs.pixels.astype(int)).max() <= 1


def test_a_picture_in_colour_is_refused(made: Checkpoint, run: Run, tmp_path: Path) -> None:
    """Not where alpha is 0: nobody sees that. Without loss no model is needed."""
    codec, pixels = nicodec.Codec(made, threads=1), in_gray(4, 80, 80).repeat(3, 2)
    pixels[70, 70, 1] += 1
    with pytest.raises(BadImage, match="the picture is in colour, and the model knows gray pictures alone"):
        codec.encode(Picture(pixels))
    alpha = np.full((80, 80), 255, np.uint8)
    alpha[70, 70] = 0
    assert codec.decode(codec.encode(Picture(pixels, alpha))).mode == "RGBA"
    assert np.array_equal(codec.decode(codec.encode(Picture(pixels), lossless=True), dtype=np.uint8), pixels)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    code, out, err = run("encode", tmp_path / "a.png", tmp_path / "a.nic", "-m", made.path)
    assert (code, out) == (3, b"")
    assert "a.png" in err
    assert "in colour" in err
    assert not (tmp_path / "a.nic").exists()
    assert b"gray alone" in run("models", "show", made.path)[1]
    assert b"gray alone" not in run("models", "show", "photo")[1]


def test_another_model_takes_what_a_gray_one_refuses(made: Checkpoint, start: Checkpoint) -> None:
    choice = nicodec.Choice(nicodec.Codec(made, threads=1), nicodec.Codec(start, threads=1))
    assert choice.encode(picture(1, 80, 80)).model_id == start.id.hex()


def test_a_gray_start_does_to_a_plane_what_the_colour_model_does_to_three(
    start: Checkpoint, monkeypatch: pytest.MonkeyPatch, patches: Patches
) -> None:
    """With every channel, exactly. Without those that see no luma, it has fewer."""
    colour, x, q = model_of(start), patches.squares(1).float() / 255 - 0.5, torch.tensor([5000])
    monkeypatch.setattr(gray, "LUMA", 0)
    whole = gray.gray(colour, patches)
    with torch.no_grad():
        theirs, ours = colour(x.expand(-1, -1, -1, 3), q), whole(x, q)
    assert torch.equal(ours.r, theirs.r)
    assert float((ours.pixels[..., 0] - theirs.pixels.mean(-1)).abs().max()) < 1e-5
    shortcut = colour.g_a.shortcut.weight
    shortcut.data[-3] -= shortcut.data[-3].reshape(-1, 3).mean(1).repeat_interleave(3)
    monkeypatch.undo()
    assert colour.config.latent - 1 == len(gray._kept(shortcut, colour.config))


def test_a_gray_stage_that_repairs_adds_the_mean_of_what_that_of_colours_adds(patches: Patches) -> None:
    colour, x = tiny_models.random(replace(TINY, repair=3)), 0.2 * (patches.squares(1).float() / 255 - 0.5)
    with torch.no_grad():
        for p in colour.g_a.repair.layers[-1].parameters():
            p.mul_(0.1)  # nothing is cut off
        theirs = colour.g_a.repair(x.expand(-1, -1, -1, 3)).mean(-1, keepdim=True)
        ours = gray.gray(colour, patches).g_a.repair(x)
    assert float((theirs - x).abs().mean()) > 1e-3
    assert float((ours - theirs).abs().max()) < 1e-5


def silent(config: ModelConfig, channels: list[int]) -> Model:
    """A network in which these deep channels, and these places inside of the blocks beside them, are always zero."""
    model = tiny_models.random(config)
    layers = [model.g_a.head, model.g_a.shortcut, model.context.mean0, model.context.mean1]
    for block in (*model.g_a.latent_blocks, *model.g_s.latent_blocks):
        layers += [block.mix_in, block.mix_out, block.project, block.depthwise]
        for half in block.expand.weight.data.chunk(2) + block.expand.bias.data.chunk(2):
            half[channels] = 0
    for layer in layers:
        layer.weight.data[channels] = layer.bias.data[channels] = 0
    model.g_s.shortcut.weight.data[:, channels] = 0
    return model


def test_channels_that_say_nothing_are_left_out_and_the_network_stays(patches: Patches) -> None:
    """Also the phases of the others, though the even ones that go are the first and the odd ones the last."""
    gone = [*range(0, 16, 2), *range(WIDE.deep - 15, WIDE.deep, 2)]
    model = silent(replace(WIDE, colours=1), gone)
    thinner = thin.thin(model, 144, patches.squares(2))
    even, odd = (sorted(set(range(first, WIDE.deep, 2)) - set(gone)) for first in range(2))
    kept = [*np.stack([even, odd], axis=1).flatten(), *range(WIDE.deep, WIDE.latent)]
    assert (thinner.config.deep, thinner.config.linear) == (144, 8)
    x = patches.squares(3)[2:].float() / 255 - 0.5
    with torch.no_grad():
        for q in (0, 7000):
            theirs, ours = model(x, torch.tensor([q])), thinner(x, torch.tensor([q]))
            # A float near one half may be rounded otherwise, and a symbol that is so moves the pixels around it.
            assert float((theirs.r[..., kept] == ours.r).float().mean()) > 0.99
            assert float((theirs.pixels - ours.pixels).abs().median()) < 1e-3


def test_an_eighth_of_the_deep_channels_goes(patches: Patches, tmp_path: Path) -> None:
    colour = tiny_models.random(WIDE)
    made = gray.gray(colour, patches)
    assert (made.config.colours, made.config.deep) == (1, 144)
    start = tiny_models.write(colour, tmp_path / "wide.nicmodel")
    assert gray.config_of(start) == made.config
    assert gray.network(WIDE, start, patches) == made.config
    assert gray.network(made.config, None, patches) == made.config


def test_patches_in_gray_have_one_sample_a_pixel(patches: Patches, coloured: Path) -> None:
    """Drawings too; and pictures in colour become gray where that is wished for."""
    assert (patches.colours, patches.coloured) == (1, 0)
    for data in (patches, Patches([coloured], tiny_training.CPU, 0, colour="gray", drawn=1.0)):
        assert data.batch(0, 3, 64)[0].shape == (3, 64, 64, 1)
        assert data.squares(2).shape[-1] == data.drawings(2).shape[-1] == 1
        assert {p.shape[2] for p in [*data.pictures(2), *data.validation]} == {1}
        assert data.pca_patches(10).shape == (10, 256)
    assert data.coloured == 4
    mixed = Patches([coloured], tiny_training.CPU, 0, colour="auto")
    assert (mixed.colours, mixed.validation[0].shape[2]) == (3, 3)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_patches_in_gray_are_the_luma_of_those_in_colour(folder: Path, share: float) -> None:
    """They are gathered without two of their three equal samples."""
    of_gray, of_colour = (
        Patches([folder], tiny_training.CPU, 0, colour=colour, drawn=share, gray=0.5, augment=0.5, margins=True)
        for colour in ("auto", "rgb")
    )
    assert (of_gray.colours, of_colour.colours) == (1, 3)
    mine, its = (data.batch(3, 20, 128) for data in (of_gray, of_colour))
    assert torch.equal(mine[0], luma(its[0])[..., :1])
    assert all(torch.equal(a, b) for a, b in zip(mine[1:], its[1:], strict=True))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Trains for two steps."""
    for name in ("COUNTED", "COUNTED_Z", "FITTED"):
        monkeypatch.setattr(plan, name, 2)
    monkeypatch.setattr(options, "Options", functools.partial(options.Options, model=TINY))
    given: dict[str, Any] = {"steps": 2, "batch": 1, "patch": 64, "threads": 1, "measure": "none", "force": True}
    return lambda images, out, **more: nicodec.train.train(images, out, **given | more)


@pytest.fixture
def begun(quick: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., ModelConfig]:
    """Begins to train, and says what network."""
    networks: list[ModelConfig] = []

    def begin(trainer: Trainer, _: Path) -> None:
        networks.append(trainer.model.config)
        raise NicError("far enough")

    def begun(images: Path, **more: Any) -> ModelConfig:
        monkeypatch.setattr(loop, "begin", begin)
        with pytest.raises(NicError, match="far enough"):
            quick(images, tmp_path / "my.nicmodel", **more)
        return networks[-1]

    return begun


def test_a_gray_folder_makes_a_gray_model(
    folder: Path,
    start: Checkpoint,
    quick: Callable[..., Path],
    begun: Callable[..., ModelConfig],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its report is on gray pictures, and a run that goes on stays gray, as does one that starts from a gray model."""
    made = load(quick(folder, tmp_path / "my.nicmodel", start=str(start.path), measure="quick"))
    assert made.config == gray.config_of(start)
    assert "for gray pictures alone; --colour rgb makes one for all" in capsys.readouterr().err
    for path in (tmp_path / "my.run" / "held-out").iterdir():
        with Image.open(path) as picture:
            assert picture.mode == "L"
    codec = nicodec.Codec(made, threads=1)
    assert codec.decode(codec.encode(Picture(in_gray(8)), quality=50)).mode == "L"
    assert begun(folder, resume=True, force=False) == made.config
    assert begun(folder, start=str(made.path)) == made.config
    said = capsys.readouterr().err
    assert said.count("for gray pictures alone.") == 2  # neither of these can be made one for all
    assert "--colour rgb" not in said


def test_a_picture_in_colour_among_many_gray_ones_is_told_of(
    folder: Path, coloured: Path, begun: Callable[..., ModelConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(10):
        Image.fromarray(in_gray(i)[..., 0]).save(tmp_path / f"{i}.png")
        Image.fromarray(in_gray(20 + i)[..., 0]).save(tmp_path / f"{20 + i}.png")
    (tmp_path / "one.png").write_bytes((coloured / "0.png").read_bytes())
    told = "1 of the pictures in colour (one.png), so the model is one of colour pictures; --colour gray"
    assert begun(tmp_path).colours == 3
    assert told in capsys.readouterr().err
    assert begun(tmp_path, colour="rgb").colours == 3
    assert begun(coloured).colours == 3
    assert "of the pictures in colour" not in capsys.readouterr().err


def test_an_encoder_that_stays_does_not_become_gray(
    folder: Path,
    start: Checkpoint,
    made: Checkpoint,
    begun: Callable[..., ModelConfig],
    quick: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Its latents would not be those of the start."""
    assert begun(folder, start=str(start.path), freeze="g_a") == start.config
    assert begun(folder, start=str(made.path), freeze="g_a") == made.config
    assert begun(folder, start="none", freeze="g_a").colours == 1
    with pytest.raises(options.BadOption, match="--colour gray would change the encoder, which --freeze keeps"):
        quick(folder, tmp_path / "my.nicmodel", start=str(start.path), freeze="g_a", colour="gray")


@pytest.mark.parametrize("begin", ["none", "start"])
def test_colour_is_what_is_asked_for(
    folder: Path, coloured: Path, start: Checkpoint, begun: Callable[..., ModelConfig], begin: str
) -> None:
    begin = begin if begin == "none" else str(start.path)
    assert begun(folder, start=begin).colours == 1
    assert begun(folder, start=begin, colour="rgb").colours == 3
    assert begun(coloured, start=begin).colours == 3
    assert begun(coloured, start=begin, colour="gray").colours == 1


def test_what_does_not_go_together_is_said(
    folder: Path, coloured: Path, made: Checkpoint, quick: Callable[..., Path], tmp_path: Path
) -> None:
    out, begin = tmp_path / "my.nicmodel", str(made.path)
    with pytest.raises(BadImage, match=r"^4 pictures are in colour, and the model to start from knows gray ones alone"):
        quick(coloured, out, start=begin)
    with pytest.raises(options.BadOption, match="--colour rgb does not go with a start from a model of gray pictures"):
        quick(folder, out, start=begin, colour="rgb")
    with pytest.raises(options.BadOption, match="--colour is one of auto, gray, rgb, not blue"):
        quick(folder, out, colour="blue")
    assert not out.exists()
