"""From a trained model file to a released one: checkpoints/, its manifest entry and conformance vectors.

The last step of training, run by hand after `nicodec bench -m my.nicmodel -o RESULTS`:
python bench/release.py my.nicmodel photo --results RESULTS/results.json
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import conformance
import typer

from nicodec import __version__
from nicodec.errors import NicError
from nicodec.model import checkpoint, modelfile
from nicodec.nn.model import Model
from nicodec.nn.thaw import thaw
from nicodec.storage.files import atomic_write
from nicodec.train.complexity import kmac_per_pixel


def release(model: Path, name: str, results: Path, folder: Path, vector_folder: Path) -> None:
    """Put a model file into `folder`, and write its manifest entry and its conformance vectors.

    results: results.json of a benchmark of this very file, for the RD points. A model with the same id, whose encoder
    this one betters, is replaced; its vectors stay. Raises NicError if the results are of another file, or if this one
    is released already.
    """
    made = checkpoint.load(model)
    manifest = folder / "manifest.json"
    entries = json.loads(manifest.read_text("utf-8"))["models"] if manifest.is_file() else []
    if any(entry["sha256"] == made.sha256 for entry in entries):
        raise NicError(f"{model}: released already")
    report = json.loads(results.read_text("utf-8"))
    conditions = report["conditions"]
    models = {"nicodec": conditions["model_sha256"]} | conditions.get("further", {})
    curves = {models[c["name"]]: c for c in report["curves"] if c["name"] in models}
    if made.sha256 not in curves:
        raise NicError(f"{results}: these are results of another model")
    curve = curves[made.sha256]
    network = Model(made.config)
    network.load_state_dict(thaw(made.tensors, network.config))
    metadata, _ = modelfile.parse(model.read_bytes(), str(model))
    file = f"{name}-{made.identity[:8]}{modelfile.SUFFIX}"
    entry = {
        "name": name,
        "file": file,
        "id": made.identity,
        "sha256": made.sha256,
        "made_with": __version__,
        "parameters": sum(p.numel() for p in network.parameters()),
        "kmac_per_pixel": kmac_per_pixel(network),
        "config": asdict(made.config),
        "training": json.loads(metadata["training"]),
        "rd": {
            "images": f"means of real files, {len(report['images'])} pictures of {results.parent.name}",
            "points": [
                {
                    "quality": p["setting"],
                    "bpp": round(p["bpp"], 5),
                    "psnr": round(p["psnr"], 4),
                    "msssim": round(p["msssim"], 6),
                }
                for p in curve["points"]
            ],
        },
    }
    # The file first and the manifest last: a manifest never names what is not there.
    atomic_write(folder / file, model.read_bytes(), overwrite=True)
    others = [other for other in entries if other["id"] != made.identity]
    if others == entries:
        conformance.write(vector_folder, folder / file)
    text = json.dumps({"models": [*others, entry]}, indent=1)
    atomic_write(manifest, (text + "\n").encode(), overwrite=True)


def main(
    model: Annotated[Path, typer.Argument(help="The .nicmodel file to release.")],
    name: Annotated[str, typer.Argument(help="Its public name.")],
    results: Annotated[Path, typer.Option(help="results.json of `nicodec bench -m MODEL`.")],
    folder: Annotated[Path, typer.Option(help="Where released models live.")] = Path("checkpoints"),
    vector_folder: Annotated[Path, typer.Option("--vectors")] = Path("tests/vectors"),
) -> None:
    """Release a measured model: add it to the manifest and write its conformance vectors."""
    release(model, name, results, folder, vector_folder)


if __name__ == "__main__":
    try:
        typer.run(main)
    except NicError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
