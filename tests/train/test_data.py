"""Training pictures: read from folders and tar files, and cut into the same patches every time."""

# ruff: noqa: E402

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_training
from tiny_training import CPU, picture

from nicodec.bitstream.tiles import Box
from nicodec.coding import margin
from nicodec.errors import BadImage
from nicodec.picture import scenes
from nicodec.train import data, reading, store
from nicodec.train.data import Patches
from nicodec.train.reading import Library
from nicodec.train.store import Store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training.pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def patches(folder: Path) -> Patches:
    return tiny_training.patches(folder)


def test_folders_files_and_tar_shards_give_the_same_pictures(folder: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, file.name)
        junk = tarfile.TarInfo("notes.png")
        junk.size = 5
        tar.addfile(junk, io.BytesIO(b"hello"))
    from_tar, from_folder, from_files = (Library(Store(), 0, lambda name, pixels: None) for _ in range(3))
    by_file = [
        {p.file: p.pixels for p in library.read(paths)}
        for library, paths in (
            (from_tar, [tmp_path]), (from_folder, [folder]), (from_files, sorted(folder.iterdir()))
        )
    ]  # fmt: skip
    assert by_file[0] == by_file[1] == by_file[2]
    assert from_tar.left.skipped == ["shard.tar/notes.png"]
    patches = Patches([folder], CPU, seed=0)
    assert len(patches.entries) == 6  # each picture that is not held out, as it is and once reduced


def test_patches_depend_on_seed_and_step_alone(patches: Patches, folder: Path) -> None:
    x, q, _ = patches.batch(7, 4, 64)
    again, q_again, _ = Patches([folder], CPU, seed=0).batch(7, 4, 64)
    other, _, _ = patches.batch(8, 4, 64)
    assert x.shape == (4, 64, 64, 3)
    assert x.dtype == torch.uint8
    assert torch.equal(x, again)
    assert torch.equal(q, q_again)
    assert not torch.equal(x, other)
    # one quality in each quarter of the range
    assert sorted((q // 2500).clamp(max=3).tolist()) == [0, 1, 2, 3]


def test_a_few_patches_are_drawn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "draw", lambda rng, photograph, fonts: np.full_like(photograph, 9))
    for share, fewest, most in ((0.0, 0, 0), (0.5, 10, 38), (1.0, 48, 48)):
        mixed = Patches([folder], CPU, seed=0, drawn=share)
        drawn = sum(int((mixed.batch(step, 8, 64)[0] == 9).all((1, 2, 3)).sum()) for step in range(6))
        assert fewest <= drawn <= most


def test_a_share_of_the_photographs_becomes_gray(folder: Path) -> None:
    for share, fewest, most in ((0.0, 0, 0), (0.5, 10, 38), (1.0, 48, 48)):
        mixed = Patches([folder], CPU, seed=0, drawn=0, gray=share)
        patches = torch.cat([mixed.batch(step, 8, 64)[0] for step in range(6)])
        gray = (patches == patches[..., :1]).all(3).all(2).all(1)
        assert fewest <= int(gray.sum()) <= most
    coloured = Patches([folder], CPU, seed=0, drawn=0, gray=0).batch(5, 8, 64)[0]
    exact = (coloured.numpy() @ [299, 587, 114] + 500) // 1000
    assert np.array_equal(patches[-8:, ..., 0].numpy(), exact)


def test_busy_patches_are_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = np.full((256, 256, 3), 90, np.uint8)
    flat[:, 128:] = np.random.default_rng(0).integers(0, 256, (256, 128, 3))
    Image.fromarray(flat).save(tmp_path / "half.png")
    monkeypatch.setattr(scenes, "draw", lambda rng, photograph, fonts: photograph)

    def busy(tries: int) -> float:
        monkeypatch.setattr(data, "TRIES", tries)
        x, _, _ = Patches([tmp_path], CPU, seed=0, gray=0).batch(0, 200, 64)
        return float((x != 90).float().mean())

    assert 0.4 < busy(1) < 0.6
    assert busy(4) > 0.85


def test_the_running_sum_of_detail_agrees_with_a_plain_one() -> None:
    pixels = picture(1, 256, 250)
    luma = pixels.astype(np.float64) @ [0.299, 0.587, 0.114]
    gradient = np.zeros_like(luma)
    gradient[:, 1:] += np.abs(np.diff(luma, axis=1))
    gradient[1:] += np.abs(np.diff(luma, axis=0))
    s = reading.running_detail(pixels, Box(0, 0, *pixels.shape[:2]))
    found = s[128 // 8, 160 // 8] - s[64 // 8, 160 // 8] - s[128 // 8, 96 // 8] + s[64 // 8, 96 // 8]
    assert found == pytest.approx(gradient[64:128, 96:160].sum(), rel=1e-4)


def test_a_patch_lies_in_one_of_eight_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    square = picture(2, 64, 64)
    Image.fromarray(square).save(tmp_path / "square.png")
    monkeypatch.setattr(scenes, "draw", lambda rng, photograph, fonts: photograph)
    x, _, _ = Patches([tmp_path], CPU, seed=0, gray=0).batch(0, 200, 64)
    turned = [np.rot90(square, k) for k in range(4)]
    ways = {w.tobytes() for w in [*turned, *(t[:, ::-1] for t in turned)]}
    assert {patch.tobytes() for patch in x.numpy()} == ways


def test_patches_that_are_not_augmented_lie_on_the_grid_of_jpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they lie in the picture, of its own size, from multiples of 16 on; so are large pictures that are cut."""
    whole = picture(2, 150, 170)
    Image.fromarray(whole).save(tmp_path / "whole.png")
    wide = margin.cut(whole, Box(0, 0, 192, 192))
    own = {wide[y : y + 64, x : x + 64].tobytes() for y in range(0, 129, 16) for x in range(0, 129, 16)}
    data = Patches([tmp_path], CPU, seed=0, gray=0, drawn=0, augment=0, margins=True)
    x, _, _ = data.batch(0, 400, 64)
    found = {patch.tobytes() for patch in x.numpy()}
    assert found <= own
    assert len(found) > len(own) // 2
    assert data.size == 192 * 192 * 3  # stored once, with its margin
    for share in (0.25, 1.0):
        x, _, _ = Patches([tmp_path], CPU, seed=0, gray=0, drawn=0, augment=share, margins=True).batch(0, 400, 64)
        others = sum(patch.tobytes() not in own for patch in x.numpy()) / 400
        assert others == pytest.approx(share, abs=0.06)
    monkeypatch.setattr(reading, "LEAST_PIXELS", 100 * 100)
    monkeypatch.setattr(store, "DISK", 0)
    data = Patches([tmp_path], CPU, seed=1, gray=0, drawn=0, augment=0, margins=True, limit=3 * 100 * 100)
    x, _, _ = data.batch(0, 200, 64)
    assert data.library.cut == 1
    assert {patch.tobytes() for patch in x.numpy()} <= own


def test_squares_are_of_a_size_that_most_pictures_have_room_for(tmp_path: Path) -> None:
    for i in range(12):
        Image.fromarray(picture(i, *((300, 300) if i < 3 else (100, 90)))).save(tmp_path / f"{i}.png")
    data = Patches([tmp_path], CPU, seed=0, augment=0)
    assert len(data.squares(96)) == data.photographs
    assert data.square == 64


def test_pictures_that_are_all_held_out_are_said_to_be(folder: Path) -> None:
    with pytest.raises(BadImage, match="all pictures are held out"):
        Patches([folder], CPU, seed=0, validation=[folder])


def test_what_is_held_out_is_whole_or_384_rows_and_columns(tmp_path: Path) -> None:
    """A file of a part has the same head as that of the whole, which weighs more: rivals with long heads lose by it."""
    whole = [picture(i, *((150, 170) if i % 2 else (420, 500))) for i in range(12)]
    for i, pixels in enumerate(whole):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    own = {whole[i].tobytes() if i % 2 else whole[i][16:400, 48:432].tobytes() for i in range(12)}
    for validation in (None, [tmp_path / "1.png"]):
        data = Patches([tmp_path], CPU, seed=0, augment=0, validation=validation)
        assert {held.tobytes() for held in data.validation} <= own


def test_a_held_out_square_begins_on_the_grid_of_jpeg() -> None:
    whole = picture(2, 150, 170)
    assert np.array_equal(reading.centre(whole, 64), whole[32:96, 48:112])


def test_nothing_to_train_on_is_an_error_that_says_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said() -> str:
        with pytest.raises(BadImage) as caught:
            Patches([tmp_path], CPU, seed=0)
        return str(caught.value)

    assert said() == "no picture to learn from was found"
    (tmp_path / "x.png").write_bytes(b"not a picture")
    assert said() == "no picture to learn from was found; 1 left out, not readable as pictures: x.png"
    Image.fromarray(picture(0, 63, 200)).save(tmp_path / "y.png")
    Image.fromarray(picture(0, 64, 200)).save(tmp_path / "z.png")
    monkeypatch.setenv("NICODEC_MAX_PIXELS", "12799")
    assert "; 1 left out, sides under 64 pixels: y.png; 1 left out, over the limit of pixels: z.png" in said()
    monkeypatch.setenv("NICODEC_MAX_PIXELS", "12800")
    assert Patches([tmp_path], CPU, seed=0).photographs == 1
    (tmp_path / "broken.tar").write_bytes(b"x" * 700)
    with pytest.raises(BadImage, match=r"broken\.tar"):
        Patches([tmp_path / "broken.tar"], CPU, seed=0)
    with pytest.raises(BadImage, match="missing"):
        Patches([tmp_path / "missing.png"], CPU, seed=0)


def test_patches_that_are_not_augmented_reach_into_the_margin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they show of the picture is said. Those that are turned show it alone."""
    whole = picture(2, 100, 70)
    Image.fromarray(whole).save(tmp_path / "whole.png")
    wide = margin.cut(whole, Box(0, 0, 128, 128))
    monkeypatch.setattr(scenes, "draw", lambda rng, photograph, fonts: photograph)
    places = {
        (min(64, 100 - y), min(64, 70 - x), wide[y : y + 64, x : x + 64].tobytes())
        for y in range(0, 65, 16)
        for x in range(0, 65, 16)
    }

    def found(count: int, **options: float) -> list[tuple[int, int, bytes]]:
        data = Patches([tmp_path], CPU, seed=0, gray=0, margins=True, **{"drawn": 0, **options})  # type: ignore[arg-type]
        x, _, visible = data.batch(0, count, 64)
        return [(*s, patch.tobytes()) for s, patch in zip(visible.tolist(), x.numpy(), strict=True)]

    as_they_lie = found(200, augment=0)
    assert set(as_they_lie) <= places
    assert any(rows < 64 and columns < 64 for rows, columns, _ in as_they_lie)
    half = found(200, augment=0.5)
    others = [patch for patch in half if patch not in places]
    assert others
    assert all(patch[:2] == (64, 64) for patch in others)
    assert any(patch[:2] != (64, 64) for patch in half)
    data = Patches([tmp_path], CPU, seed=0, gray=0, drawn=0, augment=0, margins=True)
    # z is counted on what an encoder sees, and all else inside.
    assert all(np.array_equal(p, wide) for p in data.pictures(4))
    assert all(np.array_equal(p, whole[16:80, :64]) for p in data.squares(4))
    blocks = {wide[y : y + 16, x : x + 16].tobytes() for y in range(0, 96, 16) for x in range(0, 64, 16)}
    rows = ((data.pca_patches(200) + 0.5) * 255).round().to(torch.uint8).numpy()
    assert {row.tobytes() for row in rows} <= blocks


def test_the_margin_of_a_drawing_continues_what_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that have room for a patch only with their margin are drawn on as all others."""
    for i in range(3):
        Image.fromarray(picture(i, 100, 110)).save(tmp_path / f"{i}.png")
    stripes = np.indices((128, 128))[1][..., None].repeat(3, 2).astype(np.uint8) * 2
    monkeypatch.setattr(scenes, "draw", lambda rng, photograph, fonts: stripes)
    data = Patches([tmp_path], CPU, seed=0, drawn=1, augment=0.5, margins=True)
    patches, _, visible = data.batch(0, 8, 128)
    assert visible.tolist() == [[100, 110]] * 8
    assert all(np.array_equal(p, margin.cut(stripes[:100, :110], Box(0, 0, 128, 128))) for p in patches.numpy())


def test_a_margin_is_no_reason_to_be_chosen(tmp_path: Path) -> None:
    """Of a chequered cloth all places are equally busy, whether they show much of it or little."""
    cloth = np.repeat(np.indices((129, 64)).sum(0)[..., None] % 2 * 255, 3, 2).astype(np.uint8)
    Image.fromarray(cloth).save(tmp_path / "cloth.png")
    data = Patches([tmp_path], CPU, seed=0, gray=0, drawn=0, augment=0, margins=True)
    rows = data.batch(0, 400, 64)[2][:, 0].float()
    expected = np.mean([min(64, 129 - y) for y in range(0, 129, 16)])
    assert float(rows.mean()) == pytest.approx(expected, abs=4)


def test_few_large_pictures_are_not_all_that_is_shown_in_many_ways(tmp_path: Path) -> None:
    for i in range(20):
        Image.fromarray(picture(i, 200 if i == 1 else 90, 200)).save(tmp_path / f"{i}.png")
    data = Patches([tmp_path], CPU, seed=0, gray=0, drawn=0, augment=0.5, margins=True)
    assert 0 < data.share(128) < 0.1
    assert data.share(128, margin=True) == 1
    _, _, visible = data.batch(0, 400, 128)
    assert float((visible[:, 0] == 128).float().mean()) < 0.25
