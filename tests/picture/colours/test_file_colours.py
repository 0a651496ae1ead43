"""What a file says of its colours becomes a profile; the profile of an output fits its samples, or is applied."""

import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import DARK_GRAY, P3, P3_CHUNK, WIDE, png_of, soft
from PIL import Image, ImageCms

from nicodec.errors import BadImage
from nicodec.picture import Beside, Picture
from nicodec.picture.colours import icc
from nicodec.picture.reader import read
from nicodec.picture.writer import to_pil, write

GRAY = soft()[:, :, 0].copy()


def seen(pixels: np.ndarray[Any, Any], profile: bytes | None) -> np.ndarray[Any, Any]:
    """The samples as a viewer of sRGB shows them, (H, W, 3), by LittleCMS."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    if profile is None:
        return np.asarray(image.convert("RGB"), int)
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    shown = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), 1, "RGB")
    return np.asarray(shown, int)


def gamma(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100000))


def cicp(*codes: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes(codes)


def iccp(profile: bytes) -> tuple[bytes, bytes]:
    import zlib

    return b"iCCP", b"a\0\0" + zlib.compress(profile)


SRGB_CHUNK = (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))


# Profiles


def test_the_profile_of_srgb_changes_nothing() -> None:
    own = icc.profile(icc.Colours(), icc.RGB, "sRGB")
    assert np.abs(seen(soft(), own) - soft()).max() <= 1
    assert len(own) < 600


def test_profiles_mean_what_was_asked_for() -> None:
    light = seen(np.full((1, 1, 3), 128, np.uint8), icc.profile(icc.Colours(curve=icc.Curve(1)), icc.RGB, "linear"))
    assert np.abs(light - 188).max() <= 1  # the sample of sRGB for half of the light
    wide = seen(np.array([[[200, 150, 100]]], np.uint8), WIDE)[0, 0]
    assert wide[0] > 200
    assert wide[2] < 100


def test_a_gray_profile_as_rgb_looks_the_same() -> None:
    as_rgb = icc.rgb_from_gray(DARK_GRAY)
    assert as_rgb is not None
    assert np.abs(seen(np.dstack([GRAY] * 3), as_rgb) - seen(GRAY, DARK_GRAY)).max() <= 1
    assert icc.rgb_from_gray(WIDE) is None
    for length in range(0, len(DARK_GRAY), 7):
        icc.rgb_from_gray(DARK_GRAY[:length])


@pytest.mark.parametrize("points", [((0.3, 0.3),) * 4, (*P3[:3], (0.3, 0.0)), ((0.1, 0.1), (0.2, 0.2), (0.3, 0.3))])
def test_points_that_span_no_colours_are_refused(points: Any) -> None:
    with pytest.raises(ValueError, match=r"primaries|chromaticity"):
        icc.profile(icc.Colours(icc.Gamut(*points)), icc.RGB, "none")


# Files that are read


@pytest.mark.parametrize(
    "chunks",
    [(), (gamma(1 / 2.2),), (gamma(0.45), SRGB_CHUNK), ((b"sRGB", b"\0"), gamma(1.0), P3_CHUNK), (cicp(1, 13, 0, 1),),
     (SRGB_CHUNK,), (cicp(2, 2, 0, 1),), (cicp(1, 13, 0, 1), iccp(WIDE))],
)  # fmt: skip
def test_srgb_by_any_name_has_no_profile(chunks: tuple[tuple[bytes, bytes], ...]) -> None:
    picture = read(png_of(soft(), *chunks))
    assert (picture.beside.icc, picture.notes) == (None, ())


@pytest.mark.parametrize(
    ("chunks", "meant"),
    [((gamma(1.0),), icc.Colours(curve=icc.Curve(1))), ((gamma(1 / 1.8),), icc.Colours(curve=icc.Curve(1.8))),
     ((P3_CHUNK,), icc.Colours(P3)), ((gamma(1 / 2.2), P3_CHUNK), icc.Colours(P3, icc.Curve(2.2))),
     ((cicp(12, 13, 0, 1), gamma(1.0)), icc.Colours(P3)), ((cicp(12, 13, 0, 1), iccp(DARK_GRAY)), icc.Colours(P3))],
)  # fmt: skip
def test_chunks_of_png_become_a_profile(chunks: tuple[tuple[bytes, bytes], ...], meant: icc.Colours) -> None:
    picture = read(png_of(soft(), *chunks))
    assert np.array_equal(picture.pixels, soft())
    assert picture.beside.icc is not None
    assert np.abs(seen(soft(), picture.beside.icc) - seen(soft(), icc.profile(meant, icc.RGB, "meant"))).max() <= 1
    assert picture.notes == ()
    gray = read(png_of(GRAY, *(chunk for chunk in chunks if chunk[0] != b"iCCP")))
    if meant.curve != icc.SRGB_CURVE or gray.beside.icc:
        assert icc.space_of(gray.beside.icc or b"") == icc.GRAY
        assert np.abs(seen(GRAY, gray.beside.icc) - seen(GRAY, icc.profile(meant, icc.GRAY, "meant"))).max() <= 1


def test_a_profile_wins_over_gamma_and_primaries() -> None:
    assert read(png_of(soft(), iccp(WIDE), gamma(1.0), P3_CHUNK)).beside.icc == WIDE


def test_a_profile_of_another_space_never_stays() -> None:
    for array, other in ((soft(), DARK_GRAY), (GRAY, WIDE)):
        picture = read(png_of(array, iccp(other)))
        assert picture.beside.icc is None
        assert picture.notes == ("a colour profile that does not fit the pixels was dropped",)


@pytest.mark.parametrize("transfer", [9, 10, 16, 18])
def test_hdr_is_refused_with_its_name(transfer: int) -> None:
    with pytest.raises(BadImage, match=r"HDR|logarithmic"):
        read(png_of(soft(), cicp(9, transfer, 0, 1), iccp(WIDE)))


def test_narrow_range_is_refused_and_nonsense_said() -> None:
    with pytest.raises(BadImage, match="full range"):
        read(png_of(soft(), cicp(1, 13, 0, 0)))
    senseless = (b"cHRM", struct.pack(">8I", *([1] * 8)))
    for chunk in (cicp(1, 13, 5, 1), (b"cICP", b"\1"), senseless, gamma(0.00001)):
        picture = read(png_of(soft(), chunk))
        assert picture.beside.icc is None
        assert picture.notes == ("a damaged description of the colours was left out",)
    assert read(png_of(soft(), cicp(99, 13, 0, 1))).notes == ("colours of the unknown kind 99/13 were taken as sRGB",)


def coded(kind: str, primaries: int, transfer: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(soft()).save(out, kind, quality=90)
    data = bytearray(out.getvalue())
    struct.pack_into(">HH", data, data.index(b"nclx") + 4, primaries, transfer)
    return bytes(data)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_code_points_of_avif_and_heif_become_a_profile(kind: str) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    own = read(coded(kind, 12, 13)).beside.icc
    assert own is not None
    assert np.abs(seen(soft(), own) - seen(soft(), WIDE)).max() <= 1
    assert read(coded(kind, 1, 13)).beside.icc is None
    with pytest.raises(BadImage, match=r"HDR \(HLG\)"):
        read(coded(kind, 9, 18))
    for cut in range(0, 400, 9):  # boxes that end anywhere
        data = coded(kind, 12, 13)
        with pytest.raises(BadImage):
            read(data[:cut])


def test_profiles_of_jpeg_2000_and_bmp_are_found() -> None:
    out = io.BytesIO()
    Image.fromarray(soft()).save(out, "JPEG2000")
    data = out.getvalue()
    header, colour = data.index(b"jp2h") - 4, data.index(b"colr") - 4
    (size,), (old,) = struct.unpack_from(">I", data, header), struct.unpack_from(">I", data, colour)
    box = struct.pack(">I4s3B", 11 + len(WIDE), b"colr", 2, 0, 0) + WIDE
    data = (data[:header] + struct.pack(">I", size - old + len(box)) + data[header + 4 : colour] + box
            + data[colour + old :])  # fmt: skip
    assert read(data).beside.icc == WIDE

    rows = soft()[::-1, :, ::-1].tobytes()
    for kind, xyz in (
        (b"DEBM", ()),
        (bytes(4), (0.5767, 0.2973, 0.027, 0.1856, 0.6274, 0.0707, 0.1882, 0.0753, 0.9911)),
    ):
        head = struct.pack("<IiiHHIIiiII16x4s", 124, 96, 64, 1, 24, 0, len(rows), 0, 0, 0, 0, kind)
        head += b"".join(struct.pack("<i", int(value * 2**30)) for value in xyz).ljust(36, b"\0")
        head += struct.pack("<3I4I", *[int(2.2 * 65536)] * 3, 4, 124 + len(rows), len(WIDE), 0)
        found = read(struct.pack("<2sIII", b"BM", 138 + len(rows), 0, 138) + head + rows + WIDE)
        assert np.array_equal(found.pixels, soft())
        assert found.beside.icc == WIDE if kind == b"DEBM" else icc.space_of(found.beside.icc or b"") == icc.RGB


# Files that are written


def written(picture: Picture, suffix: str, folder: Path) -> tuple[Image.Image, list[str]]:
    path = folder / f"a.{suffix}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write(to_pil(picture), path)
    image = Image.open(path)
    image.load()
    return image, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif", "tiff", "jp2", "bmp", "ppm", "tga"])
@pytest.mark.parametrize("own", [WIDE, DARK_GRAY])
def test_every_output_looks_as_the_picture_does(suffix: str, own: bytes, tmp_path: Path) -> None:
    pixels = soft() if own == WIDE else GRAY[:, :, None]
    image, said = written(Picture(pixels, beside=Beside(icc=own)), suffix, tmp_path)
    found = read(tmp_path / f"a.{suffix}").beside.icc  # Pillow does not tell that of JPEG 2000
    if found:
        assert icc.space_of(found) == (icc.GRAY if image.mode == "L" else icc.RGB)
        assert not said
    else:
        assert suffix in ("bmp", "ppm", "tga")
        assert said[0].startswith("the colours were converted to sRGB")
    assert np.abs(seen(np.asarray(image), found) - seen(pixels, own)).mean() < 2.5  # JPEG has loss


def test_samples_that_are_srgb_already_are_not_touched(tmp_path: Path) -> None:
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image, said = written(Picture(soft(), beside=Beside(icc=own)), "bmp", tmp_path)
    assert np.array_equal(np.asarray(image), soft())
    assert not said


def test_the_image_of_the_caller_and_its_alpha_stay(tmp_path: Path) -> None:
    image = to_pil(Picture(soft(), np.full((64, 96), 77, np.uint8), Beside(icc=WIDE)))
    with pytest.warns(UserWarning, match="converted to sRGB"):
        write(image, tmp_path / "a.tga")
    assert image.info["icc_profile"] == WIDE
    assert np.array_equal(np.asarray(image)[:, :, :3], soft())
    assert (np.asarray(Image.open(tmp_path / "a.tga"))[:, :, 3] == 77).all()


def test_a_profile_that_does_not_fit_never_leaves(tmp_path: Path) -> None:
    damaged = WIDE[:132] + bytes(len(WIDE) - 132)
    for pixels, own, suffix in ((soft(), DARK_GRAY, "png"), (GRAY[:, :, None], WIDE, "webp"), (soft(), damaged, "bmp")):
        image, said = written(Picture(pixels, beside=Beside(icc=own)), suffix, tmp_path)
        assert "icc_profile" not in image.info
        assert "left out" in said[0]


def test_an_array_that_loses_its_profile_says_so(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="an array holds none"):
        write(to_pil(Picture(soft(), beside=Beside(icc=WIDE))), tmp_path / "a.npy")
    assert np.array_equal(np.load(tmp_path / "a.npy"), soft())
