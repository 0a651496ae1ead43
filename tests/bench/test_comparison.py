"""The page that compares: numbers, pictures, hostile names, no network; the command; it in a browser."""

import base64
import hashlib
import io
import os
import re
import sys
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import Browser, browser  # noqa: F401 - a fixture
from PIL import Image
from program import Run, names

import nicodec
from nicodec.bench import comparison
from nicodec.bench.comparison import Version
from nicodec.picture import metrics
from nicodec.storage import files

EVIL = "<img src=x onerror=alert(1)>.nic"


class Page(HTMLParser):
    """What a browser would make of the page: all tags, the rows of the table, the texts of some elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.rows: list[list[str]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attributes}))
        if tag not in ("meta", "link", "img", "input", "path"):
            self._open.append(tag)
        self.texts.setdefault(tag, []).append("")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data

    def images(self, kind: str) -> list[Image.Image]:
        """The embedded pictures of a class, decoded."""
        sources = [a["src"] for tag, a in self.tags if tag == "img" and a.get("class") == kind]
        return [Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) for source in sources]


def photo(width: int = 256, height: int = 192, mode: str = "RGB", seed: int = 3) -> Image.Image:
    """Smooth enough for a codec, busy enough to cost something."""
    rough = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, len(mode)), np.uint8)
    rough = rough[:, :, 0] if mode == "L" else rough
    return Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)


def coded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def version(name: str, image: Image.Image, kind: str = "PNG", **options: Any) -> Version:
    return comparison.load(name, coded(image, kind, **options))


@pytest.fixture
def run(run: Run) -> Run:
    """Run `nicodec compare` in this process."""
    return partial(run, "compare")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with one picture, its .nic and its JPEG."""
    monkeypatch.chdir(tmp_path)
    photo().save("a.png")
    Path("a.nic").write_bytes(nicodec.encode("a.png", quality=40))
    photo().save("a.jpg", quality=50)
    return tmp_path


# The page


def test_the_table_has_the_numbers(run: Run, here: Path) -> None:
    code, out, err = run("a.png", "a.nic", "a.jpg")
    assert (code, out) == (0, b"")
    text = Path("a.compare.html").read_text(encoding="utf-8")
    assert err == f"a.png -> a.compare.html: 3 pictures, {os.path.getsize('a.compare.html'):,} bytes\n"

    size = os.path.getsize("a.png")
    expected = [["a.png original", f"{size:,}", "100.0 %", f"{8 * size / 256 / 192:.3f}", *"–––"]]
    original = np.asarray(Image.open("a.png"))
    with Image.open("a.jpg") as jpeg:
        backs = {"a.nic": nicodec.decode(Path("a.nic").read_bytes()), "a.jpg": jpeg.convert("RGB")}
    for name, back in backs.items():
        n_bytes, pixels = os.path.getsize(name), np.asarray(back)
        worst = metrics.worst_cell(original, pixels)
        expected.append([
            f"{name} ", f"{n_bytes:,}", f"{100 * n_bytes / size:.1f} %", f"{8 * n_bytes / 256 / 192:.3f}",
            f"{metrics.psnr(original, pixels):.2f}", f"{worst.psnr:.2f} at {worst.x},{worst.y}",
            f"{metrics.msssim(original, pixels):.4f}",
        ])  # fmt: skip
    assert Page(text).rows[1:] == expected


def test_pictures_are_embedded_without_loss_and_differences_on_one_scale() -> None:
    original = photo()
    files = [version("a.png", original), *(version(f"{q}.jpg", original, "JPEG", quality=q) for q in (10, 80))]
    page = Page(comparison.page(files[0], files[1:]))
    assert page.texts["title"] == ["a.png – compared"]
    for image, file in zip(page.images("picture"), files, strict=True):
        np.testing.assert_array_equal(np.asarray(image), file.picture.pixels)
    differences = [np.abs(file.picture.pixels.astype(int) - files[0].picture.pixels).max(2) for file in files[1:]]
    scale = max(int(np.ceil(np.percentile(found, 99.8))) for found in differences)
    assert scale > 8
    for image, found in zip(page.images("map"), differences, strict=True):
        assert (image.mode, image.size) == ("P", original.size)
        np.testing.assert_array_equal(np.asarray(image), np.minimum(found, scale))
        brightness = np.array(image.getpalette()).reshape(-1, 3)[: scale + 1].sum(1)
        assert (np.diff(brightness) > 0).all()
    assert f"{scale} levels or more" in page.texts["span"]


def test_a_region_is_shown_and_the_whole_is_measured() -> None:
    files = version("a.png", photo()), version("b.jpg", photo(), "JPEG", quality=30)
    whole, part = (Page(comparison.page(files[0], files[1:], region)) for region in (None, (8, 20, 100, 64)))
    assert part.rows == whole.rows
    for image, file in zip(part.images("picture"), files, strict=True):
        np.testing.assert_array_equal(np.asarray(image), file.picture.pixels[20:84, 8:108])
    assert part.images("map")[0].size == (100, 64)
    assert "Shown are 100×64 at 8,20" in part.texts["footer"][0]


def test_gray_alpha_equal_and_small_pictures_have_a_page() -> None:
    gray, rgba = photo(40, 32, "L"), photo(40, 32, "RGBA")
    page = Page(comparison.page(version("g.png", gray), [version("rgb.png", gray.convert("RGB"))]))
    assert page.rows[2][4:] == ["∞", "∞", "–"]
    assert [image.mode for image in page.images("picture")] == ["L", "RGB"]

    page = Page(comparison.page(version("a.png", rgba), [version("b.webp", rgba, "WEBP", quality=50)]))
    assert np.array_equal(np.asarray(page.images("picture")[0]), np.asarray(rgba))
    assert "Only samples that are not clear in the original are compared" in page.texts["footer"][0]


def cut_out(hidden: int) -> Image.Image:
    """Half of it clear, over a colour that nobody sees; the rest from nearly clear to opaque."""
    image = photo(192, 192, "RGBA")
    alpha = np.tile(np.linspace(-255, 255, 192).clip(0, 255).astype(np.uint8), (192, 1))
    image.putalpha(Image.fromarray(alpha))
    pixels = np.array(image)
    pixels[alpha == 0] = (hidden, 0, hidden, 0)
    return Image.fromarray(pixels)


def test_transparent_pictures_are_compared_where_they_are_not_clear() -> None:
    original = version("a.png", cut_out(255))
    changed = version("b.png", cut_out(0))
    flat = version("c.png", cut_out(255).convert("RGB"))
    less = cut_out(255)
    less.putalpha(less.getchannel("A").point(lambda a: max(0, a - 3)))
    text = comparison.page(original, [changed, flat, version("d.png", less)])
    page = Page(text)
    assert [row[0] for row in page.rows[2:]] == ["b.png ", "c.png without alpha", "d.png alpha off by up to 3"]
    assert [row[4:] for row in page.rows[2:]] == [["∞", "∞", "–"]] * 3
    assert [image.mode for image in page.images("picture")] == ["RGBA", "RGBA", "RGB", "RGBA"]
    assert [np.asarray(image).max() for image in page.images("map")] == [0, 0, 3]
    assert 'id="layers" class="checkered"' in text
    assert 'class="checkered"' not in comparison.page(flat, [flat])
    assert "checkered" in text.partition("</style>")[0]


def test_what_is_made_of_a_transparent_picture_has_its_alpha() -> None:
    original, twin = version("a.png", cut_out(255)), version("b.png", cut_out(0))
    made = comparison.ours(original, model="photo-fast", threads=1)
    assert made.picture.alpha is not None
    assert np.array_equal(made.picture.alpha, original.picture.alpha)
    others = list(comparison.rivals(original, made.n_bytes, threads=1))
    assert [v.picture.alpha is not None for v in others] == [v.name != "JPEG" for v in others]
    page = Page(comparison.page(original, [made, *others]))
    notes = {v.name: row[0] for v, row in zip(others, page.rows[3:], strict=True)}
    assert notes["JPEG"].endswith(", without alpha")
    # JPEG has no alpha, but pays for nothing that nobody sees either.
    jpeg = next(comparison.rivals(twin, made.n_bytes, threads=1))
    assert np.array_equal(jpeg.picture.pixels, others[0].picture.pixels)


def test_an_opaque_alpha_plane_is_no_transparency() -> None:
    opaque = photo(64, 48).convert("RGBA")
    text = comparison.page(version("a.png", opaque), list(comparison.rivals(version("a.png", opaque), 2000, threads=1)))
    assert "without alpha" not in text
    assert "Only samples that are not clear" not in text


def test_colour_profiles_are_kept_and_exif_is_not() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    original = version("a.jpg", photo(64, 64), "JPEG", icc_profile=profile, exif=exif)
    made = comparison.rivals(original, 2000, threads=1)
    text = comparison.page(original, list(made))
    for image in Page(text).images("picture"):
        assert image.info["icc_profile"] == profile
        assert not image.getexif()


@pytest.mark.parametrize(
    "name", [EVIL, "\"'&amp;--></script><script>alert(1)</script>", "{{script}}{{nothing}}", "a\nb\x1b\u202e.jpg"]
)
def test_names_are_text_wherever_they_stand(name: str) -> None:
    original, candidate = version("a.png", photo(24, 16)), version("b.png", photo(24, 16, seed=4))
    plain = comparison.page(original, [candidate])
    found = comparison.page(replace(original, name=name), [replace(candidate, name=name)])
    expected, page = Page(plain), Page(found)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in expected.tags]
    assert [set(attributes) for _, attributes in page.tags] == [set(a) for _, a in expected.tags]
    assert page.texts["script"] == expected.texts["script"]
    shown = files.shown(name)
    assert page.texts["title"] == [f"{shown} – compared"]
    assert [row[0] for row in page.rows[1:]] == [f"{shown} original", f"{shown} "]
    assert page.texts["option"] == [shown] * 4


def test_a_hostile_file_name_is_text(run: Run, here: Path) -> None:
    os.rename("a.nic", EVIL)
    assert run("a.png", EVIL, "-o", "page.html")[0] == 0
    text = Path("page.html").read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert Page(text).rows[2][0] == f"{EVIL} "


def test_nothing_is_loaded_and_nothing_else_may_run() -> None:
    text = comparison.page(version("a.png", photo(24, 16)), [version("b.png", photo(24, 16, seed=4))])
    page = Page(text)
    for tag, attributes in page.tags:
        assert all(attributes[key].startswith("data:") for key in ("src", "href") if key in attributes), tag
        assert not {"srcset", "style", "action", "background"} & set(attributes), tag
        assert not any(key.startswith("on") for key in attributes), tag
    assert not re.search(r"https?:|url\(|@import|\bimport\b|fetch\(|XMLHttpRequest|WebSocket|{{", text)
    policies = [a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    hashes = {
        kind: "sha256-" + base64.b64encode(hashlib.sha256(page.texts[kind][0].encode()).digest()).decode()
        for kind in ("style", "script")
    }
    assert policies == [
        f"default-src 'none'; img-src data:; style-src '{hashes['style']}'; script-src '{hashes['script']}';"
        " base-uri 'none'; form-action 'none'"
    ]


# The same size from every codec


def test_all_at_the_size_of_the_nic_that_is_made(run: Run, here: Path) -> None:
    assert run("a.png", "-q", "40", "-j", "1")[0] == 0
    page = Page(Path("a.compare.html").read_text(encoding="utf-8"))
    labels, sizes = [row[0] for row in page.rows[2:]], [int(row[1].replace(",", "")) for row in page.rows[2:]]
    assert labels[0] == "nicodec quality 40"
    assert sizes[0] == os.path.getsize("a.nic")
    assert [label.split()[0] for label in labels[1:]] == ["JPEG", "WebP", "AVIF"]
    for label, size in zip(labels[1:], sizes[1:], strict=True):
        assert re.fullmatch(r"\w+ quality \d+", label)
        assert 0.7 * sizes[0] < size <= sizes[0], label
    quality = int(labels[1].split()[-1])
    assert len(coded(photo(), "JPEG", quality=quality)) == sizes[1]
    assert len(coded(photo(), "JPEG", quality=quality + 1)) > sizes[0]


def test_all_at_the_size_of_a_given_nic(run: Run, here: Path) -> None:
    assert run("a.png", "a.jpg", "a.nic", "--all", "-j", "1")[0] == 0
    page = Page(Path("a.compare.html").read_text(encoding="utf-8"))
    assert [row[0].split()[0] for row in page.rows[1:]] == ["a.png", "a.jpg", "a.nic", "JPEG", "WebP", "AVIF"]
    for row in page.rows[4:]:
        assert int(row[1].replace(",", "")) <= os.path.getsize("a.nic")


def test_the_natural_picture_of_a_lossless_file_claims_no_drawn_texture() -> None:
    data = bytes(nicodec.encode(np.arange(300, dtype=np.uint8).reshape(10, 10, 3), lossless=True))
    version = comparison.load("a.nic", data)
    drawn = comparison.natural(version)
    assert drawn.note == "natural: nothing to draw"
    assert np.array_equal(drawn.picture.pixels, version.picture.pixels)


@pytest.mark.parametrize("given", [False, True])
def test_the_natural_picture_stands_beside_avif_for_people(run: Run, here: Path, given: bool) -> None:
    photograph = pytest.importorskip("skimage.data").chelsea()[20:276, 60:444]  # drawn noise has nothing to draw
    Image.fromarray(photograph).save("a.png")
    Image.fromarray(photograph).save("a.jpg")
    Path("a.nic").write_bytes(nicodec.encode("a.png", quality=25, model="photo-fast", lossless=False))
    candidates = ["a.jpg", "a.nic"] if given else []
    code, _, err = run("a.png", *candidates, "--natural", "-q", 25, *([] if given else ["-m", "photo-fast"]))
    assert code == 0, err
    rows = Page(Path("a.compare.html").read_text(encoding="utf-8"))
    names = [row[0] for row in rows.rows[1:]]
    ours = "a.nic" if given else "nicodec quality 25"
    assert names[: 1 + given] == ["a.png original", "a.jpg "][: 1 + given]
    faithful, natural, avif = rows.rows[-3:]
    assert faithful[0].strip() == ours
    assert natural[0].startswith(ours) and natural[0].endswith("natural: texture is drawn")  # noqa: PT018
    assert avif[0].startswith("AVIF tune ssim quality ")
    assert natural[1] == faithful[1]
    assert int(avif[1].replace(",", "")) <= int(faithful[1].replace(",", ""))
    pictures = rows.images("picture")
    assert not np.array_equal(pictures[-3], pictures[-2])
    if given:
        assert np.array_equal(pictures[-2], nicodec.decode("a.nic", natural=1))


def test_what_cannot_be_so_small_says_so() -> None:
    original = version("a.png", photo(64, 64, "L"))
    made = list(comparison.rivals(original, 10, threads=1))
    assert [(v.name, v.note) for v in made] == [
        (name, "quality 0, its smallest file") for name in ("JPEG", "WebP", "AVIF")
    ]
    comparison.page(original, made)


def test_the_quality_is_the_best_within_a_budget() -> None:
    def encode(quality: int) -> bytes:
        return bytes(10 + 3 * quality)

    for budget in range(1, 330, 7):
        quality, data = comparison.best_within(encode, budget)
        assert data == encode(quality)
        assert quality == max((q for q in range(101) if 10 + 3 * q <= budget), default=0)


# The command


def test_nothing_is_overwritten_without_force(run: Run, here: Path) -> None:
    Path("a.compare.html").write_text("mine")
    code, _, err = run("a.png", "a.jpg")
    assert (code, err) == (3, "nicodec: a.compare.html: exists already; -f overwrites it\n")
    assert Path("a.compare.html").read_text() == "mine"
    assert run("a.png", "a.jpg", "-f", "--quiet") == (0, b"", "")
    assert Path("a.compare.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert run("a.png", "a.jpg", "-o", "a.png", "-f")[0] == 2


def test_a_failure_leaves_what_was_there(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("p.html").write_text("mine")
    before = names(here)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        code, _, err = run("a.png", "a.jpg", "-o", "p.html", "-f")
    assert (code, err) == (3, "nicodec: p.html: cannot be written: No space left on device\n")
    assert names(here) == before
    assert Path("p.html").read_text() == "mine"


def test_the_page_goes_to_stdout_and_tells_files_of_one_name_apart(run: Run, here: Path) -> None:
    os.mkdir("other")
    photo(seed=5).save("other/a.png")
    code, out, err = run("a.png", "other/a.png", "-o", "-")
    assert code == 0
    assert [row[0] for row in Page(out.decode()).rows[1:]] == ["a.png original", "other/a.png "]
    assert err.startswith("a.png -> stdout: 2 pictures")


def test_what_is_wrong_is_one_line(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(64, 48).save("small.png")
    Path("broken.nic").write_bytes(Path("a.nic").read_bytes()[:-9])
    Path("text.jpg").write_text("hello")
    before = names(here)
    outside, smaller = "is not inside 256x192", "small.png is 64x48, but a.png is 256x192"
    for arguments, message in {
        ("a.png", "small.png"): f"a.png: {smaller}",
        ("a.png", "small.png", "--all"): f"a.png: {smaller}",
        ("a.png", "none.jpg", "p.html"): "none.jpg: No such file or directory",
        ("none.png", "a.jpg"): "none.png: No such file or directory",
        ("a.png", "text.jpg"): "text.jpg: the image: not a picture of a known format",
        ("a.png", "a.jpg", "--region", "200,0,57,20"): f"a.png: the region 57x20 at 200,0 {outside}",
        ("a.png", "a.jpg", "--region", "0,0,0,20"): f"a.png: the region 0x20 at 0,0 {outside}",
    }.items():
        assert run(*arguments) == (3, b"", f"nicodec: {message}\n")
    code, _, err = run("a.png", "broken.nic")
    assert code == 3
    assert re.fullmatch(r"nicodec: broken\.nic: .+\n", err)
    assert run("a.png", "a.jpg", "--region", "1,2,3")[0] == 2

    monkeypatch.setattr(comparison, "MAX_PIXELS", 5 * 128 * 100)
    code, _, err = run("a.png")
    assert code == 3
    found = re.search(r"5 pictures of 256x192 are too much for one page.* --region ([\d,]+)\n", err)
    assert found, err
    assert names(here) == before
    assert run("a.png", "a.jpg", "--region", found[1])[0] == 0


def test_jpeg_xl_needs_its_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(nicodec.MissingExtra, match=r"nicodec\[bench\]"):
        comparison.load("a.jxl", b"\xff\x0a and so on")


def test_jpeg_xl_with_its_plugin() -> None:
    pytest.importorskip("pillow_jxl")
    data = coded(photo(24, 16), "JXL", lossless=True)
    assert np.array_equal(comparison.load("a.jxl", data).picture.pixels, np.asarray(photo(24, 16)))


def test_what_was_converted_is_said(run: Run, here: Path) -> None:
    photo().convert("CMYK").save("b.jpg")
    code, _, err = run("a.png", "b.jpg")
    assert code == 0
    assert "b.jpg: CMYK was converted to RGB\n" in err


# In a browser

RED, BLUE, GREEN = (200, 40, 40), (40, 40, 200), (40, 200, 40)


@pytest.mark.slow
def test_the_page_works_in_a_browser(browser: Browser, tmp_path: Path) -> None:  # noqa: F811
    files = [version("flat.png", Image.new("RGB", (256, 192), colour)) for colour in (RED, BLUE, GREEN)]
    files[0] = replace(files[0], name=EVIL)
    path = tmp_path / "page.html"
    path.write_text(comparison.page(files[0], files[1:]), encoding="utf-8")
    browser.open(path, 1000, 700)
    browser.wait("[...document.images].every(image => image.complete)")
    left, top, width, height = browser.js(
        "(({x, y, width, height}) => [x, y, width, height])(stage.getBoundingClientRect())"
    )
    assert browser.js("handle.getAttribute('role')") == "slider"
    middle = top + height / 2
    picture = height * 256 / 192  # it stands in the middle of the wider stage
    near, far = (left + width / 2 + side * picture / 4 for side in (-1, 1))

    def value() -> int:
        return int(browser.js("handle.getAttribute('aria-valuenow')"))

    def seen(x: float = near) -> tuple[int, ...]:
        found = browser.screenshot().getpixel((round(x), round(middle - 40)))
        assert isinstance(found, tuple)
        return tuple(int(part) for part in found)

    def zoom() -> int:
        return int(browser.js("scale.textContent").split()[0])

    # The divider: mouse, keys, touch
    assert value() == 50
    assert (seen(near), seen(far)) == (RED, BLUE)
    browser.drag((left + width / 2, middle), (near, middle), (left + width / 2 - picture * 0.4, middle))
    assert value() == 10
    assert (seen(near), seen(far)) == (BLUE, BLUE)
    browser.js("handle.focus()")
    for key, expected in {"ArrowRight": 11, "ArrowLeft": 10, "PageUp": 20, "End": 100, "Home": 0}.items():
        browser.key(key)
        assert value() == expected, key
    browser.touch("touchStart", (near, middle))
    browser.touch("touchMove", (far - 20, middle))
    browser.touch("touchMove", (far, middle))
    browser.touch("touchEnd")
    browser.wait("handle.getAttribute('aria-valuenow') === '75'")
    assert "left <img src=x onerror" in browser.js("handle.getAttribute('aria-valuetext')")

    # Zoom: keys, buttons, the wheel around the pointer, dragging moves, two fingers
    whole = zoom()
    browser.key("1")
    assert zoom() == 100
    browser.key("0")
    assert zoom() == whole
    browser.js("document.getElementById('in').click()")
    browser.key("+")
    assert zoom() == pytest.approx(whole * 2.25, abs=2)
    assert browser.js("getComputedStyle(document.images[0]).imageRendering") == "pixelated"
    assert value() == 75  # the divider stays where it is
    under = f"(({near} - stage.getBoundingClientRect().x) - x) / zoom"
    before = browser.js(under)
    for _ in range(5):
        browser.mouse("mouseWheel", near, middle, deltaX=0, deltaY=-300)
    browser.wait(f"zoom * devicePixelRatio * 100 > {whole * 4}")
    assert browser.js(under) == pytest.approx(before, abs=0.5)
    place, slider = browser.js("x"), value()
    browser.drag((near, middle), (near - 20, middle), (near - 50, middle))
    assert browser.js("x") == pytest.approx(place - 50)
    browser.key("ArrowLeft", shift=True)
    assert browser.js("x") == pytest.approx(place + 10)
    assert value() == slider
    browser.js("document.getElementById('fit').click()")
    assert zoom() == whole
    browser.touch("touchStart", (near, middle), (far, middle))
    browser.touch("touchMove", (near - 40, middle), (far + 40, middle))
    browser.touch("touchMove", (near - 80, middle), (far + 80, middle))
    browser.touch("touchEnd")
    browser.wait(f"zoom * devicePixelRatio * 100 > {whole * 1.2}")
    browser.key("0")
    assert zoom() == whole

    # Candidate against candidate, then their differences; the original has none
    def select(side: str, index: int) -> None:
        browser.js(f"{side}.value = {index}; {side}.dispatchEvent(new Event('change'))")

    browser.js("slide(.5)")
    select("left", 2)
    assert (seen(near), seen(far)) == (GREEN, BLUE)
    browser.js("difference.click()")
    assert browser.js("difference.getAttribute('aria-pressed')") == "true"
    assert browser.js("legend.checkVisibility()")
    assert seen(near) == seen(far) == (252, 255, 164)  # both are 160 levels from the original
    select("left", 0)
    assert (seen(near), seen(far)) == (RED, (252, 255, 164))
    browser.key("d")
    assert (seen(near), seen(far)) == (RED, BLUE)
    select("right", 0)
    assert (seen(near), seen(far)) == (RED, RED)
    assert browser.js("document.querySelectorAll('#layers img:not([hidden])').length") == 1

    # A phone: nothing is wider than the screen
    browser.open(path, 360, 740, scale=2, dark=True)
    browser.js("difference.click()")
    assert browser.js("document.documentElement.scrollWidth") <= 360
    assert browser.errors == []
    assert {url.partition(":")[0] for url in browser.requests} <= {"file", "data"}
    assert {url for url in browser.requests if url.startswith("file:")} == {path.as_uri()}
