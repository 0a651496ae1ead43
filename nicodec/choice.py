"""Several models as one encoder: of their files for a picture, the one that costs least is kept.

Above `codec`, which makes each file; below `api` and the command line. One model alone is that model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from nicodec import many
from nicodec.codec import Codec
from nicodec.coding import quantize
from nicodec.coding.encoded import Encoded
from nicodec.errors import BadImage, NicError, TargetMissed, Told, holding, warn
from nicodec.picture import Picture, Source, reader
from nicodec.storage.files import shown

# What a model may say of a picture that another one takes.
REFUSALS = (BadImage, TargetMissed)


class Choice:
    """Codecs to choose from, each for what it does best; safe to share between threads, as they are.

    Encoding takes the time of one encode for each codec, and without a target for PSNR that of one decode. Raises
    NicError without a codec.
    """

    def __init__(self, *codecs: Codec) -> None:
        if not codecs:
            raise NicError("there is no model to choose from")
        if len(codecs) > 1 and (restoring := [c.checkpoint.name for c in codecs if c.checkpoint.restores]):
            raise NicError(f"{shown(restoring[0])} restores pictures, and cannot be compared with other models")
        self.codecs = codecs

    def encode(
        self,
        source: Source | Picture,
        *,
        progress: Callable[[float, float], None] | None = None,
        strip: bool = False,
        strip_gps: bool = False,
        **options: Any,
    ) -> Encoded:
        """A picture -> the cheapest of the files of all codecs. Arguments are those of `Codec.encode`.

        At a quality the cheapest has the fewest bits + lambda * squared error, lambda being that of the quality. For a
        target of size it has the highest PSNR, for a target of PSNR the fewest bytes. Of equals the first is kept. A
        codec that refuses the picture or misses the target is left out. Raises what the first one raises if all do.
        """
        if len(self.codecs) == 1 or options.get("lossless") or options.get("quality") == "lossless":
            # A lossless file needs no model.
            return self.codecs[0].encode(source, progress=progress, strip=strip, strip_gps=strip_gps, **options)
        picture, count = reader.taken(source, strip=strip, strip_gps=strip_gps), len(self.codecs)
        made: list[tuple[Encoded, Told]] = []
        refused: list[NicError] = []
        for n, codec in enumerate(self.codecs):

            def step(done: float, cost: float, before: int = n) -> None:
                if progress is not None:
                    progress((before + done) / count, cost)

            try:
                with holding() as told:
                    made.append((codec.encode(picture, progress=step, **options), told))
            except REFUSALS as error:
                refused.append(error)
        if not made:
            raise refused[0]
        alone = len(made) == 1
        best, told = made[0] if alone else min(made, key=lambda each: self._cost(each[0], picture, **options))
        for text, category in told:
            warn(text, category)
        return best

    def _cost(
        self,
        made: Encoded,
        picture: Picture,
        *,
        quality: float | None = None,
        target_bytes: float | None = None,
        target_bpp: float | None = None,
        target_psnr: float | None = None,
        **_: object,
    ) -> float:
        """A number that is the smaller the better a file keeps to what was asked for."""
        if target_psnr is not None:
            return len(made)
        psnr = self.psnr(picture, made) if made.psnr is None else made.psnr
        if target_bytes is not None or target_bpp is not None:
            return -psnr
        q = quantize.quality_index(50 if quality is None else quality)
        return quantize.cost(q, len(made), psnr, made.width * made.height)

    def maker(self, made: Encoded) -> Codec:
        """The codec that made a file; of a lossless one the first."""
        return next((codec for codec in self.codecs if codec.checkpoint.id.hex() == made.model_id), self.codecs[0])

    def psnr(self, picture: Picture, made: Encoded) -> float:
        """PSNR in dB of a file's visible samples against the picture that it was made of."""
        return self.maker(made).psnr(picture, made)

    encode_many = many.encode_many

    @property
    def backend(self) -> str:
        """That of the first codec."""
        return self.codecs[0].backend

    @cached_property
    def single(self) -> Choice:
        """This choice with one thread for each call."""
        return Choice(*(codec.single for codec in self.codecs))
