"""What a codec of one's own is worth: by number of pictures and by minutes, on pictures it has never seen.

    python bench/own.py -o RESULTS FOLDER...       all: pictures at 30 minutes, minutes with most pictures
    python bench/own.py -o RESULTS FOLDER --pictures 20 --minutes 6             these runs alone
    python bench/own.py -o RESULTS FOLDER --one-core                            beside another run, on two cores
    python bench/own.py -o RESULTS                 only the plots and the table, from what is there

A FOLDER has `train` and `test`, of which `test/good` alone where it exists. Each run is the default command of
training. The test pictures take no part in it. BD-rates are those of `nicodec bench`: real files, PSNR, Akima, all
rates, against AVIF (speed 6, tune psnr, 4:4:4, gray pictures 4:0:0), JPEG, `photo` and `photo-fast`. Minutes are those
of two cores. With --one-core a run has one thread and 5/3 of them: about as many patches, in batches of half the size.

RESULTS gets a line of JSON for each run in own.jsonl, own.md, pictures.png and minutes.png, the models, and the
measured files of what does not change. A run that is there is not made again.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import nicodec
from nicodec import progress
from nicodec.bench.coders import FURTHER, Coder, Point, coders, measure
from nicodec.bench.coders import nicodec as row_of
from nicodec.bench.conditions import load_average
from nicodec.bench.photographs import load
from nicodec.bench.report import Report, compare, mean_curve, plain
from nicodec.model import checkpoint
from nicodec.picture import writer
from nicodec.storage.files import atomic_write

PICTURES, MINUTES = (20, 50, 100, 200), (2.0, 5.0, 15.0, 30.0, 60.0)
USUAL = 30.0
"""The minutes of the default, at which numbers of pictures are compared if none are given."""
ALONE = 5 / 3
"""The minutes that one core needs for what two do in one: replicas do 1.7 times as much (docs/TRAINING.md)."""
RIVALS = ("avif", "jpeg")
MODELS = ("photo", "photo-fast")
COLUMNS = {"avif": "AVIF", "jpeg": "JPEG", FURTHER + "photo": "photo", FURTHER + "photo-fast": "photo-fast"}


@dataclass(frozen=True)
class Job:
    """One run: a folder of `train` and `test`, how many pictures of `train`, for how many minutes, and options.

    one_core: it has one thread, and as much more time.
    """

    folder: Path
    pictures: int
    minutes: float
    network: str
    seed: int
    one_core: bool = False

    @property
    def key(self) -> dict[str, Any]:
        """What tells its line among others."""
        return {
            "domain": self.folder.name,
            "pictures": self.pictures,
            "minutes": self.minutes,
            "network": self.network,
            "seed": self.seed,
        }

    @property
    def name(self) -> str:
        return "-".join(f"{value}" for value in self.key.values())


def found(folder: Path) -> list[Path]:
    """The pictures of a folder and below it, in an order that says nothing of them."""
    files = [path for path in folder.rglob("*") if writer.is_picture(path.name)]
    return sorted(files, key=lambda path: hashlib.sha256(path.relative_to(folder).as_posix().encode()).digest())


def jobs(options: argparse.Namespace) -> list[Job]:
    """The runs that are asked for. Numbers of pictures that a folder lacks become all that it has."""
    made: dict[Job, None] = {}
    for folder in options.folders:
        most = len(found(folder / "train"))
        counts = [min(n, most) for n in options.pictures or PICTURES]
        minutes = options.minutes or MINUTES
        if options.pictures and options.minutes:
            pairs = [(n, m) for n in counts for m in minutes]
        else:
            pairs = [(n, USUAL) for n in counts] * (not options.minutes)
            pairs += [(min(max(PICTURES), most), m) for m in minutes] * (not options.pictures)
        more = options.network, options.seed, options.one_core
        made |= dict.fromkeys(Job(folder, n, m, *more) for n, m in pairs)
    return list(made)


def trained(job: Job, out: Path) -> tuple[Path, dict[str, Any]]:
    """The model of a run, made by the default command, and what is known of the run."""
    model, facts = out / "models" / f"{job.name}.nicmodel", out / "models" / f"{job.name}.json"
    if not (model.exists() and facts.exists()):
        model.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as temporary:
            for path in found(job.folder / "train")[: job.pictures]:
                target = Path(temporary) / path.relative_to(job.folder / "train")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            words = [sys.executable, "-m", "nicodec", "train", temporary, "-o", str(model), "-f"]
            words += ["--minutes", f"{job.minutes * (ALONE if job.one_core else 1):.4g}", "--seed", str(job.seed)]
            words += ["--threads", "1"] * job.one_core
            words += ["--network", job.network] if job.network != "default" else []
            before, begun = load_average(), time.monotonic()
            done = subprocess.run(words, stderr=subprocess.PIPE, text=True)
            seconds = time.monotonic() - begun
        if done.returncode:
            raise SystemExit(f"{job.name}: training failed: {done.stderr.strip()[-500:]}")
        said = [line.replace(f"{model.parent}{os.sep}", "") for line in done.stderr.splitlines() if line.strip()]
        known = {"seconds": round(seconds), "load": [before, load_average()], "said": said}
        atomic_write(facts, json.dumps(known).encode(), overwrite=True)
    return model, json.loads(facts.read_bytes())


def measured(row: Coder, tests: Sequence[Path], points: int, cache: Path | None) -> list[Point]:
    """A codec on the test pictures. cache: where points are kept that stay the same."""
    pictures = [(path.name, *load(path)) for path in tests]
    same = {"points": points, "pictures": [(name, digest) for name, _, digest in pictures], "how": row.how}
    stamp = hashlib.sha256(json.dumps(same).encode()).hexdigest()
    if cache is not None and cache.exists() and (kept := json.loads(cache.read_bytes()))["of"] == stamp:
        return [Point(**point) for point in kept["points"]]
    settings = row.settings(points)
    with progress.bar(len(pictures) * len(settings)) as advance:
        result = []
        for name, image, _ in pictures:
            for setting in settings:
                result.append(measure(row, setting, image, name))
                advance(f"{name} {row.label}")
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        kept = {"of": stamp, "points": [plain(asdict(point)) for point in result]}
        atomic_write(cache, json.dumps(kept).encode(), overwrite=True)
    return result


def result(job: Job, out: Path, points: int) -> dict[str, Any]:
    """The line of a run: its BD-rates on the test pictures, and its conditions."""
    model, known = trained(job, out)
    good = job.folder / "test" / "good"
    tests = found(good if good.is_dir() else job.folder / "test")
    report = Report({})
    for path in tests:
        image, _ = load(path)
        report.images.append({"name": path.name, "width": image.width, "height": image.height})
    fixed = {row.name: row for row in coders()}
    rows = [fixed[name] for name in RIVALS if not fixed[name].missing]
    rows += [row_of(name, 1, further=True) for name in MODELS]
    for row in rows:
        mark = ""
        if row.name.startswith(FURTHER):
            mark = "-" + checkpoint.load(checkpoint.find(row.name.removeprefix(FURTHER))).identity[:8]
        cache = out / "measured" / f"{job.folder.name}-{row.name.replace(':', '-')}{mark}.json"
        report.points += measured(row, tests, points, cache)
    own = row_of(str(model), 1)
    report.points += measured(own, tests, points, None)
    report.curves = [mean_curve(row, report) for row in [*rows, own]]
    report.comparisons = compare(report)
    rates = {}
    for name in (row.name for row in rows):
        comparison = report.comparison("nicodec", name)
        rate = comparison.rate if comparison else None
        rates[name] = None if rate is None else round(rate.percent, 2)
    line = job.key | {"bd_rate": rates, "points": points, "tests": len(tests)}
    line["test_megapixels"] = round(sum(i["width"] * i["height"] for i in report.images) / 1e6, 2)
    line |= {"model": checkpoint.load(model).identity[:16], "nicodec": nicodec.__version__, "cpus": os.cpu_count()}
    times = {curve.name: [curve.encode_s_per_mp, curve.decode_s_per_mp] for curve in report.curves}
    line |= {"date": datetime.now(timezone.utc).isoformat(timespec="seconds"), "times": times} | known
    return dict(plain(line))


def lines(out: Path) -> list[dict[str, Any]]:
    """The lines that are there."""
    file = out / "own.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines() if line] if file.exists() else []


def plot(made: Sequence[dict[str, Any]], axis: str, title: str) -> bytes:
    """PNG: BD-rate against AVIF and `photo`, by pictures or by minutes; a colour for each domain."""
    figure = Figure(figsize=(8, 4.6), dpi=120, layout="constrained")
    axes = figure.subplots()
    for number, domain in enumerate(sorted({line["domain"] for line in made})):
        for rival, style in (("avif", "-"), (FURTHER + "photo", "--")):
            pairs = sorted((line[axis], line["bd_rate"].get(rival)) for line in made if line["domain"] == domain)
            pairs = [(x, y) for x, y in pairs if y is not None]
            if pairs:
                label = f"{domain}, against {COLUMNS[rival]}"
                axes.plot(*zip(*pairs, strict=True), style, marker="o", color=f"C{number}", label=label)
    ticks: list[float] = []
    for tick in sorted({line[axis] for line in made}):
        if not ticks or tick > 1.2 * ticks[-1]:  # there is room for its number
            ticks.append(tick)
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.axhline(0, color="#8a929c", linewidth=0.8)
    axes.set_xlabel("pictures" if axis == "pictures" else "minutes of two cores, for everything")
    axes.set_title(f"BD-rate on pictures never seen, %; {title}", loc="left", fontsize=11)
    axes.grid(color="#e6e8eb", linewidth=0.8)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def table(made: Sequence[dict[str, Any]]) -> str:
    """The runs as a table of Markdown."""
    heads = ["kind", "pictures", "minutes", "network", *COLUMNS.values()]
    rows = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for line in sorted(made, key=lambda line: [line["domain"], line["network"], line["pictures"], line["minutes"]]):
        rates = [line["bd_rate"].get(name) for name in COLUMNS]
        cells = [line["domain"], line["pictures"], f"{line['minutes']:g}", line["network"]]
        cells += ["–" if rate is None else f"{rate:+.1f}".replace("-", "−") for rate in rates]
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows) + "\n"


def draw(out: Path) -> None:
    """The plots and the table, from the lines that are there."""
    made = lines(out)
    if not made:
        return
    atomic_write(out / "own.md", table(made).encode(), overwrite=True)
    usual = [line for line in made if line["network"] == "default" and line["seed"] == 0]
    if not usual:
        return
    # Numbers of pictures are compared at the minutes that most runs had.
    runs = Counter(line["minutes"] for line in usual)
    minutes = max(runs, key=lambda minutes: (runs[minutes], minutes))
    by_pictures = [line for line in usual if line["minutes"] == minutes]
    most = {line["domain"]: max(x["pictures"] for x in usual if x["domain"] == line["domain"]) for line in usual}
    by_minutes = [line for line in usual if line["pictures"] == most[line["domain"]]]
    atomic_write(out / "pictures.png", plot(by_pictures, "pictures", f"{minutes:g} minutes"), overwrite=True)
    atomic_write(out / "minutes.png", plot(by_minutes, "minutes", "all pictures"), overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--domain", nargs="+", help="only the FOLDERs of these names")
    parser.add_argument("--pictures", nargs="+", type=int)
    parser.add_argument("--minutes", nargs="+", type=float)
    parser.add_argument("--network", choices=("default", "fast", "full"), default="default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one-core", action="store_true", help="one thread and 5/3 of the minutes for each run")
    parser.add_argument("--points", type=int, default=11, help="settings of each codec, 6 at least")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    if options.points < 6:
        parser.error("--points is 6 at least")
    options.folders = [f.resolve() for f in options.folders if options.domain is None or f.name in options.domain]
    options.out.mkdir(parents=True, exist_ok=True)
    for job in jobs(options):
        if any(job.key.items() <= line.items() for line in lines(options.out)):
            continue
        line = result(job, options.out, options.points)
        every = [json.dumps(one, allow_nan=False) + "\n" for one in [*lines(options.out), line]]
        atomic_write(options.out / "own.jsonl", "".join(every).encode(), overwrite=True)
        print(json.dumps(job.key | line["bd_rate"]), flush=True)
        draw(options.out)
    draw(options.out)


if __name__ == "__main__":
    main()
