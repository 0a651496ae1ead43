// Base64 -> bytes, by the browser's own way where it has one.
// Under `model/engine`, which holds the kernels so, and `page`, which holds pictures and weights.

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const own = (Uint8Array as unknown as { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> }).fromBase64;
  if (own) return own.call(Uint8Array, text);
  const found = atob(text), bytes = new Uint8Array(found.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = found.charCodeAt(i);
  return bytes;
}
