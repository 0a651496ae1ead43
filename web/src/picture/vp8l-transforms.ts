// The transforms of VP8L, undone: prediction, colours across, green, palette (RFC 9649, section 4).
// Under `vp8l`. Pixels are numbers ARGB.

export const PREDICT = 0, CROSS = 1, GREEN = 2, PALETTE = 3;

/** bits: of the side of a block, or of how many pixels a palette packs into one. width: before the transform. */
export interface Transform {
  kind: number;
  bits: number;
  width: number;
  data: Uint32Array;
}

/** The pixels before a transform; in place, but for a palette. */
export function undone(pixels: Uint32Array, transform: Transform, height: number): Uint32Array {
  if (transform.kind === PALETTE) return coloured(pixels, transform, height);
  if (transform.kind === PREDICT) predict(pixels, transform, height);
  else if (transform.kind === CROSS) uncross(pixels, transform, height);
  else {
    for (let i = 0; i < pixels.length; i++) {
      const p = pixels[i]!, green = (p >>> 8) & 255;
      pixels[i] = ((p & 0xff00ff00) | (((p & 0xff00ff) + ((green << 16) | green)) & 0xff00ff)) >>> 0;
    }
  }
  return pixels;
}

function coloured(packed: Uint32Array, { bits, width, data }: Transform, height: number): Uint32Array {
  const pixels = new Uint32Array(width * height), across = Math.ceil(width / 2 ** bits);
  const each = 8 >> bits, mask = (1 << each) - 1, within = (1 << bits) - 1;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const green = (packed[y * across + (x >> bits)]! >>> 8) & 255;
      pixels[at] = data[(green >> (each * (x & within))) & mask] ?? 0;
    }
  }
  return pixels;
}

/** The sum of each channel, modulo 256. */
export function added(a: number, b: number): number {
  const even = (a & 0xff00ff) + (b & 0xff00ff), odd = ((a >>> 8) & 0xff00ff) + ((b >>> 8) & 0xff00ff);
  return ((even & 0xff00ff) | ((odd & 0xff00ff) << 8)) >>> 0;
}

/** The mean of each channel, rounded down. */
function mean(a: number, b: number): number {
  return ((((a ^ b) & 0xfefefefe) >>> 1) + (a & b)) >>> 0;
}

function uncross(pixels: Uint32Array, { bits, width, data }: Transform, height: number): void {
  const across = Math.ceil(width / 2 ** bits);
  const delta = (t: number, c: number): number => (((t << 24) >> 24) * ((c << 24) >> 24)) >> 5;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const t = data[(y >> bits) * across + (x >> bits)]!, p = pixels[at]!, green = (p >>> 8) & 255;
      const red = ((p >>> 16) + delta(t, green)) & 255;
      const blue = (p + delta(t >>> 8, green) + delta(t >>> 16, red)) & 255;
      pixels[at] = ((p & 0xff00ff00) | (red << 16) | blue) >>> 0;
    }
  }
}

function predict(pixels: Uint32Array, { bits, width, data }: Transform, height: number): void {
  const across = Math.ceil(width / 2 ** bits);
  for (let x = 0; x < width; x++) pixels[x] = added(pixels[x]!, x ? pixels[x - 1]! : 0xff000000);
  for (let y = 1; y < height; y++) {
    let at = y * width;
    pixels[at] = added(pixels[at]!, pixels[at - width]!);
    at++;
    for (let x = 1; x < width; x++, at++) {
      const mode = (data[(y >> bits) * across + (x >> bits)]! >>> 8) & 15;
      const l = pixels[at - 1]!, t = pixels[at - width]!, tl = pixels[at - width - 1]!, tr = pixels[at - width + 1]!;
      pixels[at] = added(pixels[at]!, predicted(mode, l, t, tl, tr));
    }
  }
}

function predicted(mode: number, l: number, t: number, tl: number, tr: number): number {
  switch (mode) {
    case 1: return l;
    case 2: return t;
    case 3: return tr;
    case 4: return tl;
    case 5: return mean(mean(l, tr), t);
    case 6: return mean(l, tl);
    case 7: return mean(l, t);
    case 8: return mean(tl, t);
    case 9: return mean(t, tr);
    case 10: return mean(mean(l, tl), mean(t, tr));
    case 11: return select(l, t, tl);
    case 12: return each(l, t, tl, (a, b, c) => a + b - c);
    case 13: return each(mean(l, t), tl, 0, (a, b) => a + Math.trunc((a - b) / 2));
    default: return 0xff000000;
  }
}

function each(a: number, b: number, c: number, of: (a: number, b: number, c: number) => number): number {
  let result = 0;
  for (let shift = 0; shift < 32; shift += 8) {
    const v = of((a >>> shift) & 255, (b >>> shift) & 255, (c >>> shift) & 255);
    result |= Math.min(255, Math.max(0, v)) << shift;
  }
  return result >>> 0;
}

function select(l: number, t: number, tl: number): number {
  let left = 0, top = 0;
  for (let shift = 0; shift < 32; shift += 8) {
    const c = (tl >>> shift) & 255;
    left += Math.abs(((t >>> shift) & 255) - c);
    top += Math.abs(((l >>> shift) & 255) - c);
  }
  return left < top ? l : t;
}
