"""Copies in a folder: which are found, why, and which is the best; moved away, moved back, linked, shown."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from test_sketch import scene

import nicodec
from nicodec.errors import NicError
from nicodec.explore import duplicates, moving, reading, search, sketch
from nicodec.explore.duplicates import Group
from nicodec.explore.index import Index
from nicodec.explore.page import page
from nicodec.parallel.processes import Local


def photograph(name: str = "coffee") -> Image.Image:
    return Image.fromarray(getattr(pytest.importorskip("skimage.data"), name)())


def found(folder: Path) -> list[Group]:
    with Index(str(folder)) as index:
        index.update(Local(1))
        return duplicates.find(index)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An original, a copy of its bytes, a smaller one, and another picture."""
    there = tmp_path / "photos"
    (there / "old").mkdir(parents=True)
    image = Image.fromarray(scene(0, 300, 420))
    image.save(there / "first.png")
    (there / "old" / "same.png").write_bytes((there / "first.png").read_bytes())
    image.resize((210, 150)).save(there / "half.jpg", quality=60)
    Image.fromarray(scene(1, 300, 420)).save(there / "other.png")
    return there


def test_every_kind_of_copy_of_a_photograph_is_found(tmp_path: Path) -> None:
    image = photograph()
    others = [photograph("astronaut"), photograph("chelsea"), photograph("rocket")]
    width, height = image.size
    copies = {
        "jpeg.jpg": image,
        "half.png": image.resize((width // 2, height // 2)),
        "gray.png": image.convert("L"),
        "bright.png": image.point(lambda value: min(255, round(1.25 * value))),
        "framed.png": ImageOps.expand(image, 25, "white"),
        "cut.png": image.crop((30, 20, round(0.9 * width) + 30, round(0.9 * height) + 20)),
        "mirrored.png": ImageOps.mirror(image),
        "turned.png": image.rotate(90, expand=True),
    }
    image.save(tmp_path / "coffee.png")
    for name, copy in copies.items():
        copy.save(tmp_path / name, **({"quality": 30} if name.endswith("jpg") else {}))
    (tmp_path / "coded.nic").write_bytes(nicodec.encode(image, quality=20, model="photo-fast"))
    for number, other in enumerate(others):
        other.save(tmp_path / f"other{number}.png")
    (group,) = found(tmp_path)
    assert set(group.files) == {"coffee.png", "coded.nic", *copies}
    turns = {match.turn for match in group.matches}
    assert "mirrored" in turns
    assert any(turn and turn.startswith("turned") for turn in turns)


def test_the_best_comes_first_and_reasons_are_named(folder: Path) -> None:
    (group,) = found(folder)
    same = os.path.join("old", "same.png")
    assert group.files == ["first.png", same, "half.jpg"]
    assert {match.why for match in group.matches} == {"identical bytes", "near hash"}
    assert len(group.matches) == 2
    near = next(match for match in group.matches if match.why == "near hash")
    assert near.bits is not None
    assert str(near) == f"near hash, {near.bits} of 512 bits differ"


def test_the_same_pixels_in_another_file_are_named(folder: Path) -> None:
    with Image.open(folder / "other.png") as image:
        image.save(folder / "again.bmp")
    groups = found(folder)
    assert groups[0].files == ["again.bmp", "other.png"]  # more bytes for each pixel
    assert groups[0].matches[0].why == "same pixels"


def test_a_copy_is_tied_to_the_best_file(tmp_path: Path) -> None:
    """A small copy is as near to a mirrored one, which comes first by its name."""
    image = photograph()
    image.save(tmp_path / "p.jpg", quality=95)
    ImageOps.mirror(image).save(tmp_path / "flip.jpg", quality=80)
    ImageOps.mirror(image).save(tmp_path / "flop.jpg", quality=75)
    image.resize((300, 200)).save(tmp_path / "small.png")
    (tmp_path / "twin.png").write_bytes((tmp_path / "small.png").read_bytes())
    (group,) = found(tmp_path)
    assert group.files[0] == "p.jpg"
    ties = {match.files[1]: (match.files[0], match.turn) for match in group.matches}
    upright, mirrored = ("p.jpg", None), ("p.jpg", "mirrored")
    assert ties == {"flip.jpg": mirrored, "flop.jpg": mirrored, "small.png": upright, "twin.png": upright}


def test_no_decode_ranks_above_what_it_was_decoded_from(tmp_path: Path) -> None:
    """A PNG has the most bytes, whatever it holds."""
    photograph().save(tmp_path / "source.jpg", quality=90)
    (tmp_path / "coded.nic").write_bytes(nicodec.encode(tmp_path / "source.jpg", quality=40, model="photo-fast"))
    decoded = np.asarray(nicodec.decode(tmp_path / "coded.nic"))
    Image.fromarray(decoded).save(tmp_path / "decoded.png")
    # Another machine rounds some samples otherwise.
    rounded = decoded.copy()
    rounded[::7] += rounded[::7] < 255
    Image.fromarray(rounded).save(tmp_path / "elsewhere.png")
    with Image.open(tmp_path / "source.jpg") as image:
        image.save(tmp_path / "pixels.png")
    (group,) = found(tmp_path)
    assert group.files[:3] == ["source.jpg", "pixels.png", "coded.nic"]
    assert set(group.files[3:]) == {"decoded.png", "elsewhere.png"}


def test_a_picture_without_loss_ranks_above_what_was_made_of_it(tmp_path: Path) -> None:
    photograph().save(tmp_path / "source.png")
    photograph().save(tmp_path / "other.jpg", quality=90)
    (tmp_path / "coded.nic").write_bytes(nicodec.encode(photograph(), quality=90, model="photo-fast"))
    (tmp_path / "exact.nic").write_bytes(nicodec.encode(photograph(), lossless=True))
    (group,) = found(tmp_path)
    assert set(group.files[:2]) == {"source.png", "exact.nic"}
    assert group.files[2:] == ["other.jpg", "coded.nic"]


def test_a_large_coded_picture_ranks_above_its_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its samples are not in the index."""
    monkeypatch.setattr(reading, "LARGE", 1000)
    photograph().save(tmp_path / "source.jpg", quality=90)
    (tmp_path / "coded.nic").write_bytes(nicodec.encode(tmp_path / "source.jpg", quality=40, model="photo-fast"))
    nicodec.decode(tmp_path / "coded.nic").save(tmp_path / "decoded.png")
    (group,) = found(tmp_path)
    assert group.files == ["source.jpg", "coded.nic", "decoded.png"]


def test_empty_pictures_are_copies_only_of_themselves(tmp_path: Path) -> None:
    for number, level in enumerate((0, 90, 255)):
        Image.new("RGB", (64, 64), (level,) * 3).save(tmp_path / f"{number}.png")
    assert found(tmp_path) == []
    (tmp_path / "3.png").write_bytes((tmp_path / "1.png").read_bytes())
    assert [group.files for group in found(tmp_path)] == [["1.png", "3.png"]]


def test_hashes_alone_tie_no_pictures_of_other_light(tmp_path: Path) -> None:
    """Two glows have one hash, since both grow to the middle; but one is a spot and one fills the picture."""
    y, x = np.mgrid[-1:1:200j, -1.02:1.02:240j]
    away = np.sqrt((y + 0.1) ** 2 + (x - 0.05) ** 2) / 1.6
    hashes = []
    for name, glow in (("spot", (1 - away) ** 6), ("dome", 1 - away**4)):
        pixels = (20 + 230 * glow).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        hashes.append(sketch.hash_of(np.repeat(pixels[:, :, None], 3, axis=2)))
    assert search.telling(np.stack(hashes)).all()
    assert search.bits_off(*hashes) <= duplicates.HASH
    assert found(tmp_path) == []


def test_a_folder_without_pictures_has_no_groups(tmp_path: Path) -> None:
    assert found(tmp_path) == []


def test_many_copies_have_a_match_each_and_not_for_each_pair(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    for number in range(1, 200):
        (tmp_path / f"{number}.png").write_bytes((tmp_path / "0.png").read_bytes())
    (group,) = found(tmp_path)
    assert len(group.entries) == 200
    assert len(group.matches) == 199


def test_moved_files_come_back(folder: Path, tmp_path: Path) -> None:
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if "index" not in path.name}
    groups, away = found(folder), tmp_path / "away"
    moved, doubtful = moving.move(groups, str(folder), str(away))
    assert doubtful == []
    assert sorted(moved) == sorted([os.path.join("old", "same.png"), "half.jpg"])
    assert (away / "old" / "same.png").exists()
    assert (folder / "first.png").exists()
    assert not (folder / "half.jpg").exists()
    assert found(folder) == []
    run = subprocess.run([sys.executable, away / "undo.py"], capture_output=True, text=True, cwd=tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (0, "files moved back: 2\n", "")
    assert [path.name for path in away.iterdir()] == ["undo.py"]
    after = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if "index" not in path.name}
    assert after == before


def test_undoing_overwrites_nothing(folder: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    moving.move(found(folder), str(folder), str(away))
    (folder / "half.jpg").write_bytes(b"mine")
    run = subprocess.run([sys.executable, away / "undo.py"], capture_output=True, text=True)
    assert "half.jpg" in run.stdout
    assert (folder / "half.jpg").read_bytes() == b"mine"
    assert (away / "half.jpg").exists()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
def test_names_with_quotes_line_ends_and_other_bytes_come_back(folder: Path, tmp_path: Path) -> None:
    names = ['it\'s "so".png', "a\nb.png", os.fsdecode(b"caf\xe9.png"), "{x}.png"]
    for name in names:
        (folder / name).write_bytes((folder / "first.png").read_bytes())
    away = tmp_path / "away"
    moving.move(found(folder), str(folder), str(away))
    assert subprocess.run([sys.executable, away / "undo.py"], capture_output=True).returncode == 0
    assert all((folder / name).exists() for name in names)


def test_files_are_moved_to_an_empty_folder_outside(folder: Path, tmp_path: Path) -> None:
    groups = found(folder)
    for target in (folder, folder / "deep" / "er"):
        with pytest.raises(NicError, match="lies in"):
            moving.move(groups, str(folder), str(target))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_bytes(b"")
    with pytest.raises(NicError, match="not an empty folder"):
        moving.move(groups, str(folder), str(tmp_path / "full"))
    assert (folder / "half.jpg").exists()


def test_only_identical_bytes_become_links(folder: Path) -> None:
    groups = found(folder)
    half = (folder / "half.jpg").read_bytes()
    assert moving.link(groups, str(folder)) == [os.path.join("old", "same.png")]
    assert os.path.samefile(folder / "first.png", folder / "old" / "same.png")
    assert (folder / "half.jpg").read_bytes() == half
    assert not os.path.samefile(folder / "first.png", folder / "half.jpg")
    assert moving.link(groups, str(folder)) == []
    assert not list(folder.rglob("*.tmp"))


def test_a_file_that_changed_meanwhile_is_not_linked(folder: Path) -> None:
    groups = found(folder)
    (folder / "old" / "same.png").write_bytes(b"new")
    assert moving.link(groups, str(folder)) == []
    assert (folder / "old" / "same.png").read_bytes() == b"new"


def test_the_page_holds_all_and_runs_nothing(folder: Path) -> None:
    (folder / "<b>&.png").write_bytes((folder / "other.png").read_bytes())
    groups = found(folder)
    made = page(groups, str(folder))
    assert made.count('src="data:image/webp;base64,') == 5
    assert made.count('class="best"') == 2
    assert "identical bytes" in made
    assert "&lt;b&gt;&amp;.png" in made
    assert "<b>" not in made
    assert "<script" not in made
    assert "http:" not in made
    assert "https:" not in made
    (folder / "half.jpg").unlink()
    assert page(groups, str(folder)).count('src="data:') == 4


def test_a_long_page_says_what_it_leaves_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nicodec.explore import page as module

    (folder / "z.png").write_bytes((folder / "other.png").read_bytes())
    monkeypatch.setattr(module, "MOST", 4)
    made = page(found(folder), str(folder))
    assert "1 more are not shown" in made
    assert made.count("<figure") == 3
