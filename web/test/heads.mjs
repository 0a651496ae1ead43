// Heads of files that were changed, with their CRC right again. For tests alone.

/** Where the CRC of a head is: after the numbers of the header, and the table of chunks. */
export function headEnd(bytes) {
  let at = 18;
  const number = () => {
    let value = 0, i = 0;
    do value += (bytes[at] & 127) * 128 ** i++;
    while (bytes[at++] > 127);
    return value;
  };
  for (let i = 0; i < 5; i++) number();
  for (let left = number(); left > 0; left--) {
    at++;
    number();
    at += 4;
  }
  return at;
}

/** A file with other bytes at a place of its head, which may be fewer or more. */
export function changed(bytes, at, count, fresh) {
  const end = headEnd(bytes), head = Buffer.concat([bytes.subarray(0, at), Buffer.from(fresh), bytes.subarray(at + count, end)]);
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc(head));
  return new Uint8Array(Buffer.concat([head, sum, bytes.subarray(end + 4)]));
}

/** A file that names another model. */
export const renamed = (bytes, id) => changed(bytes, 10, 8, Buffer.from(id, 'hex'));

function crc(bytes) {
  let value = -1;
  for (const byte of bytes) {
    value ^= byte;
    for (let i = 0; i < 8; i++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return ~value >>> 0;
}
