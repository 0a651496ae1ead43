"""`import nicodec.pillow`: Pillow opens and saves .nic files, and with it all that reads through Pillow.

Beside `codec`, for programs that think in Pillow's terms: `info`, `draft`, `save(quality=)`, and OSError for
files that are damaged.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import IO, Any

from PIL import Image, ImageFile

from nicodec import container, image
from nicodec.api import codec_for, encode
from nicodec.codec import PREVIEW
from nicodec.container import Kind
from nicodec.errors import NicError
from nicodec.files import MAX_BYTES

FORMAT = "NIC"
_OPTIONS = frozenset({"quality", "target_bytes", "target_bpp", "target_psnr", "effort", "model", "strip"})
_METADATA = frozenset({"icc_profile", "exif", "xmp"})


class NicImageFile(ImageFile.ImageFile):
    """A .nic file that is decoded when its pixels are first needed.

    `draft`, and so `thumbnail`, takes the preview where that is large enough.
    """

    format = FORMAT
    format_description = "nicodec"

    def _open(self) -> None:
        assert self.fp is not None
        self._data: bytes | None = self.fp.read(MAX_BYTES + 1)
        self._scale = 1.0
        try:
            header, chunks = container.unpack(self._data)
            extra = {chunk.kind: chunk.payload for chunk in chunks}
            for key, kind in (("icc_profile", Kind.ICC), ("exif", Kind.EXIF), ("xmp", Kind.XMP)):
                if kind in extra:
                    self.info[key] = image.EXIF_PREFIX * (kind == Kind.EXIF) + container.inflate(extra[kind])
        except NicError as error:
            raise OSError(str(error)) from error
        self.info["quality"] = header.quality / 100
        self._size = header.width, header.height
        self._mode = ("L" if header.channels == 1 else "RGB") + ("A" if Kind.ALPHA in extra else "")

    def load(self) -> Any:
        if self._data is not None:
            try:
                decoded = codec_for(self._data).decode(self._data, scale=self._scale)
            except NicError as error:
                raise OSError(str(error)) from error
            self.im, self._data = decoded.im, None
            with suppress(AttributeError):
                self._close_fp()
        return super().load()

    def draft(
        self, mode: str | None, size: tuple[int, int] | None
    ) -> tuple[str, tuple[int, int, float, float]] | None:
        """Use the preview if that is at least as large as `size`; modes are left as they are."""
        if self._data is None or self._scale != 1 or size is None:
            return None
        width, height = self.size
        if width < PREVIEW * size[0] or height < PREVIEW * size[1]:
            return None
        self._scale = 1 / PREVIEW
        self._size = -(-width // PREVIEW), -(-height // PREVIEW)
        return self.mode, (0, 0, width / PREVIEW, height / PREVIEW)


def _save(picture: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """As `nicodec.encode`, with its options; `icc_profile`, `exif` and `xmp` replace those of `info`."""
    given = dict(picture.encoderinfo)
    if unknown := given.keys() - _OPTIONS - _METADATA:
        raise TypeError(f"saving as .nic takes no option {', '.join(sorted(map(repr, unknown)))}")
    replaced = {key: given.pop(key) for key in _METADATA & given.keys()}
    if replaced:
        picture = picture.copy()
        picture.info.update({k: v.tobytes() if isinstance(v, Image.Exif) else v for k, v in replaced.items()})
    file.write(encode(picture, **given))


def open(path: str | os.PathLike[str]) -> Image.Image:
    """A .nic file as a Pillow image that is decoded when its pixels are first needed.

    Raises OSError if it is not there or damaged; Pillow's UnidentifiedImageError if it is no .nic file.
    """
    return Image.open(path, formats=[FORMAT])


Image.register_open(FORMAT, NicImageFile, lambda prefix: prefix.startswith(container.MAGIC))
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, ".nic")
Image.register_mime(FORMAT, "image/x-nicodec")
