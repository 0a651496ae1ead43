"""The map of a folder: its rows, its page with hostile names and no network, and the page in a browser."""

import csv
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from chromium import Browser, browser  # noqa: F401 - a fixture

from nicodec.errors import LimitExceeded, NicError
from nicodec.explore import chart
from nicodec.explore.index import Entry, Index
from nicodec.picture import atlas

EVIL = "</script><img src=x onerror=alert(1)>{{sheets}}.png"
RED = np.full((60, 90, 3), (200, 40, 40), np.uint8)


def made(count: int = 40) -> tuple[chart.Chart, list[bytes]]:
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 1, (count, 6)) + 30 * (np.arange(count) % 2)[:, None]
    entries = [Entry(f"f{i % 3}/{i:02d}.png", 1000 + i, 90, 60, b"", b"") for i in range(count - 1)]
    entries.append(Entry(EVIL, 5000, 60, 90, b"", b""))
    return chart.made(entries, vectors.astype(np.float32), "pca"), [atlas.small(RED)] * count


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    result: dict[str, object] = json.loads(found[1])
    return result


def test_rows_say_where_each_picture_is() -> None:
    drawn, _ = made()
    rows = chart.rows(drawn)
    assert [row["file"] for row in rows] == [entry.path for entry in drawn.entries]
    assert sum(row["medoid"] for row in rows) == len(drawn.medoids) == 2
    assert {row["cluster"] for row in rows} == {1, 2}
    read = list(csv.DictReader(io.StringIO(chart.table(drawn, [None, *[0.5] * 39]))))
    assert list(read[0]) == ["file", "x", "y", "cluster", "medoid", "distance", "odd", "score"]
    assert (read[0]["score"], read[1]["score"], read[-1]["file"]) == ("", "0.5", EVIL)
    assert [float(row["x"]) for row in read] == [row["x"] for row in rows]


def test_the_page_holds_all_and_asks_for_nothing() -> None:
    drawn, small = made()
    page = chart.page(drawn, small, "Map of <b>", scores=[None, *[0.5] * 39], base="./photos/")
    assert page == chart.page(drawn, small, "Map of <b>", scores=[None, *[0.5] * 39], base="./photos/")
    data = data_of(page)
    assert data["names"][-1] == EVIL  # type: ignore[index]
    assert (data["quality"], data["score"][:2]) == (None, [None, 0.5])  # type: ignore[index]
    assert page.count("<script") == 2
    assert "onerror=alert(1)>" not in page.replace("\\u003cimg src=x onerror=alert(1)>{{sheets}}", "")
    assert "<b>" not in page
    assert not re.search(r"https?:", page)
    assert page.count('src="data:image/webp;base64,') == 1


def test_one_picture_is_a_map_and_none_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry("a.png", 10, 1, 1, b"", b"")
    alone = chart.made([entry], np.zeros((1, 6), np.float32))
    assert data_of(chart.page(alone, [b""], "Map"))["near"] == []
    with pytest.raises(NicError, match="not finite"):
        chart.made([entry], np.full((1, 6), np.nan, np.float32))
    with Index(str(tmp_path)) as index:
        with pytest.raises(NicError, match="no picture is there"):
            chart.of(index)
        monkeypatch.setattr(Index, "__len__", lambda self: chart.MOST + 1)
        with pytest.raises(LimitExceeded, match="at most"):
            chart.of(index)


def test_scores_are_those_of_the_files(tmp_path: Path) -> None:
    entries = [Entry(name, 1, 1, 1, b"", b"") for name in ("a.png", "b.png")]
    found = [{"file": os.path.join(str(tmp_path), "b.png"), "score": 2.5, "boxes": []}]
    assert chart.scores_of(json.dumps(found).encode(), str(tmp_path), entries) == [None, 2.5]
    for bad in (
        b"\xff",
        b"{}",
        b"3",
        b'[{"file": 1}]',
        b'[["file"]]',
        b"[]",
        b"[" * 100_000,
        b'[{"file":"x","score":1}]',
    ):
        with pytest.raises(NicError, match="scores"):
            chart.scores_of(bad, str(tmp_path), entries)


def test_small_pictures_are_packed_and_hostile_ones_are_gray() -> None:
    large = io.BytesIO()
    from PIL import Image

    Image.new("RGB", (5000, 5000)).save(large, "JPEG")
    (uri,) = atlas.sheets([atlas.small(RED), b"", b"\xff\xd8no", large.getvalue(), atlas.small(RED[:4, :4])], 50)
    import base64

    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")).astype(int)
    assert sheet.shape == (50, 250, 3)
    for x, y, colour in ((25, 16, RED[0, 0]), (75, 25, 136), (125, 25, 136), (175, 25, 136), (225, 40, RED[0, 0])):
        assert np.abs(sheet[y, x] - colour).max() < 12
    assert len(list(atlas.sheets([b""] * 5, 1024))) == 2
    assert [atlas.tile_of(n) for n in (0, 1, 2000, 20_000, 10**9)] == [96, 96, 91, 28, 16]


@pytest.mark.slow
def test_the_page_works_in_a_browser(browser: Browser, tmp_path: Path) -> None:  # noqa: F811
    drawn, small = made()
    path = tmp_path / "map.html"
    path.write_text(chart.page(drawn, small, "Map", base="./photos/"), encoding="utf-8")
    browser.open(path, 1000, 700)
    browser.wait("sheets.length === 1 && sheets[0] instanceof ImageBitmap && drawn.length > 2")

    def middle_of(i: int) -> tuple[float, float]:
        browser.js("draw()")
        x, y = browser.js(f"[left + X[{i}] * zoom + stage.offsetLeft, top_ + Y[{i}] * zoom + stage.offsetTop]")
        return x, y

    # A click chooses, the panel shows its neighbours, one of these leads on, Escape leads back.
    x, y = middle_of(int(browser.js("drawn[drawn.length - 1][0]")))
    browser.drag((x, y))
    number = browser.js("chosen")
    assert browser.js("document.querySelector('#chosen .name').textContent") == drawn.entries[number].path
    assert browser.js("document.querySelectorAll('#chosen .grid button').length") == 8
    browser.js("document.querySelector('#chosen .grid button').click()")
    assert browser.js("chosen") == drawn.near[number][0]
    assert browser.js("document.querySelector('#chosen a').getAttribute('href')").startswith("./photos/")
    browser.key("Escape")
    assert browser.js("[chosen, document.getElementById('lists').checkVisibility()]") == [-1, True]
    # A drag moves, keys zoom and move, the name of a picture is found.
    browser.key("0")
    browser.js("draw()")
    before = browser.js("[left, top_, zoom]")
    browser.drag((300, 300), (340, 310), (400, 330))
    assert browser.js("[left, top_]") == [before[0] + 100, before[1] + 30]
    browser.key("+")
    assert browser.js("zoom") == pytest.approx(1.5 * before[2])
    browser.key("ArrowLeft")
    browser.js("map.focus()")
    browser.key("Enter")
    assert browser.js("chosen") >= 0
    browser.js("$('find').value = '07.PNG'; $('find').dispatchEvent(new Event('input'))")
    assert browser.js("found") == [7]
    # Dots alone; each colour; a telephone and two fingers.
    browser.key("p")
    browser.js("draw()")
    assert browser.js("drawn.length") <= 9
    for number in range(browser.js("MODES.length")):
        browser.js(f"colour({number}); draw()")
    browser.open(path, 360, 740, scale=2, dark=True)
    browser.wait("sheets.length === 1")
    assert browser.js("document.documentElement.scrollWidth") <= 360
    browser.js("draw()")
    zoom = browser.js("zoom")
    browser.touch("touchStart", (150, 300), (200, 300))
    browser.touch("touchMove", (100, 300), (250, 300))
    browser.touch("touchEnd")
    assert browser.js("zoom") > 2 * zoom
    # Scores are the first colour, what is the same for all is none.
    scored = tmp_path / "scored.html"
    drawn_again = chart.page(drawn, small, "Map", scores=[float(i) for i in range(len(drawn.entries))])
    scored.write_text(drawn_again, encoding="utf-8")
    browser.open(scored, 1000, 700)
    options = browser.js("[...$('colour').options].map(option => option.textContent)")
    assert options[int(browser.js("$('colour').value"))] == "Anomaly score"
    assert "Size in pixels" not in options
    assert browser.errors == []
    assert {url.partition(":")[0] for url in browser.requests} <= {"file", "data"}
    assert {url for url in browser.requests if url.startswith("file:")} == {path.as_uri(), scored.as_uri()}
