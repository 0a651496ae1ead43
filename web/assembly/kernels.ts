// The loops of the decoder, compiled to WebAssembly with SIMD: products of matrices, the range decoder, pixels.
//
// Under `src/model/engine.ts`, which owns the memory. Activations are rows of channels, one row for each position, so
// that a 1x1 convolution is a product of matrices and a pixel shuffle copies whole runs. Strides are in elements.

// ---- float products -------------------------------------------------------------------------------------------

/** a * b + c, in one instruction where the machine has relaxed SIMD. */
// @ts-ignore: a decorator of AssemblyScript
@inline
function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

// What is done to a product before it is stored.
const LEAKY = 1; // x, or x / 100 where x < 0
const CAP = 2; // cut off at a limit of each channel
const ADD = 4; // added to what stands there
const HALVES = 8; // leaky, and the two halves of the channels are added; see `pack` in engine.ts

// @ts-ignore: a decorator of AssemblyScript
@inline
function finish(v: v128, o: usize, out: usize, limit: usize, mode: i32): void {
  if (mode & LEAKY) v = f32x4.max(v, f32x4.mul(v, f32x4.splat(0.01)));
  if (mode & CAP) {
    const most = v128.load(limit + o);
    v = f32x4.max(f32x4.neg(most), f32x4.min(most, v));
  }
  if (mode & ADD) v = f32x4.add(v, v128.load(out + o));
  v128.store(out + o, v);
}

// @ts-ignore: a decorator of AssemblyScript
@inline
function put(a: v128, b: v128, o: usize, out: usize, limit: usize, mode: i32): void {
  if (mode == HALVES) {
    a = f32x4.max(a, f32x4.mul(a, f32x4.splat(0.01)));
    b = f32x4.max(b, f32x4.mul(b, f32x4.splat(0.01)));
    v128.store(out + (o >> 1), f32x4.add(a, b));
  } else {
    finish(a, o, out, limit, mode);
    finish(b, o + 16, out, limit, mode);
  }
}

// Rows that are multiplied with one panel of weights before the next: they stay in the cache.
const CHUNK = 64;

/**
 * out[p, o] = sum over c of x[p, c] * w[c, o] + bias[o], for `rows` positions.
 *
 * w: panels of eight outputs, each (inner, 8). outer: outputs, a multiple of 8. bias, limit: (outer).
 */
export function gemm(
  x: usize, xs: i32, rows: i32, inner: i32, w: usize, bias: usize, out: usize, os: i32, outer: i32, mode: i32,
  limit: usize,
): void {
  const xb = <usize>xs << 2, ob = <usize>os << 2, panel = <usize>inner << 5;
  for (let start = 0; start < rows; start += CHUNK) {
    const stop = min(rows, start + CHUNK);
    let weights = w;
    for (let o: usize = 0; o < (<usize>outer << 2); o += 32) {
      const b0 = v128.load(bias + o), b1 = v128.load(bias + o, 16);
      const end = weights + panel;
      let row = start;
      for (; row + 4 <= stop; row += 4) {
        let p0 = x + <usize>row * xb, p1 = p0 + xb, p2 = p1 + xb, p3 = p2 + xb;
        let a0 = b0, a1 = b1, c0 = b0, c1 = b1, d0 = b0, d1 = b1, e0 = b0, e1 = b1;
        for (let k = weights; k < end; k += 32) {
          const w0 = v128.load(k), w1 = v128.load(k, 16);
          let s = v128.load32_splat(p0);
          a0 = madd(s, w0, a0);
          a1 = madd(s, w1, a1);
          s = v128.load32_splat(p1);
          c0 = madd(s, w0, c0);
          c1 = madd(s, w1, c1);
          s = v128.load32_splat(p2);
          d0 = madd(s, w0, d0);
          d1 = madd(s, w1, d1);
          s = v128.load32_splat(p3);
          e0 = madd(s, w0, e0);
          e1 = madd(s, w1, e1);
          p0 += 4;
          p1 += 4;
          p2 += 4;
          p3 += 4;
        }
        const to = out + <usize>row * ob;
        put(a0, a1, o, to, limit, mode);
        put(c0, c1, o, to + ob, limit, mode);
        put(d0, d1, o, to + 2 * ob, limit, mode);
        put(e0, e1, o, to + 3 * ob, limit, mode);
      }
      for (; row < stop; row++) {
        let p = x + <usize>row * xb, a0 = b0, a1 = b1;
        for (let k = weights; k < end; k += 32) {
          const s = v128.load32_splat(p);
          a0 = madd(s, v128.load(k), a0);
          a1 = madd(s, v128.load(k, 16), a1);
          p += 4;
        }
        put(a0, a1, o, out + <usize>row * ob, limit, mode);
      }
      weights = end;
    }
  }
}

/**
 * A 3x3 convolution of each channel alone, zero outside of h x w positions.
 *
 * k: (9, s), by row and column. bias: (s). s: the stride of x and out, a multiple of 4. zero: s zeros.
 */
export function depthwise(
  x: usize, h: i32, w: i32, s: i32, k: usize, bias: usize, out: usize, zero: usize,
): void {
  const b = <usize>s << 2;
  for (let i = 0; i < h; i++) {
    for (let j = 0; j < w; j++) {
      const at = x + <usize>(i * w + j) * b, above = <usize>w * b;
      const up = i > 0, down = i + 1 < h, left = j > 0, right = j + 1 < w;
      const p0 = up && left ? at - above - b : zero, p1 = up ? at - above : zero;
      const p2 = up && right ? at - above + b : zero, p3 = left ? at - b : zero, p5 = right ? at + b : zero;
      const p6 = down && left ? at + above - b : zero, p7 = down ? at + above : zero;
      const p8 = down && right ? at + above + b : zero;
      const to = out + <usize>(i * w + j) * b;
      for (let c: usize = 0; c < b; c += 16) {
        let kc = k + c;
        let a = madd(v128.load(p0 + c), v128.load(kc), v128.load(bias + c));
        a = madd(v128.load(p1 + c), v128.load(kc += b), a);
        a = madd(v128.load(p2 + c), v128.load(kc += b), a);
        a = madd(v128.load(p3 + c), v128.load(kc += b), a);
        a = madd(v128.load(at + c), v128.load(kc += b), a);
        a = madd(v128.load(p5 + c), v128.load(kc += b), a);
        a = madd(v128.load(p6 + c), v128.load(kc += b), a);
        a = madd(v128.load(p7 + c), v128.load(kc += b), a);
        v128.store(to + c, madd(v128.load(p8 + c), v128.load(kc += b), a));
      }
    }
  }
}

// ---- moving channels about; sizes in bytes, so that these serve floats and integers ----------------------------

/** up(x, m): the runs of `run` bytes at (m * p + q) * run become the positions (m * i + p, m * j + q). */
export function up(x: usize, xb: i32, h: i32, w: i32, m: i32, run: i32, out: usize, ob: i32): void {
  const wide = w * m;
  for (let i = 0; i < h; i++) {
    for (let p = 0; p < m; p++) {
      let to = out + <usize>((i * m + p) * wide) * ob;
      for (let j = 0; j < w; j++) {
        let from = x + <usize>(i * w + j) * xb + <usize>(m * p * run);
        for (let q = 0; q < m; q++) {
          memory.copy(to, from, run);
          from += run;
          to += ob;
        }
      }
    }
  }
}

/** up(x, m) into, or onto, pixels without gaps: the m runs of a row lie together. channels: M. */
export function pixels(x: usize, xs: i32, h: i32, w: i32, m: i32, channels: i32, out: usize, add: bool): void {
  const run = <usize>(m * channels) << 2;
  for (let i = 0; i < h; i++) {
    for (let p = 0; p < m; p++) {
      let to = out + <usize>((i * m + p) * w) * run;
      for (let j = 0; j < w; j++, to += run) {
        const from = x + (<usize>((i * w + j) * xs) << 2) + <usize>p * run;
        if (!add) memory.copy(to, from, run);
        else for (let n: usize = 0; n < run; n += 4) store_add(to + n, load<f32>(from + n));
      }
    }
  }
}

// @ts-ignore: a decorator of AssemblyScript
@inline
function store_add(at: usize, value: f32): void {
  store<f32>(at, load<f32>(at) + value);
}

/** The nine neighbours of each position of row i, columns from `left`, as one run of nine; zeros outside. */
export function neighbours(x: usize, xb: i32, h: i32, w: i32, i: i32, left: i32, count: i32, run: i32, out: usize): void {
  for (let j = left; j < left + count; j++) {
    for (let m = i - 1; m <= i + 1; m++) {
      for (let n = j - 1; n <= j + 1; n++, out += run) {
        if (m >= 0 && m < h && n >= 0 && n < w) memory.copy(out, x + <usize>(m * w + n) * xb, run);
        else memory.fill(out, 0, run);
      }
    }
  }
}

/** `count` numbers of each row, times `by`, each. */
export function scaled(x: usize, xs: i32, rows: i32, count: i32, by: usize, out: usize, os: i32): void {
  for (let r = 0; r < rows; r++) {
    const from = x + (<usize>(r * xs) << 2), to = out + (<usize>(r * os) << 2);
    let c: usize = 0;
    const end = <usize>count << 2;
    for (; c + 16 <= end; c += 16) v128.store(to + c, f32x4.mul(v128.load(from + c), v128.load(by + c)));
    for (; c < end; c += 4) store<f32>(to + c, load<f32>(from + c) * load<f32>(by + c));
  }
}

// ---- the two phases --------------------------------------------------------------------------------------------

/**
 * Adds the mean to the first phase of the deep channels, and makes the input of the context.
 *
 * y: symbols (h * w, ys), of which `deep` get their mean here. mean: (h * w, ms). unit: (deep), its reciprocals. out:
 * (h * w, os), asinh(y / unit), 0 in the second phase.
 */
export function phase0(
  y: usize, ys: i32, mean: usize, ms: i32, h: i32, w: i32, deep: i32, unit: usize, out: usize, os: i32,
): void {
  for (let i = 0; i < h; i++) {
    for (let j = 0; j < w; j++) {
      const p = <usize>(i * w + j);
      const at = y + ((p * ys) << 2), from = mean + ((p * ms) << 2), to = out + ((p * os) << 2);
      const odd = (i + j) & 1;
      for (let c = 0; c < deep; c++) {
        const o = <usize>c << 2;
        let x: f32 = 0;
        if ((c & 1) == odd) {
          const v = load<f32>(at + o) + load<f32>(from + o);
          store<f32>(at + o, v);
          x = asinh(v * load<f32>(unit + o));
        }
        store<f32>(to + o, x);
      }
    }
  }
}

function asinh(x: f32): f32 {
  const a = Mathf.abs(x);
  if (a < 1e-4) return x;
  const y = Mathf.log(a + Mathf.sqrt(a * a + 1));
  return x < 0 ? -y : y;
}

/** Adds the mean to the second phase; arguments as in `phase0`. */
export function phase1(y: usize, ys: i32, mean: usize, ms: i32, h: i32, w: i32, deep: i32): void {
  for (let i = 0; i < h; i++) {
    for (let j = 0; j < w; j++) {
      const p = <usize>(i * w + j);
      const at = y + ((p * ys) << 2), from = mean + ((p * ms) << 2);
      for (let c = 1 - ((i + j) & 1); c < deep; c += 2) {
        const o = <usize>c << 2;
        store<f32>(at + o, load<f32>(at + o) + load<f32>(from + o));
      }
    }
  }
}

// ---- integers: h_sigma -----------------------------------------------------------------------------------------

/**
 * One layer of h_sigma, exactly: (sum of w * x + bias) >> shift, cut to 0 .. top. bias holds the half that rounds.
 *
 * x: int16 (rows, xs). w: int16 in panels of four outputs, each (pairs, 4, 2). outer: a multiple of 4. planar: of the
 * last layer, which stores `real` planes of `os` numbers, the others rows of os. Numbers are stored as 16 bits.
 */
export function integers(
  x: usize, xs: i32, rows: i32, pairs: i32, w: usize, bias: usize, shift: usize, out: usize, os: i32, outer: i32,
  top: i32, planar: bool, real: i32,
): void {
  const xb = <usize>xs << 1, panel = <usize>pairs << 4;
  for (let start = 0; start < rows; start += CHUNK) {
    const stop = min(rows, start + CHUNK);
    let weights = w;
    for (let o = 0; o < outer; o += 4) {
      const b = v128.load(bias + (<usize>o << 2)), end = weights + panel;
      let row = start;
      for (; row + 4 <= stop; row += 4) {
        let p0 = x + <usize>row * xb, p1 = p0 + xb, p2 = p1 + xb, p3 = p2 + xb;
        let a0 = b, a1 = b, a2 = b, a3 = b;
        for (let k = weights; k < end; k += 16) {
          const v = v128.load(k);
          a0 = i32x4.add(a0, i32x4.dot_i16x8_s(v, v128.load32_splat(p0)));
          a1 = i32x4.add(a1, i32x4.dot_i16x8_s(v, v128.load32_splat(p1)));
          a2 = i32x4.add(a2, i32x4.dot_i16x8_s(v, v128.load32_splat(p2)));
          a3 = i32x4.add(a3, i32x4.dot_i16x8_s(v, v128.load32_splat(p3)));
          p0 += 4;
          p1 += 4;
          p2 += 4;
          p3 += 4;
        }
        settle(a0, shift, out, os, o, row, top, planar, real);
        settle(a1, shift, out, os, o, row + 1, top, planar, real);
        settle(a2, shift, out, os, o, row + 2, top, planar, real);
        settle(a3, shift, out, os, o, row + 3, top, planar, real);
      }
      for (; row < stop; row++) {
        let p = x + <usize>row * xb, a = b;
        for (let k = weights; k < end; k += 16) {
          a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load(k), v128.load32_splat(p)));
          p += 4;
        }
        settle(a, shift, out, os, o, row, top, planar, real);
      }
      weights = end;
    }
  }
}

/** Stores the sums of four outputs. Called, not inline: it is long, and stands in five places. */
function settle(a: v128, shift: usize, out: usize, os: i32, o: i32, row: i32, top: i32, planar: bool, real: i32): void {
  const by = shift + (<usize>o << 2);
  let v = i32x4.splat(i32x4.extract_lane(a, 0) >> load<i32>(by));
  v = i32x4.replace_lane(v, 1, i32x4.extract_lane(a, 1) >> load<i32>(by, 4));
  v = i32x4.replace_lane(v, 2, i32x4.extract_lane(a, 2) >> load<i32>(by, 8));
  v = i32x4.replace_lane(v, 3, i32x4.extract_lane(a, 3) >> load<i32>(by, 12));
  v = i32x4.min_s(i32x4.max_s(v, i32x4.splat(0)), i32x4.splat(top));
  let stored = i64x2.extract_lane(i16x8.narrow_i32x4_u(v, v), 0);
  if (!planar) store<i64>(out + (<usize>(row * os + o) << 1), stored);
  else {
    for (const end = min(o + 4, real); o < end; o++, stored >>= 16) {
      store<i16>(out + ((<usize>o * os + row) << 1), <i16>stored);
    }
  }
}

// ---- the range decoder -----------------------------------------------------------------------------------------

let size: u64 = 0, offset: u64 = 0;
let word: usize = 0, lastWord: usize = 0;
let escape: usize = 0, lastEscape: usize = 0;
let begun = false;

// @ts-ignore: a decorator of AssemblyScript
@inline
function nextWord(): u64 {
  const at = word;
  word += 4;
  return at < lastWord ? <u64>load<u32>(at) : 0;
}

/** Begins a payload: its words and its escapes, in bytes. */
export function begin(words: usize, wordBytes: i32, escapes: usize, escapeBytes: i32): void {
  word = words;
  lastWord = words + wordBytes;
  escape = escapes;
  lastEscape = escapes + escapeBytes;
  size = u64.MAX_VALUE;
  offset = nextWord() << 32;
  offset |= nextWord();
  begun = false;
}

const FINE = 0, UNDECODABLE = 1, MALFORMED = 2, IMPOSSIBLE = 3, NO_TABLE = 4;

/**
 * The next group of symbols -> FINE, or what is wrong.
 *
 * index: uint16 (count), the table of each. out: int16 (count). tables: how many. starts: uint32 (tables + 1), where
 * the cumulatives of each table begin, in numbers; a table of n entries has n + 1. sums: all cumulatives. low: int32
 * (tables). order: uint32 (count) and places: uint32 (tables + 1), to work in. escapes: whether the last entry is one.
 */
export function take(
  index: usize, count: i32, out: usize, tables: i32, starts: usize, sums: usize, low: usize, order: usize,
  places: usize, escapes: bool,
): i32 {
  memory.fill(out, 0, <usize>count << 1);
  memory.fill(places, 0, <usize>(tables + 1) << 2);
  let open = 0;
  for (let i = 0; i < count; i++) {
    const t = <i32>load<u16>(index + (<usize>i << 1));
    if (t >= tables) return NO_TABLE;
    const at = starts + (<usize>t << 2);
    if (load<u32>(at, 4) - load<u32>(at) > 2) {
      const place = places + (<usize>(t + 1) << 2);
      store<u32>(place, load<u32>(place) + 1);
      open++;
    }
  }
  if (open == 0) return FINE;
  begun = true;
  for (let t = 0; t < tables; t++) {
    const place = places + (<usize>t << 2);
    store<u32>(place + 4, load<u32>(place) + load<u32>(place, 4));
  }
  for (let i = 0; i < count; i++) {
    const t = <usize>load<u16>(index + (<usize>i << 1)) << 2;
    if (load<u32>(starts + t, 4) - load<u32>(starts + t) > 2) {
      const n = load<u32>(places + t);
      store<u32>(places + t, n + 1);
      store<u32>(order + (<usize>n << 2), i);
    }
  }
  // Each place is now where the next table begins.
  let at = 0;
  for (let t = 0; t < tables; t++) {
    const stop = <i32>load<u32>(places + (<usize>t << 2));
    if (at == stop) continue;
    const from = <usize>load<u32>(starts + (<usize>t << 2)), to = <usize>load<u32>(starts + (<usize>t << 2), 4);
    const table = sums + (from << 2), n = <i32>(to - from) - 1, least = load<i32>(low + (<usize>t << 2));
    for (; at < stop; at++) {
      const scale = size >> 24, u = offset / scale;
      if (u >= (<u64>1 << 24)) return UNDECODABLE;
      let i = 0, beyond = n;
      while (beyond - i > 1) {
        const middle = (i + beyond) >> 1;
        if (<u64>load<u32>(table + (<usize>middle << 2)) <= u) i = middle;
        else beyond = middle;
      }
      const a = <u64>load<u32>(table + (<usize>i << 2)), b = <u64>load<u32>(table + (<usize>i << 2), 4);
      offset -= scale * a;
      size = scale * (b - a);
      if (size < (<u64>1 << 32)) {
        size <<= 32;
        offset = (offset << 32) | nextWord();
      }
      let value = least + i;
      if (escapes && i == n - 1) {
        const v = varint();
        if (v < 0) return MALFORMED;
        const found = <i64>((<u64>v) >> 1) ^ -(v & 1);
        if ((found >= least && found < value) || found < -32767 || found > 32767) return IMPOSSIBLE;
        value = <i32>found;
      }
      store<i16>(out + (<usize>load<u32>(order + (<usize>at << 2)) << 1), <i16>value);
    }
  }
  return FINE;
}

/** The next escape, or -1. */
function varint(): i64 {
  let value: i64 = 0;
  for (let i = 0; i < 5; i++) {
    if (escape >= lastEscape) return -1;
    const byte = <i64>load<u8>(escape++);
    value |= (byte & 127) << (7 * i);
    if (byte < 128) return byte == 0 && i > 0 ? -1 : value;
  }
  return -1;
}

/** Whether the payload ends where its symbols end. */
export function finished(): bool {
  if (escape != lastEscape) return false;
  const begin = word - 8;
  if (!begun) return lastWord == begin;
  return word >= lastWord && offset < (<u64>1 << 33) - 1;
}

// ---- CRC-32 ----------------------------------------------------------------------------------------------------

/** CRC-32 without the first and the last complement, so that it is linear. table: uint32 (8, 256). */
export function crc(table: usize, at: usize, length: i32, value: u32): u32 {
  const end = at + length;
  while (at + 8 <= end) {
    const a = load<u32>(at) ^ value, b = load<u32>(at, 4);
    value = (a | b) == 0 ? 0
      : pick(table, 7, a & 255) ^ pick(table, 6, (a >> 8) & 255) ^ pick(table, 5, (a >> 16) & 255)
      ^ pick(table, 4, a >> 24) ^ pick(table, 3, b & 255) ^ pick(table, 2, (b >> 8) & 255)
      ^ pick(table, 1, (b >> 16) & 255) ^ pick(table, 0, b >> 24);
    at += 8;
  }
  while (at < end) value = (value >> 8) ^ pick(table, 0, (value ^ load<u8>(at++)) & 255);
  return value;
}

// @ts-ignore: a decorator of AssemblyScript
@inline
function pick(table: usize, row: usize, byte: u32): u32 {
  return load<u32>(table + (row << 10) + (<usize>byte << 2));
}

// ---- pixels ----------------------------------------------------------------------------------------------------

/** A step between two samples is cut off at this. */
const STEEP: f32 = 1.0 / 32;

/** The step from one sample to another, of each colour. */
// @ts-ignore: a decorator of AssemblyScript
@inline
function step(from: v128, to: v128): v128 {
  return f32x4.pmax(f32x4.splat(-STEEP), f32x4.pmin(f32x4.splat(STEEP), f32x4.sub(to, from)));
}

// @ts-ignore: a decorator of AssemblyScript
@inline
function sum(a: v128, b: v128, c: v128, d: v128): v128 {
  return f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
}

/** The samples of the rows p and q in the columns l and r. */
// @ts-ignore: a decorator of AssemblyScript
@inline
function four(p: usize, q: usize, l: usize, r: usize): v128 {
  return sum(v128.load(p + l), v128.load(p + r), v128.load(q + l), v128.load(q + r));
}

/** Room for the features of one place, without the one, and a lane more. */
const FEATURES = memory.data(4 * (12 * 3 + 1), 16);

/**
 * The correction: sums and steps of the 5x5 samples around are weighed and added. x: (h, w, m), m 1 or 3, out: the same
 * size. k: (12 * m + 1, 4), for each feature, the last of which is one, what it adds to each colour.
 */
export function corrected(x: usize, h: i32, w: i32, m: i32, k: usize, out: usize): void {
  const b = <usize>m << 2, row = <usize>w * b, last = row - b, size = <usize>12 * b, one = v128.load(k + (size << 2));
  for (let i = 0; i < h; i++) {
    // The rows and the columns around, in order. Beyond an edge they are the last ones.
    const r2 = x + <usize>i * row, r1 = i > 0 ? r2 - row : r2, r0 = i > 1 ? r1 - row : r1;
    const r3 = i + 1 < h ? r2 + row : r2, r4 = i + 2 < h ? r3 + row : r3;
    let c0: usize = 0, c1: usize = 0, c3 = min(b, last);
    for (let c2: usize = 0; c2 < row; c2 += b, out += b) {
      const c4 = min(c3 + b, last), own = v128.load(r2 + c2);
      const up = v128.load(r1 + c2), down = v128.load(r3 + c2), left = v128.load(r2 + c1), right = v128.load(r2 + c3);
      const up2 = v128.load(r0 + c2), down2 = v128.load(r4 + c2);
      const left2 = v128.load(r2 + c0), right2 = v128.load(r2 + c4);
      const nw = v128.load(r1 + c1), ne = v128.load(r1 + c3), sw = v128.load(r3 + c1), se = v128.load(r3 + c3);
      // The lanes beyond m are overwritten by the next store.
      let to: usize = FEATURES;
      v128.store(to, own);
      v128.store(to += b, f32x4.add(left, right));
      v128.store(to += b, f32x4.add(left2, right2));
      v128.store(to += b, f32x4.add(up, down));
      v128.store(to += b, sum(nw, ne, sw, se));
      v128.store(to += b, four(r1, r3, c0, c4));
      v128.store(to += b, f32x4.add(up2, down2));
      v128.store(to += b, four(r0, r4, c1, c3));
      v128.store(to += b, four(r0, r4, c0, c4));
      v128.store(to += b, sum(step(own, up), step(own, down), step(own, left), step(own, right)));
      v128.store(to += b, sum(step(own, nw), step(own, ne), step(own, sw), step(own, se)));
      v128.store(to += b, sum(step(up, up2), step(down, down2), step(left, left2), step(right, right2)));
      // Two sums, so that neither waits for the other.
      let a = one, aa = own;
      for (let f: usize = 0; f < size; f += 8) {
        const at = FEATURES + f, kk = k + (f << 2);
        a = madd(v128.load32_splat(at), v128.load(kk), a);
        aa = madd(v128.load32_splat(at, 4), v128.load(kk, 16), aa);
      }
      v128.store(out, f32x4.add(a, aa));
      c0 = c1;
      c1 = c2;
      c3 = c4;
    }
  }
}

/** Each number becomes the mean of the 3x3 around it where all are within `near` of it. x, out: (h, w, m). */
export function smoothed(x: usize, h: i32, w: i32, m: i32, near: f32, out: usize): void {
  for (let i = 0; i < h; i++) {
    for (let j = 0; j < w; j++) {
      for (let n = 0; n < m; n++) {
        const own = load<f32>(x + (<usize>((i * w + j) * m + n) << 2));
        let sum: f32 = 0, slow = true;
        for (let r = i - 1; r <= i + 1; r++) {
          const row = min(max(r, 0), h - 1) * w;
          for (let c = j - 1; c <= j + 1; c++) {
            const v = load<f32>(x + (<usize>((row + min(max(c, 0), w - 1)) * m + n) << 2));
            sum += v;
            if (!(Mathf.abs(v - own) <= near)) slow = false;
          }
        }
        store<f32>(out + (<usize>((i * w + j) * m + n) << 2), slow ? sum / 9 : own);
      }
    }
  }
}

/**
 * Numbers about -1/2 to 1/2 -> samples. x: (h, wide, m) from its first row and column on. out: (h, w, channels), bytes,
 * or 16 bits if top is 65535. Gray takes the mean of the planes; one plane is that of all channels. False: a number is
 * beyond all bounds.
 */
export function samples(x: usize, wide: i32, h: i32, w: i32, m: i32, channels: i32, top: f32, out: usize): bool {
  for (let i = 0; i < h; i++) {
    for (let j = 0; j < w; j++) {
      const at = x + (<usize>((i * wide + j) * m) << 2);
      let mean: f32 = load<f32>(at);
      if (channels < m) mean = (mean + load<f32>(at, 4) + load<f32>(at, 8)) / 3;
      for (let n = 0; n < channels; n++) {
        const v = m == channels ? load<f32>(at + (<usize>n << 2)) : mean;
        if (!(Mathf.abs(v) < 1e20)) return false;
        const whole = <i32>min(max(nearest(v * top + top / 2), 0), top);
        if (top > 255) {
          store<i16>(out, <i16>whole);
          out += 2;
        } else {
          store<u8>(out, <u8>whole);
          out++;
        }
      }
    }
  }
  return true;
}

// ---- random numbers -------------------------------------------------------------------------------------------

/** The upper half of the product of two whole numbers of 64 bits. */
function upper(a: u64, b: u64): u64 {
  const al = a & 0xffffffff, ah = a >> 32, bl = b & 0xffffffff, bh = b >> 32;
  const middle = ah * bl + ((al * bl) >> 32), other = al * bh + (middle & 0xffffffff);
  return ah * bh + (middle >> 32) + (other >> 32);
}

/** Philox4x64-10 (Salmon et al. 2011): blocks of 32 bytes, of the counters (1, kind, row, column), (2, kind, row, column), ... */
export function philox(
  seed0: u32, seed1: u32, kind: u32, row: u32, column: u32, blocks: u32, out: usize,
): void {
  for (let n: u32 = 1; n <= blocks; n++, out += 32) {
    let a: u64 = n, b: u64 = kind, c: u64 = row, d: u64 = column, k0: u64 = seed0, k1: u64 = seed1;
    for (let round = 0; round < 10; round++) {
      const x: u64 = 0xD2E7470EE14C6C93, y: u64 = 0xCA5A826395121157;
      const high0 = upper(x, a), high1 = upper(y, c);
      const low0 = x * a, low1 = y * c;
      a = high1 ^ b ^ k0;
      b = low1;
      c = high0 ^ d ^ k1;
      d = low0;
      k0 += 0x9E3779B97F4A7C15;
      k1 += 0xBB67AE8584CAA73B;
    }
    store<u64>(out, a);
    store<u64>(out, b, 8);
    store<u64>(out, c, 16);
    store<u64>(out, d, 24);
  }
}

/** Where the memory that the caller gives out begins. */
export function base(): usize {
  return __heap_base;
}
