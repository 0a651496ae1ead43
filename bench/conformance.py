"""Conformance vectors: small files that use every feature of the format, and what each of them decodes to.

After a release of a model: the model in, folders that are kept for ever out. Every later release decodes
them all.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec import api
from nicodec.bench import photographs
from nicodec.bitstream import alpha, container, correction, entropy, flats, patches, tiles
from nicodec.bitstream.container import Chunk, File, Header, Kind
from nicodec.bitstream.correction import Correction
from nicodec.bitstream.crc import SymbolsCrc
from nicodec.codec import Codec
from nicodec.coding import beside, painting, prior
from nicodec.errors import NicError
from nicodec.model import checkpoint, shelf
from nicodec.model.checkpoint import Checkpoint
from nicodec.picture import Beside, Picture, reader, writer
from nicodec.picture.beside import text
from nicodec.storage.files import atomic_write, shown

Pixels: TypeAlias = npt.NDArray[np.uint8]

SUMS = "SHA256SUMS"
# Other machines may be off by this much in any sample: float networks differ in their last bits.
PEAK_ERROR = {8: 1, 16: 64}


def write(folder: Path, model: str | os.PathLike[str] | Checkpoint) -> list[Path]:
    """Make the vectors of a model: `folder`/<first 8 digits of its id>-<name>/, one for each feature.

    Each holds file.nic, picture.png (what it decodes to, without metadata) and expect.json: size, mode,
    quality, the peak error allowed, the id of its model, and SHA-256 of its symbols (z int8, then r int16
    little-endian, channel by channel) and of its metadata. SHA256SUMS in `folder` lists every file. Returns
    the new folders.

    Raises NicError, and writes nothing, if the model has vectors there already: they never change.
    """
    coder = Codec(model, threads=1, backend="cpu")  # whatever the environment says
    short = coder.checkpoint.identity[:8]
    if any(folder.glob(f"{short}-*")):
        raise NicError(f"{shown(folder)} has vectors of the model {short} already; vectors never change")
    made = {
        f"{short}-{name}": {
            "file.nic": data,
            "picture.png": _png(coder, data),
            "expect.json": json.dumps(expectations(coder, data), indent=1).encode() + b"\n",
        }
        for name, data in files(coder).items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    sums = folder / SUMS
    lines = sums.read_text("utf-8").splitlines() if sums.exists() else []
    with TemporaryDirectory(dir=folder, prefix=".new-") as scratch:
        for identity, contents in made.items():
            (Path(scratch) / identity).mkdir()
            for name, data in contents.items():
                (Path(scratch) / identity / name).write_bytes(data)
                lines.append(f"{hashlib.sha256(data).hexdigest()}  {identity}/{name}")
        for identity in made:
            os.rename(Path(scratch) / identity, folder / identity)
    atomic_write(sums, "".join(line + "\n" for line in lines).encode(), overwrite=True)
    return [folder / identity for identity in made]


def files(coder: Codec) -> dict[str, bytes]:
    """Name -> bytes of a .nic file, for every feature of the format."""
    i, j = np.ogrid[:60, :50]
    gradient = np.broadcast_to(i * 3 + j * j, (60, 50)).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 2, (40, 48, 3)).astype(np.uint8) * np.uint8(255)
    flicker = np.random.default_rng(1).integers(0, 256, (2, 50)).astype(np.uint8)[i[:, 0] * i[:, 0] // 7 % 2]

    deep = _scene(50, 70).astype(np.uint16) * np.uint16(200) + np.arange(70, dtype=np.uint16)[:, None]
    deep_alpha = np.arange(50 * 70, dtype=np.uint16).reshape(50, 70) * np.uint16(17)

    def coded(picture: Picture | Pixels, quality: float | str) -> bytes:
        whole = picture if isinstance(picture, Picture) else Picture(picture)
        return coder.encode(whole, quality=quality, lossless=None if quality == "lossless" else False)

    made = {
        "photograph": coded(_crop("astronaut.png", 24, 170, 112, 96), 50),
        "photograph-gray": coded(_crop("hubble_deep_field.jpg", 120, 300, 64, 64)[:, :, 1:2].copy(), 75),
        "quality-0": coded(_scene(67, 83), 0),
        "quality-100": coded(_scene(33, 61), 100),
        "quality-37.25": coded(_scene(65, 64), 37.25),
        "gray": coded(_scene(61, 47, 1), 55),
        "noise": coded(noise, 100),
        "1x1": coded(_scene(1, 1), 80),
        "1x1-gray-alpha": coded(Picture(_scene(1, 1, 1), np.array([[7]], np.uint8)), 20),
        "1x130": coded(_scene(130, 1), 60),
        "257x2": coded(_scene(2, 257), 60),
        "alpha-constant": coded(Picture(_scene(20, 33), np.full((20, 33), 128, np.uint8)), 40),
        "alpha-plain": coded(Picture(_scene(60, 50), flicker), 40),
        "alpha-vertical": coded(Picture(_scene(60, 50), gradient), 40),
        "metadata": coded(Picture(_scene(40, 40), beside=Beside(_ICC, _EXIF, _XMP, _IPTC, _TEXT, _DENSITY)), 50),
        "tiles": coded(_scene(70, 1100), 5),
        "deep": coded(Picture(deep), 90),
        "deep-gray-alpha": coded(Picture(np.ascontiguousarray(deep[:, :, :1]), deep_alpha), 60),
        "lossless": coded(_scene(40, 45), "lossless"),
        "lossless-gray": coded(_scene(33, 20, 1), "lossless"),
        "lossless-tiles-alpha": coded(Picture(_scene(60, 1100), np.full((60, 1100), 9, np.uint8)), "lossless"),
        "lossless-deep": coded(Picture(deep, deep_alpha), "lossless"),
        "lossless-deep-gray": coded(Picture(np.ascontiguousarray(deep[:, :, 1:2])), "lossless"),
    }
    made["tiles-2x3"] = _retiled(coder, coded(_scene(200, 310), 25), (2, 3))
    made["patches"] = _with_patches(coded(_scene(52, 75), 40), _scene(75, 52).transpose(1, 0, 2))
    made["patches-deep"] = _with_patches(coded(Picture(deep), 40), _scene(50, 70))
    made["patches-gray"] = _with_patches(coded(_scene(40, 33, 1), 40), np.invert(_scene(40, 33, 1)))
    made["flats"] = _with_flats(made["patches"], (20, 12))
    made["flats-gray"] = _with_flats(coded(_scene(40, 33, 1), 40), (0, 0))
    made["correction"] = _with_correction(coder, coded(_scene(130, 150), 30))
    made["correction-gray"] = _with_correction(coder, coded(_scene(47, 61, 1), 70))
    made["correction-deep"] = _with_correction(coder, coded(Picture(deep), 95))
    made["escapes"] = _with_escapes(coder, coded(_scene(64, 64), 100))
    made["minor-version"] = _of_a_later_minor(coded(_scene(30, 30), 50))

    methods = [made[name] for name in ("alpha-constant", "alpha-plain", "alpha-vertical", "deep-gray-alpha")]
    found = [_payloads(data)[Kind.ALPHA][0] for data in methods]
    if found != [alpha.CONSTANT, alpha.PLAIN, alpha.VERTICAL, alpha.DEEP]:
        raise NicError("the vectors do not use every method of alpha")
    return made


def expectations(coder: Codec, data: bytes) -> dict[str, object]:
    """What expect.json says of a file."""
    found, file, payloads = api.info(data), container.unpack(data), _payloads(data)
    z, r = (np.zeros(0, np.int8), np.zeros(0, np.int16)) if found.lossless else _symbols(coder, file)
    return {
        "model": coder.checkpoint.identity,
        "size": [found.width, found.height],
        "mode": found.mode,
        "depth": found.depth,
        "lossless": found.lossless,
        "quality": found.quality,
        "version": found.version,
        "tiles": list(found.tiles),
        "chunks": [kind for kind, _ in found.chunks],
        "symbols_sha256": hashlib.sha256(z.tobytes() + r.astype("<i2").tobytes()).hexdigest(),
        "metadata_sha256": {
            kind.name: hashlib.sha256(container.inflate(payloads[kind])).hexdigest()
            for kind in beside.METADATA
            if kind in payloads
        },
        "peak_error": 0 if found.lossless else PEAK_ERROR[found.depth],
    }


def _png(coder: Codec, data: bytes) -> bytes:
    file = container.unpack(data)
    if file.header.depth == 16:
        deep = beside.picture(file, coder.decode(file, dtype=np.uint16), painting.view(file.header))
        return writer.encoded_deep(Picture(deep.pixels, deep.alpha), "png")
    picture = coder.decode(file)
    picture.info.clear()
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)  # smaller than what the program writes, which is made for speed
    return buffer.getvalue()


def _payloads(data: bytes) -> dict[int, bytes]:
    return {chunk.kind: chunk.payload for chunk in container.unpack(data)[1]}


def _scene(height: int, width: int, channels: int = 3) -> Pixels:
    """Slopes, edges and texture in whole numbers."""
    i, j, c = np.ogrid[:height, :width, :channels]
    slope, texture = (i + 2 * j) // 3 + 30 * c, i * j // 7 % 29 * (j // 40 % 2)
    edges = (i // 24 + j // 32 + c) % 3 * 30
    scene: Pixels = np.clip(slope + texture + edges, 0, 255).astype(np.uint8)
    return scene


def _crop(name: str, top: int, left: int, height: int, width: int) -> Pixels:
    """A piece of a photograph in the scikit-image wheel; those used are by NASA and in the public domain."""
    for path in photographs.photographs():
        if path.name == name:
            pixels = reader.read(photographs.load(path)[0]).pixels
            return pixels[top : top + height, left : left + width].copy()
    raise NicError(f"this scikit-image does not carry {name}")


def _symbols(coder: Codec, file: File) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int16]]:
    found = coder.symbols_of(file)
    return found.z, found.whole()


def _retiled(coder: Codec, data: bytes, tile: tuple[int, int]) -> bytes:
    """The same picture in other tiles. Decoders take any size of tile; encoders use one."""
    file = container.unpack(data)
    return _packed(coder, replace(file.header, tile=tile), file.chunks[0], *_symbols(coder, file))


def _with_escapes(coder: Codec, data: bytes) -> bytes:
    """Symbols that no table holds, of one, two and three bytes, both signs and the largest that there are."""
    header, chunks = file = container.unpack(data)
    z, r = _symbols(coder, file)
    index = prior.tables(coder.networks, z, header.quality)
    tables = coder.y_tables
    free = ~tables.settled[index[0]]
    r[0, :5, 1, 2] = np.where(free[:5, 1, 2], [2000, -2000, -9000, 32767, -32767], 0)
    above, below = np.flatnonzero(free[:, 0, 0])[-1], np.flatnonzero(free[:, 3, 3])[-1]
    r[0, above, 0, 0] = tables.high[index[0, above, 0, 0]] + 1
    r[0, below, 3, 3] = tables.low[index[0, below, 3, 3]] - 1
    return _packed(coder, header, chunks[0], z, r)


def _with_patches(data: bytes, shown: Pixels) -> bytes:
    """The same file, which shows another picture in every second cell and in the last."""
    header, chunks = container.unpack(data)
    cells = tiles.Box(0, 0, header.height, header.width).over(patches.SIDE)
    where = np.indices((cells.bottom, cells.right)).sum(0) % 2 == 0
    where[-1, -1] = True
    payload = patches.encode(patches.cut(shown, where, 20))
    # The encoder may have sent patches of its own.
    others = [chunk for chunk in chunks if chunk.kind not in (Kind.PATCHES, Kind.FLATS)]
    return _packed_in_order(header, [*others, Chunk(Kind.PATCHES, payload)])


def _with_correction(coder: Codec, data: bytes) -> bytes:
    """The same file with a correction that is seen, of coefficients of all sizes and both signs."""
    header, chunks = container.unpack(data)
    widths = coder.crew.alone.filters.widths
    values = np.random.default_rng(2).laplace(0, 3, max(1, len(widths) - 3)).astype(np.int64)
    sent = Chunk(Kind.CORRECTION, correction.encode(Correction(9, 1, values), widths))
    others = [chunk for chunk in chunks if chunk.kind != Kind.CORRECTION]
    return _packed_in_order(header, [*others, sent])


def _packed_in_order(header: Header, chunks: list[Chunk]) -> bytes:
    return container.pack(header, sorted(chunks, key=lambda chunk: chunk.kind))


def _with_flats(data: bytes, at: tuple[int, int]) -> bytes:
    """The same file, with flat cells of several colours from this row and column on, and in the last cell."""
    header, chunks = container.unpack(data)
    shown = _scene(header.height, header.width, header.channels)
    for row, column, level in ((0, 0, 0), (8, 0, 255), (8, 8, 100)):
        shown[at[0] + row :, at[1] + column :][:17, :30] = level
    shown[-(header.height % 8 or 8) :, -(header.width % 8 or 8) :] = 7
    found = flats.found(shown)
    assert found is not None
    others = [chunk for chunk in chunks if chunk.kind != Kind.FLATS]
    return _packed_in_order(header, [*others, Chunk(Kind.FLATS, flats.encode(found))])


def _packed(coder: Codec, header: Header, z_chunk: Chunk, z: npt.NDArray[np.int8], r: npt.NDArray[np.int16]) -> bytes:
    """The file of these symbols, in the tiles that the header tells."""
    index = prior.tables(coder.networks, z, header.quality)
    chunks = [z_chunk]
    whole, positions = tiles.cells(header.width, header.height), tiles.positions(header.width, header.height)
    for tile in tiles.grid(whole, header.tile):
        coded = tile.times(tiles.Y_CELL).cut(positions)
        symbols, tables = (tiles.crop(a, whole.times(tiles.Y_CELL), coded).reshape(-1) for a in (r, index))
        chunks.append(Chunk(Kind.Y, entropy.encode(symbols, tables, coder.y_tables)))
    crc = SymbolsCrc()
    crc.add(r)
    return container.pack(replace(header, symbols_crc=crc.value(z)), chunks)


def _of_a_later_minor(data: bytes) -> bytes:
    """What a later minor version may add: its number, and a chunk that may be skipped."""
    header, chunks = container.unpack(data)
    later = Chunk(0xFF, b"skipped by who does not know it")
    return container.pack(replace(header, version=(container.MAJOR, 15)), [*chunks, later])


# Opaque to the codec: the header of a colour profile, an EXIF block of one tag, an XMP packet, two data sets of IPTC,
# texts, 300 pixels per inch and 150.5.
_ICC = struct.pack(">I4xI12s12x4s92x", 132, 0x02400000, b"mntrRGB XYZ ", b"acsp")
_EXIF = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, 1, 0, 0)
_XMP = (
    b"<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?>"
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>"
    b"<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'></rdf:RDF>"
    b"</x:xmpmeta>" + b" " * 200 + b"<?xpacket end='w'?>"
)
_IPTC = b"\x1c\x02\x00\x00\x02\x00\x04\x1c\x02\x19\x00\x07harbour"
_TEXT = text.pack([("Comment", "from slide 12"), ("Description", "Nebel \u00fcber dem Hafen")])
_DENSITY = text.pack_density(300, 150.5)


def main() -> None:
    """Make the vectors of every released model that has none."""
    folder, checkpoints = Path("tests/vectors"), Path("checkpoints")
    for _, path in shelf.stock(checkpoints).models:
        if not any(folder.glob(f"{checkpoint.load(path).identity[:8]}-*")):
            for made in write(folder, path):
                print(made)


if __name__ == "__main__":
    main()
