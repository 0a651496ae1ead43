"""A model that restores: its encoder sends nothing of the damage back, and `restore` is encode and decode in one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import nicodec
from nicodec.bitstream import container
from nicodec.bitstream.container import Kind
from nicodec.coding import cleaning
from nicodec.errors import ModelNotFound, NicError
from nicodec.model import checkpoint
from nicodec.model.card import Card

FAST = checkpoint.load(checkpoint.find("photo-fast"))


@pytest.fixture(scope="module")
def codec() -> nicodec.Codec:
    """A faithful network that says of itself that it takes away noise."""
    return nicodec.Codec(replace(FAST, name="night", restores="noise:25"), threads=1)


@pytest.fixture(scope="module")
def restorer() -> nicodec.Codec:
    """The same, for the files of a model of the id 0102…."""
    return nicodec.Codec(replace(FAST, name="later", restores="noise:25", decodes="0102030405060708" * 4), threads=1)


def noise(height: int = 70, width: int = 90) -> np.ndarray:
    """What a faithful encoder would send as patches, or without loss."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def drawn() -> np.ndarray:
    """What a faithful encoder would send as flat cells, or as a drawing."""
    pixels = np.full((128, 128, 3), 255, np.uint8)
    pixels[30:50, 20:90] = (255, 0, 0)
    return pixels


@pytest.mark.parametrize("picture", [noise(), drawn()])
def test_nothing_of_the_source_is_sent_beside_the_latent(codec: nicodec.Codec, picture: np.ndarray) -> None:
    with pytest.warns(UserWarning, match="the picture is restored: night takes away noise:25"):
        data = codec.encode(picture, quality=100)
    assert {chunk.kind for chunk in container.unpack(data).chunks} == {Kind.Z, Kind.Y}
    assert not data.lossless
    assert not data.drawing
    assert data.worst_cell is None


def test_restoring_is_encoding_and_decoding(codec: nicodec.Codec, recwarn: pytest.WarningsRecorder) -> None:
    picture = noise()
    made = codec.restore(picture, dtype=np.uint8)
    assert not recwarn.list  # who calls it knows
    with pytest.warns(UserWarning, match="restored"):
        data = codec.encode(picture, quality=cleaning.QUALITY)
    assert np.array_equal(made, codec.decode(data, dtype=np.uint8))
    assert not np.array_equal(made, codec.restore(picture, dtype=np.uint8, quality=20))


def test_alpha_depth_and_metadata_come_through(codec: nicodec.Codec) -> None:
    image = Image.fromarray(np.dstack([noise(), np.full((70, 90), 120, np.uint8)]))
    image.info["dpi"] = (300, 300)
    made = codec.restore(image)
    assert made.mode == "RGBA"
    assert made.getchannel("A").getextrema() == (120, 120)
    assert made.info["dpi"] == pytest.approx((300, 300), rel=0.01)
    deep = noise().astype(np.uint16) * 257
    assert codec.restore(deep, dtype=np.uint16).dtype == np.uint16


@pytest.mark.parametrize("options", [{"target_psnr": 30}, {"effort": 2}, {"check": True}])
def test_what_would_compare_with_the_damaged_source_is_refused(codec: nicodec.Codec, options: dict[str, int]) -> None:
    with pytest.raises(NicError, match=f"night restores pictures.*leave out {next(iter(options))}"):
        codec.encode(noise(), **options)


def test_a_file_without_loss_and_a_size_may_be_asked_for(codec: nicodec.Codec) -> None:
    picture = noise()
    exact = codec.encode(picture, quality="lossless")
    assert np.array_equal(codec.decode(exact, dtype=np.uint8), picture)
    with pytest.warns(UserWarning, match="restored"):
        assert len(codec.encode(picture, target_bytes=4000)) <= 4000


def test_a_faithful_model_does_not_restore() -> None:
    with pytest.raises(NicError, match="photo-fast has not learnt to restore"):
        nicodec.Codec(FAST, threads=1).restore(noise())


def test_a_model_that_restores_is_not_one_of_several(codec: nicodec.Codec) -> None:
    with pytest.raises(NicError, match="night restores pictures"):
        nicodec.Choice(nicodec.Codec(FAST, threads=1), codec)


def test_a_file_of_the_other_model_comes_out_restored_without_what_holds_the_damage(restorer: nicodec.Codec) -> None:
    data = nicodec.Codec(FAST, threads=1).encode(noise(), quality=30, lossless=False)
    file = container.unpack(data)
    other = file._replace(header=replace(file.header, model=bytes.fromhex("0102030405060708")))
    kinds = (Kind.CORRECTION, Kind.PATCHES, Kind.FLATS)
    damaged = other.more([container.Chunk(kind, b"x") for kind in kinds])
    with pytest.warns(UserWarning, match="the picture is restored: later"):
        opened = cleaning.opened(restorer.checkpoint, damaged)
    assert opened.chunks == [chunk for chunk in other.chunks if chunk.kind not in kinds]
    assert cleaning.opened(restorer.checkpoint, file) is file  # its own
    with pytest.warns(UserWarning, match="the picture is restored: later"):
        restorer.decode(other)
    strange = file._replace(header=replace(file.header, model=bytes(range(8))))
    with pytest.raises(ModelNotFound, match="not with later"):
        restorer.decode(strange)


def test_a_file_of_samples_is_not_restored_and_that_is_said(restorer: nicodec.Codec) -> None:
    picture = noise()
    with pytest.warns(UserWarning, match="nothing is restored"):
        back = restorer.decode(nicodec.encode(picture, quality="lossless"), dtype=np.uint8)
    assert np.array_equal(back, picture)


def test_a_card_says_what_a_model_restores_and_no_nonsense() -> None:
    card = Card(restores="noise:25", decodes="ab" * 32)
    assert Card.of(card.texts()) == card
    assert Card.of({"restores": "a\nb", "decodes": "AB" * 32}) == Card()
    assert Card.of({"restores": "x" * 1000, "decodes": "ab"}).restores == "x" * 40
    assert Card().texts() == {}
