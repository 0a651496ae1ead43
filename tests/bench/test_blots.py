"""The search for destroyed cells: pictures drawn by number, blots and falls in made-up data, the script."""

import json
import math
from pathlib import Path
from typing import Any

import blots
import drawings
import independent_decoder
import numpy as np
import pytest
from PIL import Image

import nicodec
from nicodec.picture.metrics import Cell


@pytest.fixture(scope="module")
def codec() -> nicodec.Codec:
    return nicodec.Codec(threads=1)


def row(name: str, quality: float, psnr: float, **other: Any) -> blots.Row:
    fields = {"size": (16, 16, 1), "bytes": 10, "worst": Cell(psnr, 0, 0), "cells": 1, "linear": None}
    under = dict.fromkeys(blots.LIMITS, 0)
    return blots.Row(name=name, quality=quality, psnr=psnr, **({"under": under} | fields | other))


@pytest.mark.parametrize("kind", drawings.KINDS)
def test_every_kind_draws_pictures_of_any_size_the_same_each_time(kind: str) -> None:
    for number, (width, height) in enumerate([(16, 16), (16, 90), (101, 37)]):
        draw = drawings.KINDS[kind]
        one, again = (draw(np.random.default_rng(number), width, height) for _ in range(2))
        assert one.dtype == np.uint8
        assert one.shape in ((height, width), (height, width, 3))
        assert np.array_equal(one, again)


def test_a_seed_and_a_number_name_a_picture_and_its_quality() -> None:
    kinds = [drawings.kind(number) for number in range(2 * len(drawings.KINDS))]
    assert kinds == 2 * list(drawings.KINDS)
    first, second = drawings.draw(5, 12), drawings.draw(5, 12)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, drawings.draw(6, 12))
    shapes = {drawings.draw(5, number).shape for number in range(26)}
    assert len(shapes) > 20
    assert all(16 <= side <= 640 for shape in shapes for side in shape[:2])
    assert {len(shape) for shape in shapes} == {2, 3}
    qualities = [drawings.quality(5, number) for number in range(200)]
    assert 30 <= min(qualities) < 40
    assert 85 < max(qualities) <= 95


def test_a_blot_is_a_cell_that_the_linear_layers_alone_do_not_destroy() -> None:
    pixels = np.zeros((40, 40, 1), np.uint8)
    decoded, plain = pixels.copy(), pixels.copy()
    decoded[16:32, 32:] = 200  # a cell that the picture's edge cuts off
    decoded[:16, :16] = plain[:16, :16] = 150
    plain[32:, 32:] = 255
    found = blots.compare(pixels, decoded, plain)
    assert found.blots == [Cell(pytest.approx(20 * np.log10(255 / 200)), 32, 16)]
    assert found.both == 1
    assert found.there == np.inf  # of the cell at 32, 16


def test_falls_are_found_against_the_next_lower_and_the_best_lower_quality() -> None:
    rows = [row("a", q, db) for q, db in [(50, 31.0), (40, 30.0), (60, 30.8), (70, 30.2), (80, 33.0)]]
    rows += [row("rises", q, q / 2) for q in (40, 50)]
    rows += [row("b", 40, 40.0), row("b", 50, 38.0), row("once", 40, 9.0)]
    fallen = blots.falls(rows, best=False)
    assert [(f.name, f.low, f.high) for f in fallen] == [("b", 40, 50), ("a", 60, 70)]
    assert fallen[1].db == pytest.approx(0.6)
    fallen = blots.falls(rows, best=True)
    assert [(f.name, f.low, f.high) for f in fallen] == [("b", 40, 50), ("a", 50, 70)]
    assert fallen[1].db == pytest.approx(0.8)
    total = blots.summary(rows)
    assert [len(total[f"falls_from_the_{key}"]) for key in ("next", "best")] == [2, 2]


def test_the_summary_adds_up_files_cells_and_blots() -> None:
    linear = blots.Linear(20.0, 20.0, [Cell(3.0, 0, 0), Cell(4.0, 16, 0)], 5)
    under = {20: 9, 15: 7, 14: 7, 9: 7}
    rows = [row("a", 50, 30.0, cells=100, under=under, linear=linear), row("b", 50, 40.0)]
    total = blots.summary(rows)
    assert (total["files"], total["bytes"], total["median_psnr"], total["cells"]) == (2, 20, 35, 101)
    assert total["cells_under"] == under
    assert total["files_under"] == dict.fromkeys(blots.LIMITS, 1)
    assert (total["blots"], total["files_with_blots"], total["under_either_way"]) == (2, 1, 5)
    assert "blots" not in blots.summary(rows[1:])
    assert [one.name for one in blots.worst_first(rows, 1)] == ["a"]


def test_qualities_are_given_as_a_list_or_as_a_range() -> None:
    assert blots.quality_list("45:95:25") == [45, 70, 95]
    assert blots.quality_list("62.5") == [62.5]
    assert blots.quality_list("30,40") == [30, 40]
    for bad in ("", "a", "1:2", "1:2:0"):
        with pytest.raises(ValueError, match=r"could not convert|not enough values|must rise"):
            blots.quality_list(bad)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_linear_layers_alone_are_those_of_the_format(codec: nicodec.Codec, channels: int) -> None:
    y, x, c = np.ogrid[:70, :150, :channels]
    data = codec.encode(((x * 3 + y + c * 40) % 256).astype(np.uint8), quality=60, lossless=False)
    model = independent_decoder.Model(codec.checkpoint.path.read_bytes())
    model.config["latent_blocks_s"] = model.config["blocks_s"] = 0
    for part in ("weight", "bias"):
        model.tensors[f"g_s.head.{part}"] = model.tensors[f"g_s.head.{part}"] * 0
    expected = independent_decoder.decode(data, model).pixels
    difference = blots.linear_only(codec, data).astype(int) - expected
    assert difference.shape == (70, 150, channels)
    assert np.abs(difference).max() <= 1


def test_drawn_pictures_are_coded_measured_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drawings, "LARGEST", 70)
    out = tmp_path / "new" / "rows.json"
    options = ["drawn", "--count", "3", "--seed", "4", "-j", "1", "--linear", "--worst", "2"]
    blots.main([*options, "-o", str(out), "--show", str(tmp_path / "shown")])
    shown = capsys.readouterr().out
    assert "3 files" in shown
    assert "blots: " in shown
    found = json.loads(out.read_text())
    assert (found["mode"], found["seed"], found["failures"]) == ("drawn", 4, [])
    assert [one["name"] for one in found["rows"]] == ["shapes 0", "frames 1", "text 2"]
    for number, one in enumerate(found["rows"]):
        height, width = drawings.draw(4, number).shape[:2]
        assert one["size"][:2] == [width, height]
        assert one["quality"] == drawings.quality(4, number)
        assert one["cells"] == -(-width // 16) * -(-height // 16)
        # None stands for infinite dB: a picture that came back exactly, as one with flat cells alone does.
        assert (one["worst"]["psnr"] or math.inf) <= (one["psnr"] or math.inf)
        assert one["worst"]["x"] % 16 == one["worst"]["y"] % 16 == 0
        assert one["bytes"] > 0
    assert found["summary"]["files"] == 3
    assert len(list((tmp_path / "shown").glob("*.png"))) == 2


def test_pictures_of_folders_are_coded_at_several_qualities_by_workers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        Image.radial_gradient("L").resize((40, 24)).save(tmp_path / folder / "a.png")
    (tmp_path / "two" / "b.png").write_bytes(b"no picture")
    out = tmp_path / "rows.json"
    folders = [str(tmp_path / folder) for folder in ("one", "two")]
    blots.main(["folder", *folders, "--qualities", "50,70", "-j", "2", "-o", str(out)])
    found = json.loads(out.read_text())
    assert [(one["name"], one["quality"]) for one in found["rows"]] == [
        (name, quality) for name in ("one/a.png", "two/a.png") for quality in (50, 70)
    ]
    assert {tuple(one["size"]) for one in found["rows"]} == {(40, 24, 1)}
    assert [failure["name"] for failure in found["failures"]] == 2 * ["two/b.png"]
    assert "failed: two/b.png" in capsys.readouterr().out
