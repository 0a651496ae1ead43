"""`nicodec verify`: which .nic files are sound.

Under `app`; decodes each file completely.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from nicodec import progress
from nicodec.cli import plan
from nicodec.cli.options import NIC_FILES, Json, ModelOfFile, Quiet, Threads
from nicodec.cli.report import SOME_FAILED, about, label
from nicodec.errors import NicError
from nicodec.storage import store_of


def verify(
    sources: Annotated[list[str], typer.Argument(metavar="FILE...", help=NIC_FILES)],
    model: ModelOfFile = None,
    threads: Threads = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Decode .nic files completely, checksums included, and say which are sound."""
    from nicodec.api import decoder_for
    from nicodec.bitstream import container

    paths = plan.nic_files(sources)
    failed: list[NicError] = []
    facts: list[dict[str, Any]] = []
    with progress.bar(len(paths), share=len(paths) == 1, hidden=quiet or as_json) as advance:
        for n, path in enumerate(paths):

            def step(done: float, before: int = n, name: str = path) -> None:
                advance("" if len(paths) == 1 else label(name, "stdin"), before + done)

            try:
                with about(path, quiet):
                    file = container.unpack(store_of(path).read(path))
                    decoder_for(file, model, threads, near=path)(file, progress=step)
            except NicError as error:
                failed.append(error)
                facts.append({"source": path, "ok": False, "error": str(error)})
                if not as_json:
                    print(error)
            else:
                facts.append({"source": path, "ok": True})
                if not (quiet or as_json):
                    print(f"{label(path, 'stdin')}: ok")
    if as_json:
        total = {"files": len(paths) - len(failed), "failed": len(failed)}
        print(json.dumps({"files": facts, "total": total}))
    if failed:
        raise typer.Exit(failed[0].exit_code if len(paths) == 1 else SOME_FAILED)
