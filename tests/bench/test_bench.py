"""The benchmark against files made by hand: what it reports must be what the codecs wrote and gave back."""

import csv
import hashlib
import importlib.util
import io
import json
import math
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import nicodec
from nicodec.bench import coders, conditions, crops, figures, photographs, report, run
from nicodec.errors import BadImage, LimitExceeded, MissingExtra, ModelNotFound, NicError
from nicodec.picture import metrics

for _module in ("bjontegaard", "matplotlib"):
    pytest.importorskip(_module, reason="needs the extra [bench]")

ROWS = {row.name: row for row in coders.coders()}
HERE = [row for row in ROWS.values() if not row.missing and row.name != "nicodec"]


def picture(width: int, height: int, phase: int = 0) -> Image.Image:
    """Slopes, edges and texture, so that every codec has something to lose; integers only."""
    i, j, c = np.ogrid[:height, :width, :3]
    slope = (i + 2 * j + phase) // 3 + 30 * c
    texture = (i * j // 7 + phase) % 29 * (j // 40 % 2)
    edges = (i // 24 + j // 32 + c) % 3 * 30
    return Image.fromarray(np.clip(slope + texture + edges, 0, 255).astype(np.uint8))


def test_conditions_name_the_backend_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NICODEC_BACKEND", "openvino")
    assert conditions.conditions("photo-fast", (), 3, 1)["backend"] == "openvino"


class FakeCodec:
    """Stands in for nicodec: WebP, at files a good deal larger than nicodec's."""

    opened: list[tuple[str, int]] = []  # noqa: RUF012

    def __init__(self, model: str = "photo", *, threads: int | None = None) -> None:
        assert threads is not None
        self.opened.append((model, threads))

    def encode(self, image: Image.Image, *, quality: float, lossless: bool | None = None) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=4)
        return buffer.getvalue()

    def decode(self, data: bytes) -> Image.Image:
        return Image.open(io.BytesIO(data)).convert("RGB")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(nicodec), "Codec", FakeCodec)
    monkeypatch.setattr(FakeCodec, "opened", [])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "images"
    images.mkdir()
    picture(200, 170).save(images / "a.png")
    picture(163, 190, 50).save(images / "b.png")
    (images / "notes.txt").write_text("no picture, and not asked about")
    return images


ANCHORS = {
    "pub:vtm": {
        "source": "published",
        "description": "somebody's",
        "points": [{"bpp": 0.1 * 2**k, "psnr": 28.0 + 4 * k, "msssim": 1 - 0.06 / 2**k} for k in range(6)],
    },
    "own": {"source": "measured", "description": "", "points": []},
}


def test_a_whole_run(fake: None, folder: Path, tmp_path: Path) -> None:
    anchors = tmp_path / "anchors.json"
    anchors.write_text(json.dumps(ANCHORS))
    out = tmp_path / "new" / "out"
    found = run.run(
        [folder], out, codecs=["nicodec", "jpeg", "jpeg-444"], points=5, model="mine", threads=2,
        anchors=anchors, show_progress=False,
    )  # fmt: skip
    assert sorted(p.name for p in out.iterdir()) == ["points.csv", "rd.png", "results.json"]
    assert FakeCodec.opened == [("mine", 2)]  # loaded once

    # Every point is of a real file that anybody can make again.
    points = list(csv.DictReader((out / "points.csv").read_text().splitlines()))
    assert len(points) == len(found.points) == 2 * 3 * 5
    for point in points:
        image, _ = photographs.load(folder / point["image"])
        buffer = io.BytesIO()
        if point["codec"] == "jpeg":
            image.save(buffer, "JPEG", quality=int(point["setting"]))
        elif point["codec"] == "jpeg-444":
            options = {"subsampling": 0, "optimize": True, "progressive": True}
            image.save(buffer, "JPEG", quality=int(point["setting"]), **options)
        else:
            buffer.write(FakeCodec(threads=1).encode(image, quality=int(point["setting"])))
        assert int(point["n_bytes"]) == len(buffer.getvalue())
        assert float(point["bpp"]) == pytest.approx(8 * len(buffer.getvalue()) / math.prod(image.size), abs=1e-6)
        x, y = (np.asarray(im.convert("RGB"), np.float64) for im in (image, Image.open(buffer)))
        assert float(point["psnr"]) == pytest.approx(10 * math.log10(255**2 / np.mean((x - y) ** 2)), abs=1e-5)
        assert 0.1 < float(point["msssim"]) < 1
        left, top = int(point["worst_x"]), int(point["worst_y"])
        errors = ((x - y) ** 2)[top : top + 16, left : left + 16]
        assert float(point["worst_psnr"]) == pytest.approx(10 * math.log10(255**2 / np.mean(errors)), abs=1e-5)
        assert float(point["worst_psnr"]) < float(point["psnr"])
        assert float(point["encode_s"]) > 0
        assert float(point["decode_s"]) > 0

    results = json.loads((out / "results.json").read_text())
    assert results["conditions"]["versions"]["pillow"]
    assert results["conditions"]["threads"] == 2
    assert results["conditions"]["backend"] == "cpu"
    assert [image["name"] for image in results["images"]] == ["a.png", "b.png"]
    for image in results["images"]:
        assert image["sha256"] == hashlib.sha256((folder / image["name"]).read_bytes()).hexdigest()
    curves = {curve["name"]: curve for curve in results["curves"]}
    assert curves.keys() == {"jpeg", "jpeg-444", "nicodec", "pub:vtm"}  # "own" is no published curve
    for name in ("jpeg", "nicodec"):
        assert len(curves[name]["points"]) == 5
        for mean in curves[name]["points"]:
            same = [p for p in found.points if (p.codec, p.setting) == (name, mean["setting"])]
            assert len(same) == 2
            assert mean["bpp"] == pytest.approx(fmean(p.bpp for p in same), abs=1e-6)
            assert mean["psnr"] == pytest.approx(fmean(p.psnr for p in same), abs=1e-6)
            assert mean["msssim"] == pytest.approx(fmean(p.msssim or 0 for p in same), abs=1e-6)
            worst = min(same, key=lambda p: p.worst_psnr)
            assert mean["worst"]["psnr"] == pytest.approx(worst.worst_psnr, abs=1e-6)
            place = (mean["worst"][key] for key in ("image", "x", "y"))
            assert tuple(place) == (worst.image, worst.worst_x, worst.worst_y)
        assert curves[name]["encode_s_per_mp"] > 0

    compared = {(c["codec"], c["reference"], c["metric"], bool(c["window"])): c for c in results["bd_rates"]}
    pairs = {("jpeg-444", "jpeg"), ("nicodec", "jpeg"), ("pub:vtm", "jpeg"), ("nicodec", "jpeg-444"),
             ("nicodec", "pub:vtm")}  # fmt: skip
    assert compared.keys() == {(*p, m, w) for p in pairs for m in ("psnr", "msssim") for w in (False, True)}
    with Image.open(out / "rd.png") as plot:
        assert plot.size == (1950, 900)


def test_several_models_in_one_run(fake: None, folder: Path, tmp_path: Path) -> None:
    """The first is compared with all others, each of which is a row of its own."""
    found = run.run(
        [folder], tmp_path, codecs=["nicodec"], points=4, model="mine", further=["my/other.nicmodel"],
        show_progress=False,
    )  # fmt: skip
    assert [curve.label for curve in found.curves] == ["nicodec", "nicodec other"]
    assert FakeCodec.opened == [("mine", 1), ("my/other.nicmodel", 1)]
    made = found.comparison("nicodec", "nicodec:my/other.nicmodel")
    assert made is not None
    assert made.rate is not None
    assert made.rate.percent == pytest.approx(0)
    assert found.conditions["further"] == {"nicodec:my/other.nicmodel": None}


def test_the_report_names_the_worst_cell_of_each_codec() -> None:
    found = report.Report({}, images=[{"name": n, "width": 99, "height": 99} for n in ("a[b].png", "c")])
    for image, quality, db in (("a[b].png", 20, 25.0), ("c", 20, 24.0), ("a[b].png", 65, 3.25), ("c", 65, 30)):
        found.points.append(coders.Point("nicodec", quality, image, 1, 0.1, 32, 0.9, db, 48, 160, 1, 1))
    curve = report.mean_curve(ROWS["nicodec"], found)
    assert [point.worst for point in curve.points] == [
        report.WorstCell("c", 24.0, 48, 160),
        report.WorstCell("a[b].png", 3.25, 48, 160),
    ]
    found.curves = [curve, report.Curve("pub:x", "x", "", "published", (report.MeanPoint(None, 1, 30, 0.9),))]
    text = io.StringIO()
    found.print(Console(file=text, width=80))
    assert [line.split() for line in text.getvalue().splitlines() if "48, 160" in line] == [
        ["nicodec", "3.2", "65", "48,", "160", "a[b].png"]
    ]


def test_bd_rates_are_of_mean_curves_and_of_each_image() -> None:
    found = report.Report({}, images=[{"name": n, "width": 1000, "height": 1000} for n in ("a", "b", "c")])
    saving = {"a": 0.5, "b": 0.8, "c": 0.9}
    for image, factor in saving.items():
        for k in range(6):
            rate, db, similarity = 0.1 * 2**k, 25.0 + 3 * k, 1 - 0.2 / 2**k
            found.points += [
                coders.Point("jpeg", k, image, 1, rate, db, similarity, db - 9, 0, 0, 0.1 * (k + 1), 0.2),
                coders.Point("nicodec", k, image, 1, rate * factor, db, similarity, db, 0, 0, 3.0, 0.4),
            ]
    rows = [row for row in ROWS.values() if row.name in ("jpeg", "nicodec")]
    found.curves = [report.mean_curve(row, found) for row in rows]
    found.comparisons = report.compare(found)
    assert found.curves[0].encode_s_per_mp == pytest.approx(0.35)  # a median
    for metric in ("psnr", "msssim"):
        for window in (None, report.WINDOW):
            one = found.comparison("nicodec", "jpeg", metric, window)
            assert one is not None
            assert one.rate is not None
            assert one.rate.percent == pytest.approx(100 * fmean(saving.values()) - 100)
            assert one.images == 3
            assert one.image_mean == pytest.approx(-100 * (0.5 + 0.2 + 0.1) / 3)
            assert (one.image_worst, one.worst_image) == (pytest.approx(-10), "c")
    assert found.comparison("jpeg", "nicodec") is None

    text = io.StringIO()
    found.left_out["jxl"] = "pip install pillow-jxl-plugin"
    found.print(Console(file=text, width=80))
    assert "-26.7" in text.getvalue()
    assert "-10.0" in text.getvalue()
    assert "…" not in text.getvalue()  # nothing cut off at 80 columns
    assert "left out: jxl: pip install pillow-jxl-plugin" in text.getvalue()


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_settings_rise_over_the_whole_ladder(row: coders.Coder) -> None:
    for points in (4, 8, 11):
        settings = row.settings(points)
        assert settings == sorted(set(settings))
        assert len(settings) == points
        assert (settings[0], settings[-1]) == (row.ladder[0], row.ladder[-1])
    if row.name == "nicodec":
        assert row.settings(11) == list(range(0, 101, 10))


@pytest.mark.parametrize("row", HERE, ids=[row.name for row in HERE])
def test_every_codec_gives_more_for_more_bytes(row: coders.Coder) -> None:
    image = picture(192, 176)
    points = [coders.measure(row, row.setting(position), image, "x") for position in (0, 0.5, 1)]
    assert sorted({p.n_bytes for p in points}) == [p.n_bytes for p in points]
    assert sorted({p.psnr for p in points}) == [p.psnr for p in points]
    assert points[2].psnr > 33  # and colours arrive: a wrong colour space would end far below


def test_formats_are_what_they_claim() -> None:
    image = picture(64, 48)
    jpeg = b"\xff\xd8\xff"
    heads = {"jpeg": jpeg, "jpeg-444": jpeg, "webp": b"RIFF", "jpeg2000": b"\xff\x4f\xff\x51", "jxl": b"\xff\x0a"}
    for row in HERE:
        data = row.encode(image, row.setting(0.5))
        assert data.startswith(heads.get(row.name, b"")), row.name
        if row.name.startswith("avif"):
            assert data[4:12] == b"ftypavif"


@pytest.mark.filterwarnings("ignore:.*its transparency is left out")
def test_metadata_and_alpha_cost_nothing(folder: Path, tmp_path: Path) -> None:
    plain, plain_digest = photographs.load(folder / "a.png")
    decorated = tmp_path / "decorated.png"
    exif = Image.Exif()
    exif[0x010E] = "a description" * 50
    rgba = plain.copy()
    rgba.putalpha(120)
    rgba.save(decorated, exif=exif, icc_profile=b"not looked at" * 20)
    image, digest = photographs.load(decorated)
    assert image.info == {}
    assert image.mode == "RGB"
    assert digest != plain_digest
    assert np.array_equal(np.asarray(image), np.asarray(plain))
    for row in HERE:
        assert row.encode(image, row.setting(0.5)) == row.encode(plain, row.setting(0.5)), row.name


def cut_out(path: Path, hidden: int) -> Image.Image:
    """A picture whose left half is clear, over a colour that nobody sees."""
    rgba = picture(200, 180).convert("RGBA")
    rgba.paste((hidden, 0, hidden, 0), (0, 0, 100, 180))
    rgba.save(path)
    return rgba


def test_transparency_that_is_left_out_is_told(tmp_path: Path) -> None:
    cut_out(tmp_path / "t.png", 255)
    with pytest.warns(UserWarning, match=r"t\.png: its transparency is left out"):
        image, _ = photographs.load(tmp_path / "t.png")
    assert image.mode == "RGB"


@pytest.mark.parametrize("row", HERE, ids=[row.name for row in HERE])
def test_a_transparent_picture_is_measured_where_it_is_not_clear(row: coders.Coder, tmp_path: Path) -> None:
    cut_out(tmp_path / "t.png", 255)
    cut_out(tmp_path / "u.png", 0)
    images = [photographs.load(tmp_path / name, alpha=True)[0] for name in ("t.png", "u.png")]
    assert [image.mode for image in images] == ["RGBA", "RGBA"]
    setting = row.setting(0.8)
    points = [coders.measure(row, setting, image, "p") for image in images]
    assert points[0].psnr > 20
    assert points[0].msssim is None
    back = row.decode(row.encode(row.given(images[0]), setting))
    assert back.mode == ("RGBA" if row.alpha else "RGB")
    if not row.alpha:
        assert points[0].n_bytes == points[1].n_bytes


def test_crops_show_what_is_clear_as_squares(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(tmp_path / "t.png")
    out = tmp_path / "crops.png"
    crops.crops([tmp_path / "t.png"], out, target_bpp=1, codecs=["jpeg", "webp"], show_progress=False)
    with Image.open(out) as sheet:
        panel = np.asarray(sheet.convert("RGB"))[34 : 34 + 256, 8 : 8 + 256]
    assert sorted(np.unique(panel)) == [200, 240]


@pytest.mark.parametrize(("mode", "becomes"), [("1", "L"), ("L", "L"), ("LA", "L"), ("P", "RGB")])
def test_other_8_bit_modes_become_gray_or_rgb(mode: str, becomes: str, tmp_path: Path) -> None:
    picture(30, 20).convert("L" if mode == "LA" else mode).convert(mode).save(tmp_path / "x.png")
    image, _ = photographs.load(tmp_path / "x.png")
    assert (image.mode, image.size) == (becomes, (30, 20))


@pytest.mark.parametrize("row", HERE, ids=lambda row: row.name)
def test_a_gray_picture_is_measured_as_gray(row: coders.Coder) -> None:
    """No codec pays for colours that are not there, and none loses by a conversion."""
    gray = picture(180, 170).convert("L")
    setting = row.setting(0.7)
    assert row.back(row.encode(gray, setting), gray).mode == "L"
    point = coders.measure(row, setting, gray, "gray.png")
    assert point.psnr > 25
    assert point.n_bytes < 1.01 * len(row.encode(gray.convert("RGB"), setting))


BAD = ["text.png", "empty.png", "cut.png", "deep.png", "ink.jpg", "missing.png", "bare"]


def bad_images(folder: Path) -> None:
    good = (folder / "a.png").read_bytes()
    (folder / "text.png").write_text("this is no picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes(good[: len(good) // 2])
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(folder / "deep.png")
    picture(8, 8).convert("CMYK").save(folder / "ink.jpg")
    (folder / "bare").mkdir()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_is_named_and_nothing_is_written(name: str, folder: Path, tmp_path: Path) -> None:
    bad_images(folder)
    with pytest.raises(BadImage, match=name):
        run.run([folder / "a.png", folder / name], tmp_path / "out", codecs=["jpeg"], points=4, show_progress=False)
    assert not (tmp_path / "out").exists()


def test_pictures_and_files_of_no_measure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)  # a.png has 34,000: Pillow would only warn
        with pytest.raises(LimitExceeded, match=r"a\.png"):
            photographs.load(folder / "a.png")


def test_small_pictures_have_no_msssim_and_lossless_ones_no_finite_psnr(fake: None, tmp_path: Path) -> None:
    Image.new("RGB", (40, 160), (10, 20, 30)).save(tmp_path / "flat.png")
    out = tmp_path / "out"
    found = run.run([tmp_path / "flat.png"], out, codecs=["nicodec", "jpeg"], points=4, show_progress=False)
    assert all(point.msssim is None for point in found.points)
    assert any(math.isinf(point.psnr) for point in found.points)
    curves = json.loads((out / "results.json").read_text())["curves"]  # and the file is JSON: no Infinity
    assert any(point["psnr"] is None for curve in curves for point in curve["points"])


def test_a_missing_codec_is_left_out(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl.JpegXLImagePlugin", None)
    found = run.run([folder / "a.png"], tmp_path / "out", codecs=["jpeg", "jxl"], points=4, show_progress=False)
    assert list(found.left_out) == ["jxl"]
    assert [curve.name for curve in found.curves] == ["jpeg"]
    with pytest.raises(NicError, match="jxl"):
        run.run([folder / "a.png"], tmp_path / "none", codecs=["jxl"], points=4, show_progress=False)


def test_arguments_that_cannot_be_meant(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="jepg"):
        run.run([folder], tmp_path / "out", codecs=["jepg"], show_progress=False)
    with pytest.raises(ValueError, match="4 points"):
        run.run([folder], tmp_path / "out", points=3, show_progress=False)
    with pytest.raises(NicError, match="not a folder"):
        run.run([folder], folder / "a.png", codecs=["jpeg"], show_progress=False)


@pytest.mark.parametrize("module", ["matplotlib", "bjontegaard"])
def test_missing_extras_are_named_first(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=r"nicodec\[bench\]"):
        run.run([tmp_path / "never looked at"], tmp_path / "out", show_progress=False)


def broken(encode: Any = None, decode: Any = None) -> coders.Coder:
    return coders.Coder("it", "It", "", (0, 1), encode or (lambda im, q: b"x"), decode or (lambda data: None))


def test_a_codec_that_fails_is_named_with_its_picture() -> None:
    image = picture(20, 10)

    def crash(*_: object) -> bytes:
        raise OSError("encoder error -2")

    with pytest.raises(NicError, match=r"p\.png: it at 1 failed: encoder error -2"):
        coders.measure(broken(encode=crash), 1, image, "p.png")

    def refuse(*_: object) -> bytes:
        raise LimitExceeded("too wide")

    with pytest.raises(LimitExceeded, match=r"p\.png: it at 1 failed: too wide"):
        coders.measure(broken(encode=refuse), 1, image, "p.png")

    def no_model(*_: object) -> bytes:
        raise ModelNotFound("no model 'fotos'")

    with pytest.raises(ModelNotFound, match=r"^no model 'fotos'$"):  # not this picture's fault
        coders.measure(broken(encode=no_model), 1, image, "p.png")
    for back in (picture(10, 20), image.convert("L")):
        with pytest.raises(NicError, match=r"p\.png: it at 1 gave back"):
            coders.measure(broken(decode=lambda data, back=back: back), 1, image, "p.png")


def test_the_photographs_of_scikit_image(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("skimage") is None:
        pytest.skip("needs the extra [bench]")
    found = photographs.photographs()
    assert [path.stem for path in found] == [
        "astronaut", "chelsea", "coffee", "rocket", "motorcycle_left", "hubble_deep_field",
    ]  # fmt: skip
    for path in found:
        image, _ = photographs.load(path)
        assert min(image.size) >= metrics.MSSSIM_MIN_SIDE
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingExtra, match=r"nicodec\[bench\]"):
        photographs.photographs()


def test_pictures_of_one_name_are_told_apart(folder: Path, tmp_path: Path) -> None:
    twin = tmp_path / "a.png"
    picture(30, 30).save(twin)
    paths = photographs.find_images([folder, twin, twin])
    assert paths == [folder / "a.png", folder / "b.png", twin]
    found = run.run(paths, tmp_path / "out", codecs=["jpeg"], points=4, show_progress=False)
    assert len({image["name"] for image in found.images}) == 3


POINT = {"bpp": 1.0, "psnr": 30.0}


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "[1]", "3", "null", '{"a": 1}', '{"a": {}}', "[" * 100_000, "\x00\xff",
        json.dumps({"a": {"source": "published", "points": [{"bpp": 1}]}}),
        json.dumps({"a": {"source": "published", "points": [POINT | {"bpp": -1}]}}),
        json.dumps({"a": {"source": "published", "points": [POINT | {"psnr": "loud"}]}}),
        json.dumps({"a": {"source": "published", "points": [POINT | {"msssim": 2}]}}),
        '{"a": {"source": "published", "points": [{"bpp": NaN, "psnr": 30}]}}',
        '{"a": {"source": "published", "points": [{"bpp": 1e999, "psnr": 30}]}}',
        json.dumps({"a": {"source": "published", "points": 7}}),
    ],
)  # fmt: skip
def test_hostile_anchors(text: str, tmp_path: Path) -> None:
    path = tmp_path / "anchors.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(NicError, match=r"anchors\.json"):
        report.read_anchors(path)


def test_anchors_by_name(tmp_path: Path) -> None:
    path = tmp_path / "anchors.json"
    path.write_text(json.dumps(ANCHORS))
    assert [curve.label for curve in report.read_anchors(path)] == ["vtm"]
    assert report.read_anchors(path, ["own"])[0].points == ()
    for names, where in ((["pub:hm"], path), (None, tmp_path / "missing.json")):
        with pytest.raises(NicError, match=where.name):
            report.read_anchors(where, names)


def test_crops_stand_side_by_side_at_one_rate(fake: None, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops.png"
    pictures = [folder / "a.png", folder / "b.png"]
    found = crops.crops(pictures, out, target_bpp=1.0, side=100, codecs=("nicodec", "jpeg"))
    assert [list(row) for row in found] == [["nicodec", "jpeg"]] * 2
    assert all(0.85 < point.bpp < 1.15 for row in found for point in row.values())
    with Image.open(out) as sheet:
        assert sheet.size == (3 * (300 + 8) + 8, 2 * (34 + 300) + 8)
        shown = [sheet.crop((8, 34 + y, 308, 334 + y)).resize((100, 100), 0) for y in (0, 334)]
    for path, square in zip(pictures, shown, strict=True):
        with Image.open(path) as image:
            box = crops.busiest(image, 100)
            assert np.array_equal(np.asarray(square), np.asarray(image.crop(box)))
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["crops.png"]


def test_crops_lie_where_detail_is() -> None:
    pixels = np.full((300, 400, 3), 90, np.uint8)
    pixels[210:230, 250:270:2] = 200
    left, top, right, bottom = crops.busiest(Image.fromarray(pixels), 100)
    assert left <= 250 < 270 <= right
    assert top <= 210 < 230 <= bottom
    assert (right - left, bottom - top) == (100, 100)
    assert crops.busiest(Image.fromarray(pixels), 300)[1::2] == (0, 300)


def test_a_rate_out_of_reach_takes_the_nearest(folder: Path, tmp_path: Path) -> None:
    for target, quality in ((0.001, 3), (24.0, 95)):
        (found,) = crops.crops([folder / "a.png"], tmp_path / "x.png", target_bpp=target, codecs=("jpeg",))
        assert found["jpeg"].setting == quality


def test_crops_from_the_command_line(run: Any, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    code, stdout, _ = run("bench", folder, "-o", out, "--crops", "1", "-c", "jpeg")
    assert (code, stdout.decode().strip()) == (0, str(out / "crops.png"))
    with Image.open(out / "crops.png") as sheet:
        assert sheet.format == "PNG"
    for rate in ("0", "-1", "nan", "25"):
        assert run("bench", folder, "-o", tmp_path / "no", "--crops", rate)[0] == 2
    assert not (tmp_path / "no").exists()


def test_curves_are_cut_where_they_leave_the_panel_and_prolonged_for_their_label() -> None:
    line = [(0.5, 30.0), (1.0, 32.0), (3.0, 36.0)]
    assert figures._until(line, 2.0) == [(0.5, 30.0), (1.0, 32.0), (2.0, 34.0)]
    assert figures._until(line, 9.0) == line
    assert figures._until(line, 0.1) == line[:1]
    assert figures._height(line[:2], 2.0) == 36
    assert figures._height(line[:1], 2.0) == 30


def test_plot_of_nothing_and_of_curves_without_msssim() -> None:
    point = report.MeanPoint(1, 0.5, 30.0, None)
    for points in ((), (point,), (point, report.MeanPoint(2, 3.0, math.inf, 1.0))):
        curve = report.Curve("jpeg", "JPEG", "", "measured", points)
        with Image.open(io.BytesIO(figures.rd_plot([curve], "a title"))) as plot:
            plot.verify()
