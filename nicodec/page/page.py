"""Pictures, the weights that they need and the decoder -> the text of one page.

The only module of its room. The page needs no network, so it also works from the disk.
"""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from nicodec.bitstream import container
from nicodec.errors import BadFile, NicError
from nicodec.model import checkpoint, modelfile
from nicodec.picture import web
from nicodec.storage.files import shown

# The most bytes of the .nic files of an album: a browser keeps a third more, and the decoded pictures.
MOST_BYTES = 2**29


@dataclass(frozen=True)
class Picture:
    """A .nic file to show. name: for people. data: its bytes. near: its path, if models may lie beside it."""

    name: str
    data: bytes
    near: str | None = None


def page(
    pictures: Sequence[Picture],
    title: str,
    *,
    album: bool = False,
    model: str | os.PathLike[str] | None = None,
    weights: dict[str, bytes] | None = None,
) -> str:
    """The page of one picture, or the album of several.

    album: previews first, each picture opened on demand. weights: what `gather` has gathered of all of them; None: they
    are gathered here, with `model`. Raises BadFile without a picture, and as `gather`.
    """
    if not pictures or (len(pictures) > 1 and not album):
        raise BadFile("a page shows one picture, and an album at least one")
    if weights is None:
        weights = {}
        for picture in pictures:
            gather(weights, picture, model)
    data = [_stored("model", key, value, "id") for key, value in weights.items()]
    data += [_stored("picture", picture.name, picture.data, "name") for picture in pictures]
    grid = '<nav id="album" aria-label="Pictures"></nav>\n<main id="stage" hidden></main>'
    room = resources.files("nicodec.page")
    template = room.joinpath("page.html").read_text(encoding="utf-8")
    return web.filled(
        template.replace("/*decoder*/", room.joinpath("decoder.js").read_text(encoding="utf-8")),
        title=_text(title),
        body=grid if album else '<main id="stage"></main>',
        data="\n".join(data),
    )


def gather(weights: dict[str, bytes], picture: Picture, model: str | os.PathLike[str] | None = None) -> None:
    """Add the weights that a picture needs, by the id of their model, unless they are there.

    model: name, id or path of a model to try first. Raises as `container.unpack`, `checkpoint.find_id` and
    `checkpoint.load`.
    """
    file = container.unpack(picture.data)
    identity = file.header.model
    if not file.of_samples and identity.hex() not in weights:
        weights[identity.hex()] = _weights(identity, picture.near, model)


def _weights(identity: bytes, near: str | None, model: str | os.PathLike[str] | None) -> bytes:
    """The part of a model file that a decoder needs, of the model with this id."""
    if model is not None:
        given = checkpoint.load(checkpoint.find(model))
        if given.decodes and given.id != identity:
            raise NicError(f"{shown(given.name)} restores pictures, and a page does not; nicodec decode -m does")
        if given.id == identity:
            return modelfile.for_decoders(modelfile.read(given.path), shown(given.path))
    found = checkpoint.load(checkpoint.find_id(identity, near))
    found.expect(identity)
    return modelfile.for_decoders(modelfile.read(found.path), shown(found.path))


def _text(name: str) -> str:
    """A name in HTML. A byte of a file's name that is no text becomes a question mark."""
    return html.escape(name.encode(errors="replace").decode())


def _stored(kind: str, name: str, data: bytes, attribute: str) -> str:
    text = base64.b64encode(data).decode()
    return f'<script type="text/plain" class="{kind}" data-{attribute}="{_text(name)}">{text}</script>'
