"""How fast: nicodec beside AVIF and JPEG XL at equal PSNR, and beside itself, as ratios from one process.

    python bench/speed.py [IMAGES] [-m MODEL] [--backend NAME] [-o FOLDER] [--short]

Medians of three, idle machine; five minutes, or two with --short, which measures the ratios to AVIF alone. Writes
speed.json and speed.txt. Every bar is what the project asks of itself; a missed one is shown as such.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

import nicodec
from nicodec.bench.coders import Coder, coders
from nicodec.bench.photographs import find_images, load, photographs
from nicodec.bitstream import entropy
from nicodec.coding import targets
from nicodec.model import backends
from nicodec.picture import metrics

QUALITY, REPEATS = 50, 3
SIZES = (0.4, 1.5, 6, 12, 24, 48)  # megapixels
# What is asked of the best backend on a CPU, as AVIF's time: encoding and decoding photographs, then 12 megapixels.
BARS = {"photo-fast": ((0.24, 10.5), (0.30, 6.3))}
BARS_OF_OTHERS = (0.75, 21.0), (0.87, 15.0)
# The dB that a backend may give up, at the worst of these qualities.
GIVEN_UP, QUALITIES = 0.025, (0, 25, 50, 75, 100)


@dataclass(frozen=True)
class Row:
    """One line of the table. bar: what is asked, the most, or with `least` the least."""

    what: str
    value: float
    unit: str
    bar: float
    least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.bar if self.least else self.value <= self.bar


def median(work: Callable[[], Any], *, warm: bool = False) -> float:
    """Seconds; the first run, which loads and allocates, does not count, unless it is warm already."""
    if not warm:
        work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def mosaic(pictures: list[Image.Image], megapixels: float) -> Image.Image:
    """A photograph of 4:3 of so many megapixels, tiled from others."""
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    canvas = Image.new("RGB", (width, round(width * 3 / 4)))
    n = x = y = 0
    while y < canvas.height:
        x, row = 0, 0
        while x < canvas.width:
            piece = pictures[n % len(pictures)]
            canvas.paste(piece, (x, y))
            x, row, n = x + piece.width, max(row, piece.height), n + 1
        y += row
    return canvas


def at_psnr(coder: Coder, picture: Image.Image, wanted: float) -> float:
    """The whole setting whose PSNR is the first to reach `wanted`."""
    pixels = np.asarray(picture)

    def reached(setting: int) -> float:
        return metrics.psnr(pixels, np.asarray(coder.decode(coder.encode(picture, setting))))

    return targets.crossing(reached, wanted, 100, reach=True)


def beside(
    pictures: list[Image.Image], model: str, threads: int, others: tuple[str, ...]
) -> dict[str, tuple[float, float]]:
    """Seconds to encode and to decode all pictures, by codec, at the PSNR of nicodec's quality 50. others: codecs.

    The settings for that PSNR are found on the top left 1024 pixels square.
    """
    table = {c.name: c for c in coders(model, threads) if not c.missing}
    seconds = {name: [0.0, 0.0] for name in ("nicodec", *others) if name in table}
    for picture in pictures:
        part = picture.crop((0, 0, min(picture.width, 1024), min(picture.height, 1024)))
        ours = np.asarray(table["nicodec"].decode(table["nicodec"].encode(part, QUALITY)))
        wanted = metrics.psnr(np.asarray(part), ours)
        for name, total in seconds.items():
            coder = table[name]
            setting = QUALITY if name == "nicodec" else at_psnr(coder, part, wanted)
            data = coder.encode(picture, setting)
            total[0] += median(lambda c=coder, p=picture, s=setting: c.encode(p, s))  # type: ignore[misc]
            total[1] += median(lambda c=coder, d=data: c.decode(d))  # type: ignore[misc]
    return {name: (total[0], total[1]) for name, total in seconds.items()}


def entropy_share(codec: nicodec.Codec, picture: Image.Image) -> tuple[float, float]:
    """The range coder's share of the time of encoding and of decoding."""
    shares = []
    data = codec.encode(picture, quality=QUALITY)
    for coder, name, work in (
        (entropy.Encoder, "add", lambda: codec.encode(picture, quality=QUALITY)),
        (entropy.Decoder, "take", lambda: codec.decode(data)),
    ):
        real, spent = getattr(coder, name), [0.0]

        def timed(*arguments: Any, real: Any = real, spent: list[float] = spent) -> Any:
            start = time.perf_counter()
            result = real(*arguments)
            spent[0] += time.perf_counter() - start
            return result

        setattr(coder, name, timed)
        start = time.perf_counter()
        work()
        shares.append(spent[0] / (time.perf_counter() - start))
        setattr(coder, name, real)
    return shares[0], shares[1]


def given_up(pictures: list[Image.Image], model: str, backend: str) -> float:
    """The mean dB that a backend loses of what the CPU decodes from the same files, at the worst quality."""
    here, there = (nicodec.Codec(model, backend=name) for name in ("cpu", backend))
    worst = -np.inf
    for quality in QUALITIES:
        losses = []
        for picture in pictures:
            pixels = np.asarray(picture.crop((0, 0, 384, 384)))
            data = here.encode(pixels, quality=quality, lossless=False)
            kept = [metrics.psnr(pixels, codec.decode(data, dtype=np.uint8)) for codec in (here, there)]
            losses.append(kept[0] - kept[1])
        worst = max(worst, float(np.mean(losses)))
    return worst


def process_seconds(*command: str) -> float:
    """Seconds of a process whose modules are compiled already, as pip leaves them."""
    with tempfile.TemporaryDirectory() as compiled:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = kept | {"PYTHONPYCACHEPREFIX": compiled}
        return median(
            lambda: subprocess.run([sys.executable, *command], check=True, capture_output=True, env=environment)
        )


def peak_mb(*command: str) -> float:
    """The most memory that a process of its own has held."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, sys.executable, *command], check=True, capture_output=True, text=True
    )
    return int(done.stdout) / 1024


def import_compressai() -> Any:
    """The library, also beside a torchvision that was built for another torch; None without it."""
    if find_spec("compressai") is None:
        return None
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [n for n in sys.modules if n.startswith("torchvision")]:
            del sys.modules[name]
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float most) -> Tensor")
    import compressai.zoo

    return compressai


def hyperprior_seconds(picture: Image.Image, threads: int) -> float | None:
    """Decoding by compressai's mbt2018-mean at the widths of its quality 4, untrained; None without it."""
    library = import_compressai()
    if library is None:
        return None
    import torch

    torch.set_num_threads(threads)
    network = library.zoo.mbt2018_mean(4, pretrained=False).eval()
    network.update()
    width, height = (side // 64 * 64 for side in picture.size)
    pixels = np.asarray(picture)[:height, :width]
    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        made = network.compress(x)
        return median(lambda: network.decompress(made["strings"], made["shape"]))


def measure(
    images: list[Path], model: str, threads: int, backend: str, short: bool, say: Callable[[str], None]
) -> list[Row]:
    pictures = [load(path)[0] for path in (find_images(images) if images else photographs())]
    rows: list[Row] = []
    large = mosaic(pictures, 12)
    both = 0.0
    bars = BARS.get(model, BARS_OF_OTHERS)
    for name, group, bar in zip(("photographs", "12 megapixels"), (pictures, [large]), bars, strict=True):
        say(f"beside other codecs: {name}")
        times = beside(group, model, threads, ("avif",) if short else ("avif", "jxl"))
        ours = times["nicodec"]
        both = sum(ours)  # of the last, in all threads
        if "avif" in times:
            rows.append(Row(f"encode / AVIF's, {name}", ours[0] / times["avif"][0], "×", bar[0]))
            rows.append(Row(f"decode / AVIF's, {name}", ours[1] / times["avif"][1], "×", bar[1]))
        if "jxl" in times:
            rows.append(Row(f"encode / JPEG XL's, {name}", ours[0] / times["jxl"][0], "×", 0.6))
    if backend != "cpu":
        say("beside the CPU")
        rows.append(
            Row("quality given up, worst of five qualities", given_up(pictures, model, backend), "dB", GIVEN_UP)
        )
    if short:
        return rows
    say("beside mbt2018-mean")
    one = min(pictures, key=lambda p: abs(p.width * p.height - 393_216))
    codec = nicodec.Codec(model, threads=threads)
    data = codec.encode(one, quality=QUALITY)
    slow = hyperprior_seconds(one, threads)
    if slow is not None:
        rows.append(Row("decode, mbt2018-mean's time / ours", slow / median(lambda: codec.decode(data)), "×", 15, True))
    say("the share of the range coder")
    for way, share in zip(("encode", "decode"), entropy_share(codec, large), strict=True):
        rows.append(Row(f"range coding's share of {way}", 100 * share, "%", 20))
    say("threads")
    single, big = nicodec.Codec(model, threads=1), codec.encode(large, quality=QUALITY)
    single.encode(one, quality=QUALITY)
    alone = median(lambda: single.encode(large, quality=QUALITY), warm=True)
    alone += median(lambda: single.decode(big), warm=True)
    rows.append(Row(f"{threads} threads against one, 12 megapixels", alone / both, "×", 1.7, True))
    with tempfile.TemporaryDirectory() as folder:
        say("whole processes")
        small, file, out = Path(folder, "a.nic"), Path(folder, "b.nic"), Path(folder, "c.ppm")
        small.write_bytes(data)
        file.write_bytes(big)
        options = ("-m", "nicodec", "decode", "-f", "-m", model, "-j", str(threads))
        rows.append(
            Row(
                "process, decode of one photograph",
                process_seconds(*options, str(small), str(out)),
                "s",
                0.45 if model in BARS else 0.8,
            )
        )
        loading = process_seconds("-c", f"import nicodec; nicodec.Codec({model!r})")
        rows.append(Row("process, importing and loading", loading, "s", 0.4))
        pixels = large.width * large.height * 3 / 2**20
        rows.append(
            Row(
                "peak above the pixels, decode of 12 megapixels",
                peak_mb(*options, str(file), str(out)) - pixels,
                "MB",
                400,
            )
        )
    say("sizes")
    per_megapixel = []
    for size in SIZES:
        picture = mosaic(pictures, size)
        start = time.perf_counter()
        codec.decode(codec.encode(picture, quality=QUALITY))
        per_megapixel.append((time.perf_counter() - start) / size)
    middle = statistics.median(per_megapixel)
    spread = 100 * max(abs(p / middle - 1) for p in per_megapixel)
    rows.append(Row("time per megapixel, 0.4 to 48: furthest from the median", spread, "%", 20))
    return rows


def processor() -> str:
    """Its name, and which of the instructions for short products it has."""
    with suppress(OSError):
        lines = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
        facts = {key.strip(): value.strip() for key, value in lines.items()}
        short = [flag for flag in facts.get("flags", "").split() if flag in ("avx512f", "avx512_bf16", "amx_bf16")]
        return ", ".join([facts.get("model name", platform.machine()), *short])
    return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path, help="pictures and folders; default: scikit-image's")
    parser.add_argument("-m", "--model", default="photo", help="name, hash or .nicmodel file")
    parser.add_argument("-o", "--out", type=Path, default=Path("bench/results/speed"))
    parser.add_argument("-j", "--threads", type=int, default=2)
    parser.add_argument("--backend", choices=backends.NAMES, default="cpu", help="what computes the pixels")
    parser.add_argument("--short", action="store_true", help="the ratios to AVIF alone")
    arguments = parser.parse_args()
    os.environ[backends.VARIABLE] = arguments.backend
    console = Console(width=100)
    with console.status("") as status:
        rows = measure(
            arguments.images, arguments.model, arguments.threads, arguments.backend, arguments.short, status.update
        )
    table = Table("", "measured", "bar", "")
    for row in rows:
        bar = f"{'≥' if row.least else '≤'} {row.bar:g} {row.unit}"
        table.add_row(row.what, f"{row.value:.3g} {row.unit}", bar, "met" if row.met else "missed")
    conditions = {
        "threads": arguments.threads,
        "backend": arguments.backend,
        "processor": processor(),
        "images": [str(p.name) for p in arguments.images] or ["scikit-image"],
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "nicodec": nicodec.__version__,
        "model": nicodec.Codec(arguments.model).checkpoint.id.hex(),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = [asdict(row) | {"met": row.met} for row in rows]
    (arguments.out / "speed.json").write_text(json.dumps(conditions | {"rows": results}, indent=1) + "\n")
    with (arguments.out / "speed.txt").open("w", encoding="utf-8") as file:
        Console(file=file, width=100).print(table)
    console.print(table)


if __name__ == "__main__":
    main()
