"""Picture -> bytes -> picture: sizes, modes, metadata, rate and quality, the same bytes everywhere."""

import io
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms, ImageDraw
from sealing import resealed, with_another_id

import nicodec
from nicodec.api import codec_for
from nicodec.bitstream import container, entropy, tiles
from nicodec.bitstream.container import Kind
from nicodec.codec import Codec
from nicodec.coding import layout, prior
from nicodec.errors import BadImage, BadModel, ChecksumMismatch, LimitExceeded, ModelNotFound, NicError
from nicodec.model import checkpoint
from nicodec.picture import metrics, reader

Array = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(threads=1)


def smooth(height: int, width: int, channels: int = 3, seed: int = 0) -> Array:
    """A picture that is easy to code: a few waves."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[:height, :width]
    slopes = rng.uniform(0.01, 0.05, (channels, 2))
    planes = [128 + 60 * np.sin(a * x + b * y + p) for p, (a, b) in enumerate(slopes)]
    pixels: Array = np.stack(planes, -1).round().astype(np.uint8)
    return pixels


def photograph(size: tuple[int, int] = (256, 192)) -> Image.Image:
    data = pytest.importorskip("skimage.data")
    return Image.fromarray(data.chelsea()).crop((100, 20, 100 + size[0], 20 + size[1]))


def psnr(a: Any, b: Any) -> float:
    error = np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64)).mean()
    return float(10 * np.log10(255**2 / error)) if error else 99.0


def test_decoding_tells_the_share_that_is_done(codec: Codec) -> None:
    data = codec.encode(smooth(20, 64 * layout.WINDOW * 2), quality=0, lossless=False)
    for options in ({}, {"region": (10, 0, 64 * layout.WINDOW + 1, 9)}, {"scale": 1 / 8}):
        shares: list[float] = []
        nicodec.decode(data, progress=shares.append, **options)  # type: ignore[call-overload]
        assert shares == sorted(set(shares))
        assert shares[-1] == 1
        assert len(shares) > 1 or "scale" in options


def test_errors_about_a_file_name_it(codec: Codec, tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(path := tmp_path / "photo.png")
    for read in (nicodec.decode, nicodec.info, codec.decode, codec.latents):
        with pytest.raises(nicodec.BadFile) as caught:
            read(path)
        assert str(caught.value) == f"{path}: not a .nic file"
        with pytest.raises(nicodec.BadFile) as caught:
            read(tmp_path / "none.nic")
        assert str(caught.value) == f"{tmp_path / 'none.nic'}: No such file or directory"
        with pytest.raises(nicodec.BadFile, match=r"^not a \.nic file$"):
            read(path.read_bytes())


# Sizes


def check_size(codec: Codec, height: int, width: int, channels: int = 3) -> None:
    pixels = smooth(height, width, channels)
    data = codec.encode(pixels, quality=90, lossless=False)
    back = codec.decode(data)
    assert back.size == (width, height)
    assert back.mode == ("RGB" if channels == 3 else "L")
    assert psnr(back, pixels.squeeze(2) if channels == 1 else pixels) > 28
    assert (nicodec.info(data).width, nicodec.info(data).height) == (width, height)


def test_every_size_from_1x1_to_9x9(codec: Codec) -> None:
    for height in range(1, 10):
        for width in range(1, 10):
            check_size(codec, height, width, channels=1 if (height + width) % 3 == 0 else 3)


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 200), (200, 1), (2, 65), (63, 64), (64, 64), (65, 63), (127, 65), (128, 129), (129, 127), (77, 111),
     (300, 300), (1, 1025)],
)  # fmt: skip
def test_sizes_around_cells_and_tiles(codec: Codec, height: int, width: int) -> None:
    check_size(codec, height, width)


@pytest.mark.parametrize(("width", "rows"), [(1, 8), (12_288, 8), (12_289, 7), (100_000, 4)])
def test_a_wide_picture_has_low_tiles(width: int, rows: int) -> None:
    """A row of them is in memory at once, and should take no more of it for a wider picture."""
    assert layout.tile_size(tiles.cells(width, 16)) == (layout.TILE[0], rows)


def test_a_file_has_the_low_tiles_of_a_wide_picture() -> None:
    data = Codec("photo-fast", threads=1).encode(smooth(16, 12_289), quality=0, lossless=False)
    assert container.unpack(data)[0].tile == (layout.TILE[0], 7)


def test_tiles_are_coded_one_by_one(codec: Codec) -> None:
    """A strip of two tiles, and a file whose tiles are smaller than an encoder makes them."""
    pixels = smooth(10, layout.TILE[0] * 64 + 1)
    data = codec.encode(pixels, quality=40)
    header, chunks = file = container.unpack(data)
    assert [c.kind for c in chunks] == [Kind.Z, Kind.Y, Kind.Y]
    found = codec.symbols_of(file)
    z, r = found.z, found.whole()
    index = prior.tables(codec.networks, z, header.quality)
    small = replace(header, tile=(3, 1))
    # One row of positions holds samples, and one column of the last cell.
    last = layout.TILE[0] * 4 + 1
    parts = [np.s_[0, :, :1, left : min(last, left + 12)] for left in range(0, last, 12)]
    again = [entropy.encode(r[p].reshape(-1), index[p].reshape(-1), codec.y_tables) for p in parts]
    others = [container.Chunk(Kind.Y, payload) for payload in again]
    assert codec.decode(container.pack(small, [chunks[0], *others])).tobytes() == codec.decode(data).tobytes()


# What is a picture


def test_every_kind_of_source_gives_the_same_bytes(codec: Codec, tmp_path: Path) -> None:
    pixels = smooth(20, 30)
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    sources: list[Any] = [pixels, picture, reader.read(pixels), data, io.BytesIO(data)]
    sources += [tmp_path / "a.png", str(tmp_path / "a.png")]
    assert len({codec.encode(source) for source in sources}) == 1


@pytest.mark.parametrize(("mode", "decoded"), [("L", "L"), ("RGB", "RGB"), ("P", "RGB")])
def test_modes(codec: Codec, mode: str, decoded: str) -> None:
    picture = Image.fromarray(smooth(40, 50))
    picture = picture.quantize(64, dither=Image.Dither.NONE) if mode == "P" else picture.convert(mode)
    back = codec.decode(codec.encode(picture, quality=100))
    assert (back.mode, back.size) == (decoded, (50, 40))
    assert psnr(back, picture.convert(decoded)) > 24


def test_black_and_white_becomes_gray(codec: Codec) -> None:
    assert codec.decode(codec.encode(Image.new("1", (5, 4), 1))).mode == "L"


def test_gray_stays_one_channel(codec: Codec) -> None:
    gray = smooth(64, 64, 1)[:, :, 0]
    data = codec.encode(gray)
    assert container.unpack(data)[0].channels == 1
    assert nicodec.info(data).mode == "L"
    assert codec.decode(data).mode == "L"


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA"])
def test_alpha_is_exact(codec: Codec, mode: str) -> None:
    alpha = np.random.default_rng(0).integers(0, 256, (37, 53), np.uint8)
    picture = Image.fromarray(np.dstack([smooth(37, 53), alpha]))
    picture = picture.convert("P").convert("PA") if mode == "PA" else picture.convert(mode)
    expected = picture.getchannel("A")
    data = codec.encode(picture, quality=0)
    back = codec.decode(data)
    assert back.mode == nicodec.info(data).mode == ("LA" if mode == "LA" else "RGBA")
    assert back.getchannel("A").tobytes() == expected.tobytes()


def test_a_clear_palette_colour_becomes_alpha(codec: Codec) -> None:
    picture = Image.fromarray(smooth(20, 20)).quantize(8)
    picture.info["transparency"] = 0
    back = codec.decode(codec.encode(picture))
    assert back.mode == "RGBA"
    assert back.getchannel("A").tobytes() == picture.convert("RGBA").getchannel("A").tobytes()


def floats() -> Image.Image:
    return Image.fromarray(smooth(20, 30, 1)[:, :, 0].astype(np.float32))


def cmyk() -> Image.Image:
    return Image.fromarray(smooth(20, 30)).convert("CMYK")


@pytest.mark.parametrize(
    ("make", "mode", "note"),
    [(floats, "L", "float samples were rounded to 8 bits"), (cmyk, "RGB", "CMYK was converted to RGB")],
)
def test_what_is_converted_is_said_where_it_was_asked_for(
    codec: Codec, make: Callable[[], Image.Image], mode: str, note: str
) -> None:
    for encode in (codec.encode, nicodec.encode):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            data = encode(make(), quality=90)
        assert [str(w.message) for w in caught] == [note]
        assert caught[0].filename == __file__
    back = codec.decode(data)
    assert (back.mode, back.size) == (mode, (30, 20))
    assert psnr(back, smooth(20, 30, 1)[:, :, 0] if mode == "L" else smooth(20, 30)) > 28


@pytest.mark.parametrize(
    "source", [np.zeros((0, 3), np.uint8), np.zeros((4, 4), np.float32), b"junk", "no such file.png", 5, None]
)
def test_what_is_no_picture_is_refused(codec: Codec, source: Any) -> None:
    with pytest.raises(BadImage):
        codec.encode(source)


@pytest.mark.parametrize("quality", [-1, 101, float("nan"), "50"])
def test_another_quality_is_refused(codec: Codec, quality: Any) -> None:
    with pytest.raises(NicError, match="quality"):
        codec.encode(smooth(8, 8), quality=quality)


def test_too_many_pixels_are_refused_before_the_work(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NICODEC_MAX_PIXELS", "63")
    monkeypatch.setattr(codec, "networks", None)
    with pytest.raises(LimitExceeded):
        codec.encode(smooth(8, 8))


def test_a_limit_of_pixels_can_be_given_to_every_call(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = nicodec.encode(smooth(8, 8), max_pixels=64)
    monkeypatch.setenv("NICODEC_MAX_PIXELS", "1")  # the argument goes before it
    assert codec.encode(smooth(8, 8), max_pixels=64) == data
    assert nicodec.decode(data, max_pixels=64).size == codec.decode(data, max_pixels=64).size == (8, 8)
    assert nicodec.info(data, max_pixels=64).width == 8
    for call in (nicodec.decode, nicodec.info, codec.decode):
        with pytest.raises(LimitExceeded, match="limit of 63 pixels"):
            call(data, max_pixels=63)
    for encode in (nicodec.encode, codec.encode):
        with pytest.raises(LimitExceeded, match="limit of 63 pixels"):
            encode(smooth(8, 8), max_pixels=63)


# Metadata


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def described() -> Image.Image:
    picture = Image.fromarray(smooth(10, 12))
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    picture.info |= {"icc_profile": SRGB, "exif": exif.tobytes(), "xmp": b"<x:xmpmeta/>"}
    return picture


def test_metadata_come_back(codec: Codec) -> None:
    data = codec.encode(described())
    assert nicodec.info(data).metadata == ("ICC", "EXIF", "XMP")
    back = codec.decode(data)
    assert back.info == described().info


def test_strip_leaves_metadata_out_whatever_the_source(codec: Codec) -> None:
    plain = codec.encode(smooth(10, 12))
    assert codec.encode(described(), strip=True) == plain
    assert codec.encode(reader.read(described()), strip=True) == plain
    assert nicodec.info(plain).metadata == ()
    assert codec.decode(plain).info == {}


# The same bytes


def test_the_same_bytes_again_and_from_any_number_of_threads(codec: Codec) -> None:
    picture = photograph()
    data = codec.encode(picture, quality=70)
    assert codec.encode(picture, quality=70) == data
    two = Codec(threads=2)
    assert two.encode(picture, quality=70) == data
    assert two.decode(data).tobytes() == codec.decode(data).tobytes()


def test_several_windows_are_worked_on_at_once(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """By threads that each have the networks to themselves; to the same bytes and samples as one by one."""
    picture = photograph((340, 270))
    monkeypatch.setattr(layout, "WINDOW", 4)
    several = len(layout.windows(tiles.cells(*picture.size)))
    assert several > 3
    data = codec.encode(picture, quality=40)
    three = Codec(threads=3)
    together, at_once = threading.Semaphore(0), []
    g_a = three.crew.of(2).networks.g_a

    def counted(x: Any, quality: float) -> Any:
        """Two of the first three wait until they are all there: one after the other they never would be."""
        at_once.append(threading.current_thread())
        if len(at_once) < 3:
            assert together.acquire(timeout=60)
        elif len(at_once) == 3:
            together.release(2)
        return g_a(x, quality)

    monkeypatch.setattr(three.crew.of(2).networks, "g_a", counted)
    assert three.encode(picture, quality=40) == data
    assert (len(at_once), len(set(at_once))) == (several, 3)
    assert three.decode(data).tobytes() == codec.decode(data).tobytes()
    assert (three.networks.threads, three.crew.of(2).networks.threads) == (3, 1)
    assert not three.networks._sessions


@pytest.mark.parametrize(("threads", "at_once", "each"), [(1, 1, 1), (8, 8, 1), (20, 8, 2)])
def test_windows_at_once_are_bounded(threads: int, at_once: int, each: int) -> None:
    crew = Codec(threads=threads).crew.of(2)
    assert (crew.crew, crew.networks.threads) == (at_once, each)


def test_one_codec_serves_many_threads(codec: Codec) -> None:
    fresh = Codec(threads=1)  # so that the threads race for its graphs and tables too
    pictures = [smooth(50 + 20 * i, 80, seed=i) for i in range(4)]
    results: dict[int, tuple[bytes, bytes]] = {}

    def work(i: int) -> None:
        data = fresh.encode(pictures[i], quality=20 * i)
        results[i] = data, fresh.decode(data).tobytes()

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for i, picture in enumerate(pictures):
        data = codec.encode(picture, quality=20 * i)
        assert results[i] == (data, codec.decode(data).tobytes())


def test_encoder_and_decoder_agree_on_the_symbols(codec: Codec) -> None:
    """The checksum in the file is that of what the decoder reads, and the decoder asks for it."""
    header, chunks = file = container.unpack(codec.encode(smooth(70, 70)))
    codec.symbols_of(file).whole()
    wrong = replace(header, symbols_crc=header.symbols_crc ^ 1)
    with pytest.raises(ChecksumMismatch, match="symbols"):
        codec.symbols_of(file._replace(header=wrong)).whole()
    with pytest.raises(ChecksumMismatch, match="symbols"):
        codec.decode(container.pack(wrong, chunks))


# Rate and distortion


def test_rate_and_quality_rise_strictly(codec: Codec) -> None:
    picture = photograph()
    sizes, psnrs = [], []
    for quality in range(0, 101, 10):
        data = codec.encode(picture, quality=quality)
        sizes.append(len(data))
        psnrs.append(psnr(codec.decode(data), picture))
    assert sizes == sorted(set(sizes))
    assert psnrs == sorted(set(psnrs))
    assert sizes[-1] > 8 * sizes[0]
    assert psnrs[-1] > psnrs[0] + 6


def test_fractions_of_quality_count(codec: Codec) -> None:
    picture = photograph((128, 128))
    sizes = [len(codec.encode(picture, quality=quality)) for quality in (40, 42.5, 45, 47.5, 50)]
    assert sizes == sorted(set(sizes))
    assert nicodec.info(codec.encode(smooth(8, 8), quality=12.345)).quality == 12.34


@pytest.mark.parametrize("quality", [0, 50, 100])
def test_bytes_are_the_entropy_of_the_symbols(codec: Codec, quality: int) -> None:
    file = container.unpack(data := codec.encode(photograph(), quality=quality))
    header, found = file.header, codec.symbols_of(file)
    z, r = found.z, found.whole()
    index = prior.tables(codec.networks, z, header.quality)
    inside = np.s_[..., : -(-header.height // 16), : -(-header.width // 16)]
    bits = entropy.ideal_bits(r[inside].reshape(-1), index[inside].reshape(-1), codec.y_tables)
    for cells, each in codec.z_tables.groups(z, header.quality):
        bits += entropy.ideal_bits(z[0][:, cells].reshape(-1), each.reshape(-1), codec.z_tables.tables)
    assert bits / 8 <= len(data) <= 1.01 * bits / 8 + 100


def test_overhead_of_a_plain_picture(codec: Codec) -> None:
    for pixels in (smooth(40, 30), smooth(512, 768)):
        data = codec.encode(pixels, quality=10)
        _, chunks = container.unpack(data)
        assert len(data) - sum(len(c.payload) for c in chunks) <= 64


# Models


def test_another_model_is_refused_by_its_name(codec: Codec) -> None:
    header, chunks = container.unpack(codec.encode(smooth(8, 8)))
    foreign = container.pack(replace(header, model=bytes(range(8))), chunks)
    with pytest.raises(ModelNotFound, match=r"0001020304050607.* not with photo"):
        codec.decode(foreign)
    with pytest.raises(ModelNotFound, match=r"0001020304050607.*--model"):
        nicodec.decode(foreign)
    assert nicodec.info(foreign).model is None
    assert nicodec.info(foreign).model_id == "0001020304050607"


def test_a_model_of_ones_own_is_named_or_given(codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "my.nicmodel"
    path.write_bytes(with_another_id(checkpoint.find("photo").read_bytes()))
    pixels = smooth(30, 40)
    data = nicodec.encode(pixels, model=path)
    assert data != nicodec.encode(pixels)
    expected = codec.decode(codec.encode(pixels)).tobytes()
    assert nicodec.decode(data, model=path).tobytes() == expected
    with pytest.raises(ModelNotFound):
        nicodec.decode(data)
    monkeypatch.setenv("NICODEC_MODELS", str(tmp_path))
    assert nicodec.decode(data).tobytes() == expected
    assert nicodec.info(data).model == "my"
    # A model that is given is tried first.
    assert nicodec.decode(data, model="photo").tobytes() == expected


def test_a_model_with_another_encoder_decodes_the_same_files(codec: Codec, tmp_path: Path) -> None:
    path, found = tmp_path / "my.nicmodel", codec.checkpoint
    bias = found.array("g_a.head.bias").tobytes()
    path.write_bytes(resealed(found.path.read_bytes().replace(bias, bytes(len(bias)))))
    pixels = smooth(30, 40)
    mine, theirs = nicodec.encode(pixels, model=path), nicodec.encode(pixels)
    assert mine != theirs
    assert nicodec.decode(mine).tobytes() == nicodec.decode(mine, model=path).tobytes()
    assert nicodec.decode(theirs).tobytes() == nicodec.decode(theirs, model=path).tobytes()


def test_codecs_are_kept_until_their_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "my.nicmodel"
    path.write_bytes(checkpoint.find("photo").read_bytes())
    file = container.unpack(nicodec.encode(smooth(8, 8), model=path))
    assert codec_for(file, path) is codec_for(file, path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadModel):
        codec_for(file, path)


def test_defaults() -> None:
    pixels = smooth(20, 20)
    assert nicodec.encode(pixels) == nicodec.encode(pixels, quality=50, model="photo", strip=False)
    assert nicodec.decode(nicodec.encode(pixels)).size == (20, 20)
    with pytest.raises(ModelNotFound):
        Codec("no such model")
    for threads in (0, 1025):  # so that a slip of the finger does not ask the system for a million threads
        with pytest.raises(NicError, match="from 1 to 1024"):
            Codec(threads=threads)
        with pytest.raises(NicError, match="from 1 to 1024"):
            Codec().encode_many([pixels], workers=threads)


def test_what_a_notebook_shows_is_short(codec: Codec) -> None:
    data = codec.encode(smooth(30, 40), quality=37.5)
    assert repr(data) == f"<Encoded: 40x30, {len(data):,} bytes, quality 37.5>"
    assert repr(codec.encode(smooth(40, 30), quality="lossless")).endswith("bytes, lossless>")
    assert repr(Codec("photo-fast", threads=2)) == "Codec('photo-fast', threads=2, backend='cpu')"


def test_info(codec: Codec) -> None:
    picture = described()
    picture.putalpha(200)
    data = codec.encode(picture, quality=33.5)
    found = nicodec.info(data)
    assert (found.width, found.height, found.mode, found.quality) == (12, 10, "RGBA", 33.5)
    assert (found.model, found.model_id) == ("photo", codec.checkpoint.id.hex())
    assert (found.size, found.bpp) == (len(data), 8 * len(data) / 120)
    assert (found.version, found.tiles) == ("1.0", (1, 1))
    assert [kind for kind, _ in found.chunks] == ["Z", "Y", "ALPHA", "ICC", "EXIF", "XMP"]
    # 25 bytes before the table of chunks, 6 or 7 for each of them, and 4 after it.
    assert sum(size for _, size in found.chunks) == len(data) - 29 - sum(6 + (size > 127) for _, size in found.chunks)


def test_a_later_minor_version_with_unknown_chunks_decodes(codec: Codec) -> None:
    data = codec.encode(smooth(12, 12))
    header, chunks = container.unpack(data)
    later = container.pack(replace(header, version=(1, 9)), [*chunks, container.Chunk(0xF0, b"new")])
    assert codec.decode(later).tobytes() == codec.decode(data).tobytes()
    assert nicodec.info(later).chunks[-1] == ("unknown-240", 3)
    assert nicodec.info(later).version == "1.9"


def test_what_no_photograph_shows_stays_in_bounds(codec: Codec) -> None:
    """A network that has seen photographs alone made 70 bits a pixel and 4 dB of some of these."""
    i, j = np.indices((192, 192))
    rng = np.random.default_rng(1)
    drawn = {f"chequers of {n}": (i // n + j // n) % 2 for n in (6, 8, 16, 32)}
    drawn["stripes"] = (i + 2 * j) // 9 % 2
    drawn["a code"] = rng.integers(0, 2, (24, 24)).repeat(8, axis=0).repeat(8, axis=1)
    for name, shape in drawn.items():
        pixels = np.repeat((255 * shape)[..., None], 3, axis=2).astype(np.uint8)
        for quality, worst in ((10, 17), (50, 24), (90, 30)):
            data = codec.encode(pixels, quality=quality)
            assert len(data) < pixels.size / 3, name
            assert metrics.psnr(pixels, np.asarray(codec.decode(data))) > worst, name


def test_colour_that_changes_from_pixel_to_pixel_gets_through(codec: Codec) -> None:
    """Models without linear channels made 14 dB of the first, and 24 and 26 of the others, at any rate."""
    rng = np.random.default_rng(1)
    red = np.full((192, 192, 3), 128, np.uint8)
    red[..., 0] = 255 * rng.integers(0, 2, (192, 192))
    lines = Image.new("RGB", (256, 256), "blue")
    text = Image.new("RGB", (256, 256), "white")
    for i in range(40):
        ends = [tuple(p) for p in rng.integers(0, 256, (2, 2)).tolist()]
        ImageDraw.Draw(lines).line(ends, tuple(rng.integers(0, 256, 3).tolist()), 1 + i % 3)
    for i in range(16):
        ImageDraw.Draw(text).text((2, 16 * i), 3 * "The quick brown fox ", "red" if i % 2 else "black")
    for pixels, least in ((red, 25), (np.array(lines), 29), (np.array(text), 32)):
        data = codec.encode(pixels, quality=90)
        assert metrics.psnr(pixels, np.asarray(codec.decode(data))) > least
