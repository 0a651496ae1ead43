"""A photograph → a .nic file and back, beside JPEG: two sizes on the terminal and one picture to look at.

Uses what `pip install nicodec` brings, and for its photograph the data folder of the scikit-image wheel.
"""

import argparse
import importlib.util
import io
import math
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

import nicodec
from nicodec.coding import targets
from nicodec.picture import backgrounds

INK, PAPER, FAINT = "#1b1b1f", "#ffffff", "#6b6b76"
GAP, ZOOM, WIDEST = 20, 4, 900


def photograph(name: str = "coffee.png") -> Path:
    """A photograph that the scikit-image wheel carries; found without importing it."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise SystemExit("no photograph: install scikit-image, or name a picture of your own")
    return Path(spec.origin).parent / "data" / name


def psnr(a: Image.Image, b: Image.Image) -> float:
    """PSNR in dB over all samples of two 8-bit RGB pictures."""
    error = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return 10 * math.log10(255**2 / max(float(np.mean(error**2)), 1e-12))


def as_jpeg(image: Image.Image, quality: int) -> bytes:
    """Pillow's JPEG as everybody gets it: 4:2:0, standard Huffman tables."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def jpeg_of_equal_psnr(image: Image.Image, goal: float) -> tuple[float, str]:
    """Bytes of the JPEG with PSNR `goal`, and how they were found.

    Quality comes in whole steps, so no file has just that PSNR: the size lies between those of two
    neighbours and is interpolated, its logarithm linearly in dB.
    """

    def reached(quality: int) -> float:
        return psnr(image, opened(as_jpeg(image, quality)))

    above = 1 + targets.crossing(lambda n: reached(1 + n), goal, 99, reach=True)
    if above == 1 or reached(above) < goal:
        return len(as_jpeg(image, above)), f"quality {above}, the end of its range: not of equal PSNR"
    small, large = as_jpeg(image, above - 1), as_jpeg(image, above)
    low, high = psnr(image, opened(small)), psnr(image, opened(large))
    share = (goal - low) / (high - low)
    size = math.exp((1 - share) * math.log(len(small)) + share * math.log(len(large)))
    return size, (
        f"between quality {above - 1} ({len(small):,} bytes, {low:.2f} dB) "
        f"and {above} ({len(large):,} bytes, {high:.2f} dB)"
    )


def jpeg_of_equal_size(image: Image.Image, size: int) -> tuple[bytes, int]:
    """The best JPEG of at most `size` bytes and its quality; quality 1 where even that is larger."""
    quality = 1 + targets.crossing(lambda n: math.log(len(as_jpeg(image, 1 + n))), math.log(size), 99)
    return as_jpeg(image, quality), quality


def comparison(panels: list[tuple[str, str, Image.Image]]) -> Image.Image:
    """Pictures of one size side by side, titled; below them their middle magnified.

    What is wider than `WIDEST` is shown reduced; the magnified part always shows single pixels.
    """
    full = panels[0][2]
    scale = min(1, WIDEST / full.width)
    width, height = (max(round(side * scale), 1) for side in full.size)
    cut = max(width // ZOOM, 1), max(height // ZOOM, 1)  # what is magnified, in pixels of the picture
    left, top = ((side - part) // 2 for side, part in zip(full.size, cut, strict=True))
    box = (left, top, left + cut[0], top + cut[1])
    title, line = (ImageFont.load_default(size) for size in (24, 17))
    head = 74
    size = (len(panels) * (width + GAP) + GAP, GAP + head + height + GAP + cut[1] * ZOOM + GAP)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (name, facts, picture) in enumerate(panels):
        x, y = GAP + index * (width + GAP), GAP + head
        draw.text((x, GAP), name, INK, title)
        draw.text((x, GAP + 36), facts, FAINT, line)
        sheet.paste(picture if scale == 1 else picture.resize((width, height)), (x, y))
        frame = [corner + round(side * scale) for corner, side in zip((x, y, x, y), box, strict=True)]
        for colour, out in ((INK, 1), (PAPER, 0), (PAPER, -1), (INK, -2)):  # seen on dark and on light
            draw.rectangle((frame[0] - out, frame[1] - out, frame[2] + out, frame[3] + out), outline=colour)
        detail = picture.crop(box).resize((cut[0] * ZOOM, cut[1] * ZOOM), Image.Resampling.NEAREST)
        sheet.paste(detail, (x, y + height + GAP))
    return sheet


def main() -> None:
    """Make everything in the folder --out; print the sizes."""
    parser = argparse.ArgumentParser(description="A photograph as .nic and as JPEG, side by side.")
    parser.add_argument("picture", type=Path, nargs="?", help="default: a photograph from scikit-image's wheel")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder to write to")
    parser.add_argument("--quality", type=float, default=40, help="of the .nic file, 0 to 100")
    options = parser.parse_args()
    path = options.picture or photograph()
    upright = ImageOps.exif_transpose(Image.open(path))
    if upright.has_transparency_data:
        print("what is transparent lies over white, because JPEG has no alpha")
    original = backgrounds.flat(upright, (255, 255, 255)).convert("RGB")

    start = time.perf_counter()
    data = nicodec.encode(original, quality=options.quality, lossless=False)
    middle = time.perf_counter()
    decoded = nicodec.decode(data)
    end = time.perf_counter()

    goal, pixels = psnr(original, decoded), original.width * original.height
    equal, how = jpeg_of_equal_psnr(original, goal)
    rival, quality = jpeg_of_equal_size(original, len(data))

    def facts(size: int, picture: Image.Image) -> str:
        return f"{size:,} bytes · {8 * size / pixels:.3f} bpp · {psnr(original, picture):.2f} dB"

    sheet = comparison(
        [
            ("original", f"{original.width} by {original.height}, {3 * pixels:,} bytes raw", original),
            ("nicodec", facts(len(data), decoded), decoded),
            (f"JPEG of this size (quality {quality})", facts(len(rival), opened(rival)), opened(rival)),
        ]
    )
    folder: Path = options.out
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{path.stem}.nic").write_bytes(data)
    (folder / f"{path.stem}.jpg").write_bytes(rival)
    decoded.save(folder / f"{path.stem}.png")
    sheet.save(folder / "side-by-side.png")

    print(f"{path.name}, {original.width} x {original.height}; encoded in {middle - start:.2f} s, "
          f"decoded in {end - middle:.2f} s (the first call loads the model)")  # fmt: skip
    print(f"  nicodec             {len(data):>9,} bytes  {8 * len(data) / pixels:.3f} bpp  {goal:.2f} dB")
    print(f"  JPEG of equal PSNR  {equal:>9,.0f} bytes  {8 * equal / pixels:.3f} bpp  {how}")
    print(f"  nicodec needs {100 * (1 - len(data) / equal):.0f} % fewer bytes" if len(data) < equal
          else f"  nicodec needs {100 * (len(data) / equal - 1):.0f} % more bytes")  # fmt: skip
    print(f"Look at {folder / 'side-by-side.png'}; the files are beside it.")


if __name__ == "__main__":
    main()
