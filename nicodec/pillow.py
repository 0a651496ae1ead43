"""`import nicodec.pillow`: Pillow, and every program that reads through it, opens and saves .nic files.

Above `api`. It keeps Pillow's terms: `info`, `draft`, `save(quality=)`, and OSError for damaged files.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import IO, Any

from PIL import Image, ImageFile

from nicodec.api import decoder_for, encode
from nicodec.bitstream import container
from nicodec.bitstream.container import File
from nicodec.coding import beside
from nicodec.coding.painting import PREVIEW
from nicodec.errors import NicError
from nicodec.picture.beside import pillow_info
from nicodec.storage.files import MAX_BYTES

FORMAT = "NIC"
_OPTIONS = frozenset(
    {"quality", "target_bytes", "target_bpp", "target_psnr", "effort", "lossless", "model", "strip", "strip_gps"}
)
_METADATA = frozenset({"icc_profile", "exif", "xmp", "comment", "dpi"})


class NicImageFile(ImageFile.ImageFile):
    """A .nic file that is decoded when its pixels are first needed.

    `draft`, and so `thumbnail`, takes the preview if that is large enough.
    """

    format = FORMAT
    format_description = "nicodec"
    # Defaults for an image that was pickled or copied, which has its pixels already.
    _file: File | None = None
    _scale = 1.0

    def _open(self) -> None:
        assert self.fp is not None
        try:
            file = container.unpack(self.fp.read(MAX_BYTES + 1))
            pillow_info.put(self.info, beside.metadata(file))
        except NicError as error:
            raise OSError(str(error)) from error
        self.info["quality"] = file.header.quality / 100
        self._size = file.header.width, file.header.height
        self._mode, self._file = file.mode, file

    def load(self) -> Any:
        if self._file is not None:
            try:
                decoded = decoder_for(self._file, near=os.fsdecode(self.filename) or None)(
                    self._file, scale=self._scale
                )
            except NicError as error:
                raise OSError(str(error)) from error
            self.im, self._file = decoded.im, None
            with suppress(AttributeError):
                if self._exclusive_fp:  # a stream of the caller stays open
                    self._close_fp()
        return super().load()

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Use the preview if that is at least as large as `size`. The mode stays as it is."""
        if self._file is None or self._scale != 1 or size is None:
            return None
        width, height = self.size
        if width < PREVIEW * size[0] or height < PREVIEW * size[1]:
            return None
        self._scale = 1 / PREVIEW
        self._size = -(-width // PREVIEW), -(-height // PREVIEW)
        return self.mode, (0, 0, width / PREVIEW, height / PREVIEW)


def _save(picture: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """Save with the options of `nicodec.encode`, except check, max_pixels and progress.

    `icc_profile`, `exif`, `xmp`, `comment` and `dpi` replace those of `info`. Raises TypeError for any other option.
    """
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

    Raises OSError if the file is missing or damaged, and Pillow's UnidentifiedImageError if it is no .nic file.
    """
    return Image.open(path, formats=[FORMAT])


Image.register_open(FORMAT, NicImageFile, lambda prefix: prefix.startswith(container.MAGIC))
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, ".nic")
Image.register_mime(FORMAT, "image/x-nicodec")
