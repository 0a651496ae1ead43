// SHA-256 of some bytes. A browser's own is not there on a page without TLS.
// Under `modelfile`, which checks seal and id of a model.

const K = /* @__PURE__ */ constants();

/** The first 32 bits of the fractions of the cube roots of the first 64 primes. */
function constants(): Int32Array {
  const result = new Int32Array(64), primes: number[] = [];
  for (let n = 2; primes.length < 64; n++) {
    if (primes.some((p) => n % p === 0)) continue;
    // A double holds no 32 bits behind the point of a cube root, so its digits are found in whole numbers.
    let root = 0n, cubed = BigInt(n) << 96n;
    for (let bit = 1n << 35n; bit; bit >>= 1n) if ((root + bit) ** 3n <= cubed) root += bit;
    result[primes.length] = Number(root & 0xffffffffn) | 0;
    primes.push(n);
  }
  return result;
}

/** The digest of all parts, one after the other, in 64 digits. */
export function sha256(...parts: Uint8Array[]): string {
  const h = Int32Array.of(0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const end = new Uint8Array(((119 - (length % 64)) % 64) + 9);
  end[0] = 0x80;
  new DataView(end.buffer).setBigUint64(end.length - 8, BigInt(length) * 8n);
  const block = new Uint8Array(64), w = new Int32Array(64);
  let held = 0;
  for (const part of [...parts, end]) {
    for (let at = 0; at < part.length;) {
      if (!held && at + 64 <= part.length) {
        hashed(h, w, part, at);
        at += 64;
        continue;
      }
      const piece = part.subarray(at, at + 64 - held);
      block.set(piece, held);
      at += piece.length;
      if ((held += piece.length) === 64) {
        hashed(h, w, block, 0);
        held = 0;
      }
    }
  }
  return Array.from(h, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

function hashed(h: Int32Array, w: Int32Array, bytes: Uint8Array, at: number): void {
  for (let i = 0; i < 16; i++, at += 4) {
    w[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  }
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15]!, y = w[i - 2]!;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = w[i - 16]! + s0 + w[i - 7]! + s1;
  }
  let a = h[0]!, b = h[1]!, c = h[2]!, d = h[3]!, e = h[4]!, f = h[5]!, g = h[6]!, k = h[7]!;
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (k + s1 + ((e & f) ^ (~e & g)) + K[i]! + w[i]!) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    k = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  h[0]! += a;
  h[1]! += b;
  h[2]! += c;
  h[3]! += d;
  h[4]! += e;
  h[5]! += f;
  h[6]! += g;
  h[7]! += k;
}
