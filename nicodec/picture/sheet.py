"""Pictures in rows with labels -> one PNG.

Beside `writer`; `bench.crops` draws with it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from nicodec.picture import PilImage, backgrounds

INK = "#22262b"


def side_by_side(sheet: Sequence[Sequence[tuple[str, PilImage]]], *, panel_width: int = 256) -> bytes:
    """PNG of rows of pictures, each with its label above.

    sheet: rows of (label, RGB or RGBA image); what is clear shows gray squares. No row is longer than the first.
    panel_width: pixels. Each row is enlarged by a whole factor to about this width, without smoothing.
    """
    gap, bar = 8, 34
    factors = [max(1, round(panel_width / row[0][1].width)) for row in sheet]
    widths = [f * row[0][1].width for f, row in zip(factors, sheet, strict=True)]
    heights = [f * row[0][1].height for f, row in zip(factors, sheet, strict=True)]
    size = len(sheet[0]) * (max(widths) + gap) + gap, sum(heights) + len(sheet) * bar + gap
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    top = 0
    for row, width, height in zip(sheet, widths, heights, strict=True):
        for number, (label, image) in enumerate(row):
            left = gap + number * (max(widths) + gap)
            enlarged = image.resize((width, height), Image.Resampling.NEAREST)
            canvas.paste(backgrounds.checkered(enlarged), (left, top + bar))
            points = next(
                (s for s in (18, 16, 14, 12) if draw.textlength(label, ImageFont.load_default(s)) <= width), 10
            )
            font = ImageFont.load_default(points)
            draw.text((left, top + bar - 8), label, fill=INK, font=font, anchor="ls")
        top += bar + height
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
