"""The page at the end of a run: its figures are those of files, training pictures are called so, and it is one file."""

from __future__ import annotations

import io
import itertools
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import Browser, browser  # noqa: F401 (a fixture)
from PIL import Image

import nicodec
from nicodec.bench import proof
from nicodec.bench.coders import Point
from nicodec.bench.proof import Facts, Proof, curves, numbers, page, words
from nicodec.bench.proof.numbers import Equal, Line, Single
from nicodec.bench.report import Report
from nicodec.picture import metrics

for _module in ("bjontegaard", "matplotlib"):
    pytest.importorskip(_module, reason="needs the extra [bench]")

FACTS = Facts(
    name="mine", n_bytes=4_000_000, start="photo", files=240, pixels=240e6, learnt=216, learnt_pixels=216_000_000,
    held=20, borrowed=False, gray=False, steps=1000, best=700, early=False,
    said=("The best state is that of step 700.",),
)  # fmt: skip


class FakeCodec:
    """Stands in for nicodec: WebP. All models but the first add a quarter to their files."""

    def __init__(self, model: Path | str = "photo", *, threads: int | None = None) -> None:
        self.more = 0 if "mine" in str(model) else 4

    def encode(self, image: Image.Image, *, quality: float = 50, lossless: bool | None = None) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=max(1, quality), method=2, lossless=bool(lossless))
        data = buffer.getvalue()
        return data + bytes(len(data) // self.more if self.more else 0)

    def decode(self, data: bytes) -> Image.Image:
        return Image.open(io.BytesIO(data[: 8 + int.from_bytes(data[4:8], "little")])).convert("RGB")


def picture(seed: int) -> Image.Image:
    """Shapes and noise, 144 pixels a side."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:144, :144]
    pixels = np.stack([x * a + y * b for a, b in rng.uniform(-0.6, 0.6, (3, 2))], -1) + 128
    pixels[(y - 70) ** 2 + (x - 60) ** 2 < 900] += 60
    return Image.fromarray(np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8))


@pytest.fixture
def prove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Prove `mine` on so many pictures; returns the proof, the text of the page and the numbers in JSON."""
    monkeypatch.setitem(vars(nicodec), "Codec", FakeCodec)

    def call(
        facts: Facts, count: int, rivals: tuple[str, ...] = ("jpeg", "webp"), start: str = "photo"
    ) -> tuple[Proof, str, dict[str, Any]]:
        held = tmp_path / "held-out"
        held.mkdir()
        for i in range(count):
            picture(i).save(held / f"{i:02}.png")
        found = proof.prove(
            held, tmp_path / "mine.nicmodel", facts, tmp_path / "mine.html", tmp_path / "mine.run",
            start=start, rivals=rivals, qualities=4, threads=1, seconds=lambda: 1800.0,
        )  # fmt: skip
        return (
            found,
            (tmp_path / "mine.html").read_text("utf-8"),
            json.loads((tmp_path / "mine.run/proof.json").read_text()),
        )

    return call


def test_the_figures_are_those_of_real_files(prove: Any, tmp_path: Path) -> None:
    found, text, numbers_of = prove(FACTS, 7)
    # The other model is the same with a quarter more bytes.
    assert found.against("nicodec:photo") == pytest.approx(-20, abs=0.1)
    assert all(one.against_photo == pytest.approx(-20, abs=0.3) for one in found.pictures)
    assert [line.label for line in found.lines] == ["JPEG", "WebP", "mine", "photo, the start"]
    names = sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".nicmodel")
    assert names == ["held-out", "mine.html", "mine.run"]
    assert sorted(path.name for path in (tmp_path / "mine.run").iterdir()) == [
        "points.csv", "proof.json", "rd.png", "results.json",
    ]  # fmt: skip
    # AVIF, or JPEG where it is not there, is encoded at its own setting; the folder has 240 megapixels.
    name, setting = found.equal.rival.rsplit(" ", 1)
    sizes = []
    for i in range(7):
        buffer = io.BytesIO()
        more = {"subsampling": "4:4:4", "speed": 6, "codec": "aom", "advanced": {"tune": "psnr"}, "max_threads": 1}
        picture(i).save(buffer, name, quality=int(setting), **(more if name == "AVIF" else {}))
        sizes.append(len(buffer.getvalue()))
    assert found.equal.rival_bytes == sum(sizes[: found.equal.pictures]) or found.equal.pictures < 7
    assert found.equal.folder_rival == pytest.approx(found.equal.rival_bytes / (found.equal.pictures * 144**2) * 240e6)
    # The numbers of the page are in JSON too.
    assert numbers_of["figures of"] == "held-out pictures"
    assert numbers_of["equal"]["percent"] == pytest.approx(found.equal.percent, abs=0.01)
    assert words.headline(found).replace(" %", "&nbsp;%") in text
    assert "30.0 minutes" in text
    assert "measured by --measure full" in text


def test_the_page_is_one_file_that_runs_nothing(prove: Any) -> None:
    facts = replace(FACTS, name="<img src=x onerror=alert(1)>", said=("</style><script>alert(1)</script>",))
    found, text, _ = prove(facts, 7)
    assert "<script" not in text
    assert "src=x" not in text.replace("&lt;img src=x", "")
    assert not re.findall(r"https?:", text)
    assert all(source.startswith("data:image/") for source in re.findall(r'src="([^"]*)"', text))
    assert text.count('class="shot"') == len(found.shots) == 6
    # Six crops in three versions, and the pictures that gain least.
    assert text.count("<img ") == 3 * 6 + len(page.worst(found))
    for shot in found.shots:
        assert shot.rival_bytes == pytest.approx(shot.own_bytes, rel=0.3)
    assert "{{" not in text


def test_figures_of_a_training_picture_are_called_so_and_no_picture_is_shown(prove: Any) -> None:
    found, text, numbers_of = prove(replace(FACTS, borrowed=True, held=0, learnt=1, files=1), 1)
    assert numbers_of["figures of"] == "a training picture"
    assert found.shots == ()
    assert "<img " not in text
    for said in (words.headline(found), words.basis(found), words.summary(found), words.warnings(found)[0]):
        assert "training picture" in said
    assert "held-out" not in text
    assert "your folder" not in words.headline(found)


def test_a_start_that_cannot_be_found_is_no_curve(prove: Any) -> None:
    found, text, _ = prove(replace(FACTS, start="lost"), 1, start="")
    assert found.start is None
    assert [line.label for line in found.lines] == ["JPEG", "WebP", "mine", "photo"]
    assert "<dt>Started from</dt><dd>lost</dd>" in text


def test_codecs_that_are_not_installed_are_named(prove: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = proof.coders.coders

    def without(*arguments: Any, **options: Any) -> list[Any]:
        return [
            replace(row, missing="not here") if row.name == "avif" else row for row in before(*arguments, **options)
        ]

    monkeypatch.setattr(proof.coders, "coders", without)
    found, text, _ = prove(FACTS, 2, ("jpeg", "avif"))
    assert found.missing["AVIF"] == "not here"
    assert "AVIF: not here" in text
    assert found.equal.rival == "JPEG 75"
    assert {shot.rival for shot in found.shots} == {"JPEG"}


def made(**changes: Any) -> Proof:
    """A proof of eight pictures."""
    photo, start = changes.pop("photo", -20.0), changes.pop("start", -25.0)
    points = tuple((0.05 * 2**i, 30.0 + 4 * i) for i in range(6))
    more = tuple((1.1 * rate, db) for rate, db in points)
    lines = (
        Line("jpeg", "JPEG", points, -60.0, None, None),
        Line("nicodec", "mine", points, None, 0.3, 0.2),
        Line("nicodec:photo-fast", "photo-fast, the start", more, start, 0.3, 0.2),
        Line("nicodec:photo", "photo", points, photo, 1.0, 0.5),
    )
    pictures = tuple(Single(i, start, photo) for i in range(8))
    facts = replace(FACTS, start="photo-fast")
    equal = Equal("AVIF 60", 41.0, 8, 180_000, 124_200, 1.8e9, 1.242e9)
    plain = Proof(facts, "2026-11-29", 1700.0, 5, lines, equal, 12.0, pictures, (), {}, "nicodec:photo-fast")
    return replace(plain, **changes)


def test_one_sentence_says_what_the_folder_takes() -> None:
    found = made(facts=replace(FACTS, files=10_000))
    assert words.headline(found) == (
        "At the quality of AVIF 60 your folder takes 31 % less: 10,000 pictures 1.24 GB in place of 1.8 GB."
    )
    assert words.warnings(found) == []
    worse = made(equal=replace(found.equal, own_bytes=189_000, folder_own=1.89e9))
    assert "takes 5.0 % more: 240 pictures 1.89 GB" in words.headline(worse)
    assert "no quality in common" in words.headline(made(equal=None))
    assert words.size(999) == "999 bytes"
    assert words.size(999_700) == "1 MB"
    assert words.size(123_456_789) == "123 MB"
    assert words.compared(0.01, "photo") == "as much as photo"
    assert words.compared(-60, "JPEG") == "60 % less than JPEG"
    assert "60 % less than JPEG, 25 % less than photo-fast, 20 % less than photo." in words.summary(found)


def reasons(**changes: Any) -> str:
    facts = replace(FACTS, start="photo-fast", **changes.pop("facts", {}))
    return " ".join(words.warnings(made(photo=0.5, facts=facts, **changes)))


def test_a_model_that_is_not_better_says_why_where_its_numbers_tell() -> None:
    assert "is not better than photo: it takes 0.5 % more" in reasons(start=0.0)
    alike = [replace(line, points=made().lines[0].points) for line in made(photo=0.5).lines]
    assert "much like the photographs that photo has learnt" in reasons(lines=tuple(alike))
    assert "from few pictures, 20; 100 or more" in reasons(facts={"learnt": 20})
    assert "too short" in reasons(facts={"best": 950})
    assert "too short" not in reasons(facts={"best": 700})
    mixed = tuple(Single(i, None, -8.0 if i < 4 else 9.0) for i in range(8))
    assert "4 of 8 pictures take at least 5 % less than with photo, and 4 at least 5 % more" in reasons(pictures=mixed)
    assert "mixed" not in reasons()
    assert "photo-fast, takes 10 % more than photo: its network is small and quick. --network full" in reasons()
    assert "hardly better than its start, photo-fast: it takes 0.7 % less" in " ".join(words.warnings(made(start=-0.7)))
    assert "not better than its start, photo-fast: it takes 0.2 % more" in " ".join(words.warnings(made(start=0.2)))
    assert words.warnings(made()) == []


def test_doubtful_figures_and_line_art_are_warned_of() -> None:
    assert "A mean over 3 held-out pictures says little." in words.warnings(made(pictures=made().pictures[:3]))
    assert "encode with --lossless" in " ".join(words.warnings(made(lossless=0.3)))
    assert words.warnings(made(lossless=1.0)) == []


def test_the_worst_pictures_are_those_against_photo_and_against_the_start() -> None:
    pictures = tuple(Single(i, [5, 0, 0, 0, 0, 9][i], [0, 1, 2, 3, None, -4][i]) for i in range(6))
    assert page.worst(made(pictures=pictures)) == [3, 2, 1, 5, 0, 4]
    assert page.worst(made(facts=replace(FACTS, borrowed=True))) == []


def test_bytes_at_equal_quality_are_interpolated_for_each_picture() -> None:
    """On curves that are straight lines over the logarithm of rates, exactly."""

    def point(codec: str, setting: float, image: str, bpp: float, psnr: float) -> Point:
        return Point(codec, setting, image, round(bpp * 1000), bpp, psnr, None, psnr, 0, 0, 1.0, 1.0)

    images = [{"name": name, "width": 80, "height": 100} for name in ("a", "b", "c")]
    report = Report({}, images=images)
    for name, first in (("a", 30.0), ("b", 34.0), ("c", 30.0)):
        report.points += [
            point("nicodec", q, name, 0.1 * 2**i, first + 5 * i) for i, q in enumerate((0, 25, 50, 75, 100))
        ]
    at = [point("avif", 60, "a", 1.0, 42.5), point("avif", 60, "b", 1.0, 46.5), point("avif", 60, "c", 1.0, 60.0)]
    found = numbers.equal(report, "AVIF 60", at, replace(FACTS, pixels=1e6))
    assert found is not None
    assert found.pictures == 2  # the third is outside the curve of the model
    assert found.own_bytes == pytest.approx(2 * 1000 * 0.1 * 2**2.5)
    assert found.rival_bytes == 2000
    assert found.folder_own == pytest.approx(found.own_bytes * 1e6 / 16_000)
    assert numbers.equal(report, "AVIF 60", at[2:], FACTS) is None
    assert metrics.rate_at([(1, 30), (2, 31)], 30.5) is None


def test_the_drawing_is_sound_whatever_the_curves_are() -> None:
    odd = Line("jpeg", "<b>JPEG</b> & a long name", ((0.0, 10.0), (0.1, 20.0), (0.2, math.inf)), None, None, None)
    one = Line("nicodec", "mine", ((0.1, 30.0), (0.2, 34.0), (0.4, 38.0)), None, None, None)
    drawn = curves.svg([odd, one, replace(one, name="nicodec:a"), replace(one, name="nicodec:photo")], "title")
    assert drawn.startswith("<svg")
    assert "nan" not in drawn
    assert "inf" not in drawn
    assert "<b>" not in drawn
    assert drawn.count("<polyline") == 3  # the first one is below the drawing
    heights = sorted(float(y) for y in re.findall(r'class="name [^"]*" x="[^"]*" y="([^"]*)"', drawn))
    assert all(b - a >= curves.APART - 0.2 for a, b in itertools.pairwise(heights))
    assert curves.svg([], "title") == ""


@pytest.mark.slow
def test_the_page_fits_a_phone_and_loads_nothing(
    prove: Any,
    browser: Browser,  # noqa: F811
    tmp_path: Path,
) -> None:
    prove(replace(FACTS, name="a_name_of_forty_letters_which_is_the_mos"), 6)
    for width, dark in ((1100, False), (360, True)):
        browser.open(tmp_path / "mine.html", width, 800, dark=dark)
        browser.wait("[...document.images].every(image => image.complete && image.naturalWidth)")
        assert browser.js("document.documentElement.scrollWidth") <= width
        assert browser.js("document.querySelector('svg').getBoundingClientRect().height") > 150
        paper = browser.js("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(22, 22, 22)" if dark else "rgb(247, 247, 247)")
    # Each curve has a colour of its own, and none is filled.
    strokes = browser.js("[...document.querySelectorAll('polyline')].map(l => getComputedStyle(l).stroke)")
    assert len(set(strokes)) == len(strokes) == 4
    fills = browser.js("[...document.querySelectorAll('polyline')].map(l => getComputedStyle(l).fill)")
    assert set(fills) == {"none"}
    assert browser.errors == []
    assert {url.partition(":")[0] for url in browser.requests} <= {"file", "data"}
