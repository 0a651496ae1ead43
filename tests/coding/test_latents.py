"""Latents as data: their bits are those of the file, their channels those of the decoder, piece by piece or whole."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import nicodec
from nicodec.bitstream import container
from nicodec.bitstream.entropy import Tables
from nicodec.codec import Codec
from nicodec.coding import latents, prior
from nicodec.errors import ChecksumMismatch, NicError
from nicodec.model.backends import OnnxNetworks


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec("photo-fast", threads=1)


def picture(height: int, width: int) -> np.ndarray:
    """Waves, and a corner of noise, whose symbols are large: some are escapes."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([128 + 60 * np.sin((x + 2 * y) / 20 + p) for p in range(3)], -1).round().astype(np.uint8)
    pixels[:64, :64] = np.random.default_rng(0).integers(0, 2, (64, 64, 3)) * 255
    return pixels


def encoded(codec: Codec, height: int, width: int, quality: float = 50) -> bytes:
    return codec.encode(picture(height, width), quality=quality, lossless=False)


@pytest.mark.parametrize("quality", [10, 50, 100])
def test_the_bits_of_all_symbols_are_those_of_their_chunks(codec: Codec, quality: float) -> None:
    data = encoded(codec, 150, 200, quality)
    found, chunks = codec.latents(data), nicodec.info(data).chunks
    z = sum(size for kind, size in chunks if kind == "Z")
    y = sum(size for kind, size in chunks if kind == "Y")
    # Each payload has a length of escapes, and whole words of four bytes.
    assert abs(found.z_bits.sum(dtype=float) / 8 - z) < 6
    assert abs(found.bits.sum(dtype=float) / 8 - y) < 6 + 0.001 * y
    assert found.bits.min() >= 0
    assert found.z_bits.min() >= 0


def test_escapes_count_in_full(codec: Codec) -> None:
    data = encoded(codec, 64, 64, 100)
    file_bits = 8 * sum(size for kind, size in nicodec.info(data).chunks if kind in ("Z", "Y"))
    found = codec.latents(data)
    index = prior.tables(codec.networks, found.z[None], 10000)[0, -len(found.linear) :]
    outside = (found.linear > codec.y_tables.high[index]) | (found.linear < codec.y_tables.low[index])
    assert outside.any()
    assert found.bits[-len(found.linear) :][outside].min() > 8
    assert float(found.bits.sum() + found.z_bits.sum()) == pytest.approx(file_bits, rel=0.002, abs=100)


def test_shapes_types_and_names(codec: Codec) -> None:
    found = codec.latents(encoded(codec, 70, 130, 37.25))
    config = codec.checkpoint.config
    assert found.deep.shape == (config.deep, 8, 12)
    assert found.linear.shape == (config.linear, 8, 12)
    assert found.z.shape == found.z_bits.shape == (config.z, 2, 3)
    assert found.scale.shape == found.bits.shape == (config.latent, 8, 12)
    kinds = [getattr(found, name).dtype for name in ("deep", "linear", "z", "scale", "bits", "z_bits")]
    assert kinds == [np.float32, np.int16, np.int8, np.float32, np.float32, np.float32]
    assert (found.area, found.quality, found.model_id) == ((0, 0, 192, 128), 37.25, codec.checkpoint.id.hex())


def test_channels_are_those_that_g_s_paints(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    data, seen = encoded(codec, 128, 128, 60), []
    real = OnnxNetworks.g_s

    def g_s(self: OnnxNetworks, y: np.ndarray, quality: float) -> np.ndarray:
        seen.append(y)
        return real(self, y, quality)

    monkeypatch.setattr(OnnxNetworks, "g_s", g_s)
    codec.decode(data)
    found = codec.latents(data)
    np.testing.assert_allclose(np.concatenate([found.deep, found.linear])[None], seen[0], atol=1e-4)


def test_no_pixel_is_decoded(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(codec, 100, 100)

    def never(*_: object) -> None:
        raise AssertionError("g_s ran")

    monkeypatch.setattr(OnnxNetworks, "g_s", never)
    monkeypatch.setattr(OnnxNetworks, "preview", never)
    codec.latents(data)
    codec.latents(data, region=(0, 0, 10, 10))


def test_a_region_is_the_part_of_the_whole_that_covers_it(codec: Codec) -> None:
    data = encoded(codec, 260, 330, 50)
    whole, part = codec.latents(data), codec.latents(data, region=(70, 130, 60, 64))
    assert part.area == (64, 128, 128, 128)
    for name, n in latents.SIDES.items():
        expected = getattr(whole, name)[:, 2 * n : 4 * n, n : 3 * n]
        np.testing.assert_allclose(getattr(part, name), expected, atol=1e-4)
    with pytest.raises(NicError, match="not inside"):
        codec.latents(data, region=(300, 0, 64, 64))


def test_windows_are_the_pieces_of_the_whole(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    from nicodec.coding import layout

    data = encoded(codec, 200, 260, 50)
    whole = codec.latents(data)
    monkeypatch.setattr(layout, "WINDOW", 4)
    parts = codec.latent_windows(data)
    assert isinstance(parts, Iterator)
    many = list(parts)
    assert len(many) > 3
    assert all(part.z[0].size <= 4 for part in many)
    bits = sum(float(part.bits.sum(dtype=float)) for part in many)
    assert bits == pytest.approx(float(whole.bits.sum(dtype=float)))
    again = codec.latents(data)
    for name in latents.SIDES:
        np.testing.assert_allclose(getattr(again, name), getattr(whole, name), atol=1e-4)


def test_a_window_may_be_changed_before_the_next_one_comes(codec: Codec) -> None:
    for part in codec.latent_windows(encoded(codec, 128, 128)):
        for name in latents.SIDES:
            getattr(part, name)[:] = 0


def test_the_scale_is_that_of_the_table(codec: Codec) -> None:
    found = codec.latents(encoded(codec, 64, 64))
    index = prior.tables(codec.networks, found.z[None], 5000)[0]
    np.testing.assert_array_equal(found.scale, codec.y_tables.deviation[index])


def test_deviations_are_those_of_the_frequencies() -> None:
    frequencies = np.array([32768, 32768, 0, 16384, 32768, 16384], np.uint16)
    tables = Tables(frequencies, np.array([0, 2, 3, 6], np.int32), np.array([5, 0, -1], np.int16), escape=False)
    np.testing.assert_allclose(tables.deviation, [0.5, 0, np.sqrt(0.5)])


def test_a_lossless_file_has_no_latents(codec: Codec) -> None:
    data = codec.encode(picture(64, 64), lossless=True)
    with pytest.raises(NicError, match="lossless file has no latents"):
        codec.latents(data)


def test_a_drawing_has_no_latents(codec: Codec) -> None:
    file = container.unpack(codec.encode(picture(64, 64), lossless=True))
    drawn = file._replace(header=replace(file.header, quality=5000))
    with pytest.raises(NicError, match="drawing in few colours has no latents"):
        codec.latents(container.pack(*drawn))


def test_the_checksum_of_symbols_is_checked(codec: Codec) -> None:
    file = container.unpack(encoded(codec, 64, 64))
    forged = file._replace(header=replace(file.header, symbols_crc=file.header.symbols_crc ^ 1))
    with pytest.raises(ChecksumMismatch):
        codec.latents(forged)
    codec.latents(forged, region=(0, 0, 64, 64))


def test_latents_that_do_not_belong_together_are_not_compared(codec: Codec) -> None:
    found = codec.latents(encoded(codec, 64, 64))
    assert latents.distance(found, found).shape == (4, 4)
    assert latents.distance(found, found).max() == 0
    with pytest.raises(NicError, match="two models"):
        latents.distance(found, replace(found, model_id="0" * 16))
    with pytest.raises(NicError, match="two qualities"):
        latents.distance(found, replace(found, quality=51.0))
    with pytest.raises(NicError, match="two sizes"):
        latents.distance(found, codec.latents(encoded(codec, 64, 128)))


def test_latents_of_another_model_are_not_read(codec: Codec) -> None:
    data = nicodec.encode(picture(64, 64), model="photo", lossless=False)
    with pytest.raises(nicodec.ModelNotFound):
        codec.latents(data)


def waves(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([128 + 60 * np.sin((x + 2 * y) / 20 + p) for p in range(3)], -1).round().astype(np.uint8)


def test_latents_become_the_picture_of_the_file(codec: Codec) -> None:
    # More than one window, and cells that reach beyond both edges.
    data = codec.encode(waves(600, 800), quality=70, lossless=False)
    assert {kind for kind, _ in nicodec.info(data).chunks} == {"Z", "Y"}
    made = codec.from_latents(codec.latents(data))
    assert (made.dtype, made.shape) == (np.uint8, (640, 832, 3))
    assert np.abs(made[:600, :800].astype(int) - codec.decode(data, dtype=np.uint8)).max() <= 1


def test_changed_latents_become_another_picture(codec: Codec) -> None:
    found = codec.latents(codec.encode(waves(64, 64), quality=70, lossless=False))
    gray = replace(found, deep=0 * found.deep, linear=found.linear.astype(np.float32) / 2)
    assert np.ptp(codec.from_latents(gray)) < np.ptp(codec.from_latents(found)) / 2
    wild = replace(found, deep=found.deep + 1e6)
    assert codec.from_latents(wild).shape == (64, 64, 3)


def test_latents_that_are_not_of_the_model_are_an_error(codec: Codec) -> None:
    found = codec.latents(codec.encode(waves(64, 64), quality=70, lossless=False))
    for wrong, message in (
        (replace(found, model_id="00" * 8), "of the model 0000000000000000"),
        (replace(found, deep=found.deep[1:]), "cannot have the shapes"),
        (replace(found, linear=found.linear[:, 1:]), "cannot have the shapes"),
        (replace(found, deep=found.deep * np.float32(np.nan)), "finite"),
    ):
        with pytest.raises(NicError, match=message):
            codec.from_latents(wrong)
