// The errors that the decoder throws on purpose, with the names that they have in Python. Each text is one line.
// Under all other modules.

/** Base of these errors. */
export class NicError extends Error {
  override name = 'NicError';
}

/** The bytes are not a whole, well-formed .nic file. */
export class BadFile extends NicError {
  override name = 'BadFile';
}

/** A checksum differs: the bytes are damaged, or they decode to other symbols than those encoded. */
export class ChecksumMismatch extends BadFile {
  override name = 'ChecksumMismatch';
}

/** A size in the input passes a safety limit. */
export class LimitExceeded extends NicError {
  override name = 'LimitExceeded';
}

/** The file has a format version, or needs a feature, that this release cannot decode. */
export class UnsupportedVersion extends NicError {
  override name = 'UnsupportedVersion';
}

/** No model that can be found has the wanted id. */
export class ModelNotFound extends NicError {
  override name = 'ModelNotFound';
}

/** The model file is damaged, or not a nicodec model. */
export class BadModel extends NicError {
  override name = 'BadModel';
}

const CLASSES = [NicError, BadFile, ChecksumMismatch, LimitExceeded, UnsupportedVersion, ModelNotFound, BadModel];

/** What crosses from a worker: an error in parts, and made whole again. */
export interface Told {
  name: string;
  message: string;
}

export function told(error: unknown): Told {
  if (error instanceof Error) return { name: error.name, message: error.message };
  return { name: 'Error', message: String(error) };
}

export function whole(error: Told): Error {
  for (const kind of CLASSES) {
    const made = new kind(error.message);
    if (made.name === error.name) return made;
  }
  return new Error(`${error.name}: ${error.message}`);
}
