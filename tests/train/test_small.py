"""Small pictures: files as MNIST has them, folders, and what is refused."""

import gzip
import io
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from nicodec.errors import BadFile, LimitExceeded, MissingExtra, NicError  # noqa: E402
from nicodec.train import small  # noqa: E402

IDX = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
NPY = ("train-x", "train-y", "test-x", "test-y")


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.fixture
def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = ((30, 8, 8), (30,), (5, 8, 8), (5,))
    return [rng.integers(0, 256 if len(s) == 3 else 3, s).astype(np.uint8) for s in sizes]


Put = Callable[[Path, list[np.ndarray]], None]


def put_idx(folder: Path, arrays: list[np.ndarray]) -> None:
    for name, array in zip(IDX, arrays, strict=True):
        (folder / f"{name}-ubyte.gz").write_bytes(gzip.compress(idx(array)))


def put_npy(folder: Path, arrays: list[np.ndarray]) -> None:
    for name, array in zip(NPY, arrays, strict=True):
        (folder / f"{name}.npy.xz").write_bytes(lzma.compress(npy(array)))


@pytest.mark.parametrize("put", [put_idx, put_npy])
def test_files_of_mnists_kind_are_read(put: Put, arrays: list[np.ndarray], tmp_path: Path) -> None:
    put(tmp_path, arrays)
    data = small.load(str(tmp_path))
    assert data.train.shape == (30, 1, 8, 8)
    assert np.array_equal(data.test[:, 0].numpy(), arrays[2])
    assert data.train_labels.tolist() == arrays[1].tolist()


@pytest.mark.parametrize("put", [put_idx, put_npy])
def test_files_that_do_not_belong_together_are_refused(put: Put, arrays: list[np.ndarray], tmp_path: Path) -> None:
    put(tmp_path, [arrays[0], arrays[1][:-1], *arrays[2:]])
    with pytest.raises(BadFile, match="another number"):
        small.load(str(tmp_path))
    put(tmp_path, [*arrays[:2], arrays[2][:, :4], arrays[3]])
    with pytest.raises(BadFile, match="not one square"):
        small.load(str(tmp_path))


HUGE = bytes((0, 0, 8, 3)) + struct.pack(">3I", 2**31, 2**31, 2**31)
HEADER = (
    b"\x93NUMPY\1\0v\0"
    + b"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999, 28, 28), }".ljust(117)
    + b"\n"
)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (IDX[0] + "-ubyte.gz", b"no gzip"),
        (IDX[0] + "-ubyte.gz", gzip.compress(b"", mtime=0)),
        (IDX[0] + "-ubyte.gz", gzip.compress(HUGE, mtime=0)),
        (IDX[0] + "-ubyte.gz", gzip.compress(idx(np.zeros((30, 8, 8), np.uint8))[:-1], mtime=0)),
        (NPY[0] + ".npy.xz", b"no xz"),
        (NPY[0] + ".npy.xz", lzma.compress(HEADER)),
        (NPY[0] + ".npy.xz", lzma.compress(npy(np.zeros((30, 8, 8), np.float32)))),
        (NPY[0] + ".npy.xz", lzma.compress(npy(np.zeros((30, 8, 8), np.uint8))[:-1])),
        (NPY[0] + ".npy.xz", lzma.compress(b"\x93NUMPY\1\0\4\0exit")),
    ],
    # Names of tests are the same in every process: no bytes with the time of day in them.
    ids=["no gzip", "empty", "huge", "cut IDX", "no xz", "huge shape", "floats", "cut NPY", "no header"],
)
def test_a_damaged_file_is_an_error_that_names_it(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadFile, match=name.replace(".", r"\.")):
        small.load(str(tmp_path))


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([print], object), allow_pickle=True)
    (tmp_path / "train-x.npy.xz").write_bytes(lzma.compress(buffer.getvalue()))
    with pytest.raises(BadFile, match="not an array of uint8"):
        small.load(str(tmp_path))


def test_no_more_is_unpacked_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "MOST_BYTES", 10**6)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(10**7)))
    with pytest.raises(LimitExceeded, match="more than 1,000,000 bytes"):
        small.load(str(tmp_path))


def test_a_folder_of_pictures_is_cut_into_tiles_and_its_folders_are_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(30):
        folder = tmp_path / ("b" if number % 2 else "a")
        folder.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 70, 3), np.uint8)).save(folder / f"{number}.png")
    Image.fromarray(np.full((32, 32, 4), 255, np.uint8) * np.uint8([1, 1, 1, 0])).save(tmp_path / "clear.png")
    Image.new("L", (8, 8)).save(tmp_path / "a" / "tiny.png")
    (tmp_path / "a" / "broken.png").write_bytes(b"no picture")
    data = small.load(str(tmp_path), side=32)
    assert data.train.shape[1:] == data.test.shape[1:] == (3, 32, 32)
    assert len(data.train) + len(data.test) == 61
    assert len(data.test) in (5, 6)  # three pictures of two tiles, or the one of a single tile among them
    labels = torch.cat([data.train_labels, data.test_labels])
    assert torch.bincount(labels).tolist() == [1, 30, 30]
    clear = torch.cat([data.train, data.test])[labels == 0]
    assert not clear.any()  # what cannot be seen is black


def test_too_few_pictures_and_no_folder_are_errors(tmp_path: Path) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "one.png")
    with pytest.raises(NicError, match="1 pictures of 32 pixels or more; 20 is the least"):
        small.load(str(tmp_path))
    with pytest.raises(NicError, match="no folder; `sklearn` and `drawn` name pictures too"):
        small.load(str(tmp_path / "missing"))


def test_the_digits_of_scikit_learn_need_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'nicodec\[recipes\]'"):
        small.load("sklearn")


def test_drawn_shapes_are_the_same_each_time_and_the_digits_of_scikit_learn_have_eight_pixels() -> None:
    first, second = small.load("drawn"), small.load("drawn")
    assert torch.equal(first.train, second.train)
    assert torch.bincount(first.test_labels).min() > 50
    assert first.train.amax() == 255
    pytest.importorskip("sklearn")
    assert small.load("sklearn").train.shape == (1618, 1, 8, 8)


def test_a_hole_hides_a_square_from_the_encoder_alone() -> None:
    pixels = torch.full((50, 1, 20, 20), 255, dtype=torch.uint8)
    x, seen = small.seen_of(pixels, torch.Generator().manual_seed(0), binarise=False, hole=0.25)
    assert (x == 1).all()
    assert (seen != x).flatten(1).sum(1).tolist() == [25] * 50
    assert len({tuple(row.tolist()) for row in (seen != x).flatten(1)}) > 10


def test_pixels_are_drawn_with_their_brightness_as_the_probability() -> None:
    pixels = torch.full((10, 1, 100, 100), 64, dtype=torch.uint8)
    x, seen = small.seen_of(pixels, torch.Generator().manual_seed(0), binarise=True, hole=0)
    assert set(x.unique().tolist()) == {0, 1}
    assert float(x.mean()) == pytest.approx(64 / 255, abs=0.01)
    assert seen is x


def test_a_sheet_shows_each_picture_at_its_place() -> None:
    pictures = torch.zeros(2, 3, 1, 8, 8)
    pictures[1, 2] = 0.5
    with Image.open(io.BytesIO(small.png(pictures, longest=1))) as sheet:
        samples = np.asarray(sheet)
    assert samples.shape == (19, 28)
    assert (samples[10:18, 19:27] == 128).all()
    assert (samples[1:9, 1:9] == 0).all()
    assert (samples[0] == 255).all()
