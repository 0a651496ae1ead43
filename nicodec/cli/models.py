"""`nicodec models`: the models that can be named, and those of the user: added, removed, shown.

Under `app`; `model.shelf` knows where models are, `model.install` puts them there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nicodec.cli.options import Json
from nicodec.cli.plan import BadUsage
from nicodec.progress import say
from nicodec.storage.files import shown

# Digits of an id in a list, and the width of the names of facts.
ID_SHOWN, COLUMN = 16, 9


def models(
    action: Annotated[
        Literal["add", "remove", "show"] | None,
        typer.Argument(
            metavar="[ACTION]",
            help="add: install a .nicmodel file, so that files of this model decode everywhere on this machine, and -m"
            " finds it by its name. remove: take an installed one away. show: all that a model says of itself. Without"
            " any of these: list the models.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="add: a .nicmodel file. remove: a name, or the first 8 or more digits of an id. show: any of these.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="add: the name to install it by.", show_default="the one in the file")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the models that -m can name; add, remove or show one of your own.

    [dim]
    nicodec models
    nicodec models add mine.nicmodel           then -m mine finds it
    nicodec models show mine
    nicodec models remove mine
    [/dim]
    """
    if (action is None) != (model is None):
        raise BadUsage(f"nicodec models {action} takes a model")
    if name is not None and action != "add":
        raise BadUsage("--name goes with add")
    if action is None:
        _list(as_json)
        return
    assert model is not None
    from nicodec.model import checkpoint, install, shelf

    if action == "add":
        if name is not None and (why := shelf.taken(name)):
            raise typer.BadParameter(f"--name {name!r}: {why}")
        entry, path, is_new = install.add(model, name)
        _print(entry, path, as_json)
        if not is_new:
            say(f"it is there already, as {shown(entry['name'])}")
        elif sum(other["name"] == entry["name"] for other, _ in shelf.installed()) > 1:
            say(f"another model is named {entry['name']} too: -m takes the id of one of them")
    elif action == "remove":
        print(f"{shown(install.remove(model))}: removed")
    else:
        path = checkpoint.find(model)
        about = _facts(path)
        if as_json:
            print(json.dumps(about))
            return
        for key, value in _rows(about):
            print(f"{key:{COLUMN}}{value}")


def _list(as_json: bool) -> None:
    from nicodec.model import shelf

    found = list(shelf.installed())
    if as_json:
        print(json.dumps([entry | {"path": str(path)} for entry, path in found]))
        return
    for entry, path in found:
        _print(entry, path, as_json)
        with suppress(KeyError, IndexError, TypeError, ValueError):  # somebody else's manifest
            for line in _about_model(entry):
                print(f"    {shown(line)}")
    if not found:
        say("no model is installed; NICODEC_MODELS names folders to look in")


def _print(entry: dict[str, Any], path: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps(entry | {"path": str(path)}))
    else:
        print(f"{shown(entry['name'])}  {entry['id'][:ID_SHOWN]}  {shown(path)}")


def _about_model(entry: dict[str, Any]) -> Iterator[str]:
    """What a manifest tells of a model."""
    cost = entry["kmac_per_pixel"]
    yield (
        f"{entry['parameters'] / 1e6:.1f} million parameters; multiplications for each pixel:"
        f" {1000 * cost['encode']:,.0f} to encode, {1000 * cost['decode']:,.0f} to decode"
    )
    first, last = entry["rd"]["points"][0], entry["rd"]["points"][-1]
    yield (
        f"{first['bpp']:.3f} to {last['bpp']:.2f} bpp, {first['psnr']:.1f} to {last['psnr']:.1f} dB"
        f" ({entry['rd']['images']})"
    )


def _facts(path: Path) -> dict[str, Any]:
    """All that a model file says of itself, verified first; and what the manifest says of a released one."""
    from nicodec.model import checkpoint, modelfile, shelf
    from nicodec.model.card import Card

    made, metadata = checkpoint.load(path), modelfile.head(path)
    card, trained = Card.of(metadata), {}
    with suppress(ValueError, TypeError, RecursionError):
        found = json.loads(metadata.get("training", "{}"))
        for key, kind in {"steps": int, "pixels": int, "seconds": int, "device": str}.items():
            if isinstance(found, dict) and type(found.get(key)) is kind:
                trained[key] = found[key]
    entry = next((entry for entry, there in shelf.installed() if os.path.samefile(there, path)), {})
    curve = [point._asdict() for point in card.curve]
    with suppress(KeyError, TypeError):
        curve = curve or [{key: point[key] for key in ("quality", "bpp", "psnr")} for point in entry["rd"]["points"]]
    return {
        "name": entry.get("name", made.name),
        "id": made.identity,
        "path": str(path),
        "bytes": path.stat().st_size,
        "network": vars(made.config),
        "made": card.made,
        "from": card.start,
        "restores": card.restores,
        "decodes": card.decodes,
        "trained": trained,
        "licence": card.licence,
        "note": card.note,
        "curve": curve,
    }


def _rows(about: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The same for a person; what is not known is left out. Texts may come from anybody."""
    trained = about["trained"]
    scales = {"steps": (1, "step"), "pixels": (1e6, "megapixel"), "seconds": (60, "minute")}
    counts = [(f"{trained[key] / n:,.0f}", unit) for key, (n, unit) in scales.items() if key in trained]
    words = [f"{count} {unit}{'s' * (count != '1')}" for count, unit in counts]
    words += [f"on {trained['device'][:COLUMN]}"] if "device" in trained else []
    rows = {"name": about["name"], "id": about["id"], "file": about["path"], "size": f"{about['bytes']:,} bytes"}
    rows["pictures"] = "gray alone" if about["network"]["colours"] == 1 else ""
    rows |= {key: about[key] for key in ("made", "from", "restores", "decodes")}
    rows |= {"trained": ", ".join(words), "licence": about["licence"], "note": about["note"]}
    yield from ((key, shown(value)) for key, value in rows.items() if value)
    for n, point in enumerate(about["curve"]):
        quality, bpp, psnr = point["quality"], point["bpp"], point["psnr"]
        yield "curve" * (n == 0), f"quality {quality:3g}: {bpp:.3f} bpp, {psnr:.2f} dB"
