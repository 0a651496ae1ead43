"""What good pictures teach: scores, thresholds with a promise, maps on one scale, files, pages."""

import base64
import contextlib
import hashlib
import re
import struct
import subprocess
import weakref
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from drawn_parts import SIDE, SPOT, part
from PIL import Image

from nicodec import NicError, api
from nicodec.bitstream import container
from nicodec.explore.normal import checking, expected, fields, file, learning, looking, page, twins
from nicodec.explore.normal.fields import Gaussian, Moments
from nicodec.explore.normal.learning import Item
from nicodec.explore.normal.normal import Normal, Scale

MODEL = "photo-fast"


def run(work: Callable[[Item], object], items: list[Item]) -> list[tuple[Item, object]]:
    return [(item, work(item)) for item in items]


def saved(folder: Path, name: str, pixels: np.ndarray) -> str:
    path = folder / name
    Image.fromarray(pixels[:, :, 0]).save(path)
    return str(path)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    folder = tmp_path_factory.mktemp("good")
    return [Item(saved(folder, f"{n:02}.png", part(n))) for n in range(24)]


@pytest.fixture(scope="module")
def normal(good: list[Item]) -> Normal:
    return learning.learn(good, run, model=MODEL, false_alarms=0.05)  # type: ignore[arg-type]


def test_a_spot_is_odd_and_a_good_part_is_not(normal: Normal) -> None:
    codec = checking.codec_of(normal)
    threshold = normal.scale.threshold(0.05)
    fine = [checking.check(part(seed), normal, codec) for seed in range(100, 108)]
    odd = [checking.check(part(seed, spot=True), normal, codec) for seed in range(200, 204)]
    assert max(f.score for f in fine) < min(f.score for f in odd)
    assert all(f.score > threshold for f in odd)
    for finding in odd:
        x, y, width, height, score = finding.boxes(threshold)[0]
        assert x < SPOT[0] + SIDE and SPOT[0] < x + width  # noqa: PT018
        assert y < SPOT[1] + SIDE and SPOT[1] < y + height  # noqa: PT018
        assert score == pytest.approx(finding.score)
        assert x + width <= 192 and y + height <= 160  # noqa: PT018


def test_a_box_hugs_a_strong_defect_and_keeps_a_weak_one_beside_it() -> None:
    y, x = np.mgrid[:20, :30]
    cells = 40 * np.exp(-((y - 5) ** 2 + (x - 6) ** 2) / 16) + 9 * np.exp(-((y - 5) ** 2 + (x - 16) ** 2) / 4)
    finding = checking.Finding(480, 320, cells.astype(np.float32))
    assert (cells[5, 6:17] > 0.5).all()  # one group, by the threshold alone
    strong, weak = finding.boxes(0.5)
    assert strong[:4] == (64, 48, 80, 80)
    assert weak[:4] == (240, 64, 48, 48)
    assert finding.boxes(39)[0][:4] == (96, 80, 16, 16)
    below = checking.Finding(480, 320, (cells - 50).astype(np.float32)).boxes(-11)  # with numbers below zero too
    assert below[0][:4] == (96, 80, 16, 16)


def test_a_map_is_bright_where_it_is_odd_and_dark_elsewhere_on_one_scale(normal: Normal) -> None:
    codec, threshold = checking.codec_of(normal), normal.scale.threshold(0.05)
    fine, odd = (checking.check(part(300, spot=spot), normal, codec) for spot in (False, True))
    dark, bright = (checking.light(found, normal.scale, threshold) for found in (fine, odd))
    assert dark.shape == bright.shape == (160, 192)
    assert dark.max() < 0.5 < bright.max()
    y, x = (float(places.mean()) for places in np.nonzero(bright > 0.5))
    assert SPOT[0] <= x <= SPOT[0] + SIDE
    assert SPOT[1] <= y <= SPOT[1] + SIDE
    assert checking.light(odd, normal.scale, threshold, (96, 80)).shape == (80, 96)


def test_each_good_picture_is_scored_without_itself(good: list[Item], tmp_path: Path) -> None:
    """An odd part among the good ones is odder to those that do not know it than to those that do."""
    given: list[tuple[learning.Leave, Item]] = []

    def watched(work: Callable[[Item], object], items: list[Item]) -> list[tuple[Item, object]]:
        if isinstance(work, learning.Leave):
            given.extend((work, item) for item in items)
        return run(work, items)

    items = [*good, Item(saved(tmp_path, "odd.png", part(400, spot=True)))]
    learnt = learning.learn(items, watched, model=MODEL, false_alarms=0.05)  # type: ignore[arg-type]
    assert len(learnt.scale.scores) == len(items)
    work, item = given[-1]
    assert item.source.endswith("odd.png")
    maps = [work(replace(item, fold=fold))[0][2].max() for fold in range(learning.FOLDS)]
    assert maps[item.fold] > max(value for fold, value in enumerate(maps) if fold != item.fold) + 0.05


def test_learning_keeps_no_sums_of_single_pictures(good: list[Item]) -> None:
    """Those of one picture take 5 MB."""
    alive: weakref.WeakSet[Moments] = weakref.WeakSet()
    most = 0

    def watched(work: Callable[[Item], list[Moments]], items: list[Item]) -> Iterator[tuple[Item, object]]:
        nonlocal most
        for item in items:
            found = work(item)
            if isinstance(work, learning.Gather):
                alive.update(found)
                most = max(most, len(alive))
            yield item, found

    learning.learn(good[:12], watched, model=MODEL, false_alarms=0.05)  # type: ignore[arg-type]
    assert 0 < most <= len(fields.SCALES) * (learning.FOLDS + 2)


@pytest.mark.parametrize(("share", "rank"), [(0.5, 5), (0.2, 8), (0.1, 9), (0.01, 9), (0.999, 1)])
def test_the_threshold_is_that_of_conformal_prediction(share: float, rank: int) -> None:
    scale = Scale(0, 1, 0, 1, np.arange(1, 10, dtype=np.float32))
    assert scale.threshold(share) == rank
    assert scale.least == pytest.approx(0.1)


def test_a_promise_holds_for_scores_in_any_order() -> None:
    rng = np.random.default_rng(0)
    passed = []
    for _ in range(2000):
        scores = rng.exponential(size=40).astype(np.float32)
        passed.append(scores[-1] > Scale(0, 1, 0, 1, np.sort(scores[:-1])).threshold(0.1))
    assert 0.08 < np.mean(passed) < 0.115


def test_larger_pictures_get_no_larger_scores(tmp_path: Path) -> None:
    """More cells have a larger maximum by chance; with good pictures of several sizes this is taken off."""
    rng = np.random.default_rng(1)
    off = [rng.normal(size=(n, 20)).astype(np.float32) for n in (2, 4, 8, 16, 32, 64) * 10]
    growth, usual = learning._growth(off, 1.0)
    scale = Scale(0, 1, growth, usual, np.zeros(2, np.float32))
    scores = np.array([scale.numbers(part).max() for part in off])
    sizes = np.log([part.size for part in off])
    assert growth > 0.2
    assert abs(np.corrcoef(sizes, scores)[0, 1]) < 0.05 < np.corrcoef(sizes, [p.max() for p in off])[0, 1]
    assert learning._growth([part[:2] for part in off], 1.0)[0] == 0


def test_the_kind_is_the_one_by_which_good_pictures_differ_least() -> None:
    rng = np.random.default_rng(2)
    noise = [rng.normal(0, 0.1, (6, 8)).astype(np.float32) for _ in range(30)]
    place = rng.normal(0, 2, (6, 8)).astype(np.float32)
    level = [np.float32(rng.normal(0, 3)) for _ in noise]
    kinds = {
        "all": noise,
        "place": [part + place for part in noise],
        "own": [part[: 4 + n % 3] + lift for n, (part, lift) in enumerate(zip(noise, level, strict=True))],
    }
    for kind, maps in kinds.items():
        chosen = learning._choice([[part, part, part] for part in maps])
        assert chosen.kind == kind or (kind == "all" and chosen.spread > 0), kind


def test_a_defect_does_not_explain_itself() -> None:
    values = np.zeros((9, 9), np.float32)
    values[4, 4] = 9
    assert expected.others(values)[3:6, 4].tolist() == [0, 0, 0]
    assert expected.others(values)[0, 4] > 0


def test_gaussians_of_few_cells_are_finite_and_of_many_white() -> None:
    rng = np.random.default_rng(3)
    few = Gaussian.of(Moments.of(rng.normal(size=(12, 2, 2)).astype(np.float32)))
    assert np.isfinite(few.whitening).all()
    cells = rng.normal(size=(12, 12)) @ rng.normal(size=(12, 4000)) + 3
    found = cells.reshape(12, 40, 100).astype(np.float32)
    many = Gaussian.of(Moments.of(found))
    white = (fields.beside(found).reshape(24, -1).T - many.mean) @ many.whitening
    assert np.mean(white**2) == pytest.approx(1, abs=0.1)
    assert abs(many.unlike(found).mean()) < 0.3


def test_a_large_picture_is_seen_in_pieces_without_seams() -> None:
    codec = api.codec_of(MODEL, 1)
    pixels = np.tile(part(5, height=96, width=900), (1, 1, 1))
    whole = fields.features(pixels, codec, 1)
    assert whole.shape == (240, 6, 57)
    before = fields.features(pixels[:, : 16 * 50], codec, 1)
    assert np.abs(whole[:, :, 40:44] - before[:, :, 40:44]).max() < 0.05


def test_sizes_need_not_be_whole_cells(normal: Normal) -> None:
    codec = checking.codec_of(normal)
    for height, width in ((1, 1), (17, 5), (40, 200)):
        finding = checking.check(part(6, height=height, width=width), normal, codec) if normal.kind != "place" else None
        if finding is not None:
            assert finding.cells.shape == fields.grid(height, width)
            assert checking.light(finding, normal.scale, 0).shape == (height, width)


def test_a_twin_is_found_though_it_is_shifted(normal: Normal) -> None:
    codec = checking.codec_of(normal)
    template, odd = part(7), part(7, spot=True)
    assert twins.shift(twins.moved(template, 3, -5), template) == (3, -5)
    same = checking.check(template, normal, codec, template)
    shifted = checking.check(twins.moved(template, 2, 1), normal, codec, template)
    found = checking.check(odd, normal, codec, template)
    assert same.score < found.score
    assert np.median(shifted.cells) < found.score
    y, x = np.unravel_index(found.cells.argmax(), found.cells.shape)
    assert (SPOT[0] // 16 <= x <= (SPOT[0] + SIDE) // 16, SPOT[1] // 16 <= y <= (SPOT[1] + SIDE) // 16) == (True, True)
    with pytest.raises(NicError, match="template 192x90"):
        checking.check(template, normal, codec, template[:90])


def test_learning_against_templates_sets_the_threshold_of_pairs(tmp_path: Path, normal: Normal) -> None:
    template = saved(tmp_path, "t.png", part(8))
    rng = np.random.default_rng(4)
    items = []
    for n in range(6):
        noisy = np.clip(part(8) + rng.normal(0, 2, (160, 192, 1)), 0, 255).astype(np.uint8)
        items.append(Item(saved(tmp_path, f"{n}.png", noisy), template))
    pairs = learning.learn(items, run, model=MODEL, false_alarms=0.2)  # type: ignore[arg-type]
    assert pairs.templates and not normal.templates  # noqa: PT018
    assert len(pairs.pairs.scores) == 6


def test_too_few_pictures_are_refused(good: list[Item]) -> None:
    with pytest.raises(NicError, match="needs 2"):
        learning.learn(good[:1], run, model=MODEL, false_alarms=0.1)  # type: ignore[arg-type]
    few = learning.learn(good[:2], run, model=MODEL, false_alarms=0.1)  # type: ignore[arg-type]
    assert few.scale.least == pytest.approx(1 / 3)


def test_flat_pictures_teach_finite_numbers(tmp_path: Path) -> None:
    flat = np.full((48, 48, 1), 200, np.uint8)
    items = [Item(saved(tmp_path, f"{n}.png", flat)) for n in range(3)]
    learnt = file.read(file.write(learning.learn(items, run, model=MODEL, false_alarms=0.3)))  # type: ignore[arg-type]
    codec = checking.codec_of(learnt)
    scores = [checking.check(pixels, learnt, codec).score for pixels in (flat, part(1, height=48, width=48))]
    assert scores[0] < scores[1] < 1e9


def test_a_file_gives_back_what_was_learnt(normal: Normal) -> None:
    data = file.write(normal)
    back = file.read(data)
    assert file.write(back) == data
    assert not data.startswith(container.MAGIC)  # or it would be taken for a picture
    assert len(data) < 2 * 10**6
    finding = [checking.check(part(9, spot=True), one, checking.codec_of(one)).score for one in (normal, back)]
    assert finding[0] == finding[1]


def test_latents_of_two_encoders_never_mix(normal: Normal) -> None:
    with pytest.raises(NicError, match="another encoder"):
        checking.codec_of(normal, "photo")
    with pytest.raises(NicError, match="another encoder"):
        checking.codec_of(replace(normal, encoder="0" * 64))


def mended(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def test_a_damaged_or_hostile_file_is_an_error_of_one_line(normal: Normal) -> None:
    data = file.write(normal)
    rng = np.random.default_rng(5)
    for length in [0, 7, 8, 13, 14, 20, 100, len(data) - 1]:
        with pytest.raises(NicError):
            file.read(data[:length])
    for place in rng.integers(0, len(data), 40):
        wrong = bytearray(data)
        wrong[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(NicError):
            file.read(bytes(wrong))
    # With a right checksum it is either read, or refused: the text before the arrays, byte by byte.
    (length,) = struct.unpack_from("<I", data, 10)
    small = replace(normal, gaussians=(Gaussian(np.zeros(6, np.float32), np.zeros((6, 3), np.float32)),))
    data = file.write(small)
    for place in range(8, 14 + length):
        wrong = bytearray(data[:-4])
        if place < len(wrong):
            wrong[place] ^= 1 << int(rng.integers(7))
            with contextlib.suppress(NicError):
                file.read(mended(bytes(wrong)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"scales": 1', b'"scales": 9'),
        (b'"channels": 3', b'"channels": 1000000000'),
        (b'"place": [0, 0]', b'"place": [99999999, 99999999]'),
        (b'"kind": "own"', b'"kind": "place"'),
        (b'"kind": "own"', b'"kind": ' + b"[" * 5000),
        (b'"false_alarms": 0.05', b'"false_alarms": NaN'),
        (b'"false_alarms": 0.05', b'"false_alarms": true'),
    ],
)
def test_facts_that_no_release_wrote_are_refused(normal: Normal, old: bytes, new: bytes) -> None:
    tiny = Gaussian(np.zeros(6, np.float32), np.zeros((6, 3), np.float32))
    data = file.write(replace(normal, gaussians=(tiny,), kind="own", place=None))
    (length,) = struct.unpack_from("<I", data, 10)
    text = data[14 : 14 + length]
    assert old in text
    text = text.replace(old, new)
    with pytest.raises(NicError, match=r"no release wrote|cut short"):
        file.read(mended(data[:10] + struct.pack("<I", len(text)) + text + data[14 + length : -4]))
    infinite = replace(normal, gaussians=(Gaussian(np.full(6, np.inf, np.float32), tiny.whitening),), place=None)
    with pytest.raises(NicError, match="no release wrote"):
        file.read(file.write(replace(infinite, kind="own")))


def test_a_file_with_other_channels_than_its_encoder_is_refused(normal: Normal) -> None:
    tiny = Gaussian(np.zeros(6, np.float32), np.zeros((6, 3), np.float32))
    with pytest.raises(NicError, match="no release wrote"):
        checking.codec_of(file.read(file.write(replace(normal, gaussians=(tiny,), kind="own", place=None))))


def test_a_nic_file_is_seen_as_the_picture_that_it_decodes_to(tmp_path: Path, normal: Normal) -> None:
    codec = checking.codec_of(normal)
    data = codec.encode(np.ascontiguousarray(part(10)[:, :, 0]), quality=60, lossless=False)
    path = tmp_path / "a.nic"
    path.write_bytes(data)
    decoded = codec.decode(bytes(data), dtype=np.uint8)
    assert np.array_equal(learning.pixels_of(str(path), codec)[:, :, 0], decoded)


def drawn(normal: Normal, name: str = "a/b.png", count: int = 3) -> str:
    finding = checking.check(part(11, spot=True), normal, checking.codec_of(normal))
    seen = [looking.Seen(f"{name}{n}", finding, "data:,", "data:,") for n in range(count)]
    return page.page(seen, normal.scale, normal.scale.threshold(0.05))


def test_the_page_is_offline_and_runs_its_own_script_alone(normal: Normal) -> None:
    text = drawn(normal, 'x/"><img src=x onerror=alert(1)>{{style}}</script>')
    assert set(re.findall(r"https?://[^\"' )]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "<img src=x" not in text
    assert text.count("</script>") == 2  # the facts, and the script itself
    for kind in ("style", "script"):
        inside = re.search(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        assert inside is not None
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in text
    assert text.count("<figure>") == 3
    assert page.page([], normal.scale, 1.0).count("<figure>") == 0


@pytest.mark.skipif(which("chromium") is None, reason="needs Chromium")
def test_the_page_counts_what_is_flagged_in_a_browser(tmp_path: Path, normal: Normal) -> None:
    path = tmp_path / "page.html"
    path.write_text(drawn(normal), encoding="utf-8")
    command = [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=2000",
        "--dump-dom",
    ]
    done = subprocess.run([*command, path.as_uri()], capture_output=True, text=True, check=True, timeout=120)
    assert '<strong id="flagged">3 of 3</strong>' in done.stdout
    assert done.stdout.count('<figure class="flagged">') == 3
    assert "at most 4.0 %" in done.stdout  # the threshold is the largest of 24
