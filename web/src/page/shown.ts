// A picture on its way to the screen: a canvas that holds the preview first, then the picture, window by window.
// Under `viewer`, `album` and `nic-img`.

import { decode, info, metadata, samples, type Info, type Options } from '../decode.js';
import { LimitExceeded } from '../errors.js';
import * as png from '../picture/png.js';

/** The longest side of a canvas in all browsers; a longer one stays empty without a word. */
const LONGEST = 32767;
/** Pixels of a picture whose preview is not worth the time. */
const SMALL = 2 ** 16;
/** The longer side of a picture in an album, in pixels. */
const SIDE = 480;

export interface Shown {
  info: Info;
  /** What stands in the page: a canvas; in the end an image, where the colours have a profile. */
  element: HTMLElement;
}

/**
 * Shows a picture in `place`. begun: called when its size is known and something can be seen. progress: 0 to 1.
 * drawn: natural and seed, as for `decode`.
 *
 * Rejects as `decode`; then nothing is left in `place`.
 */
export async function show(
  bytes: Uint8Array, place: HTMLElement, begun: (shown: Shown) => void, progress: (done: number) => void,
  drawn: Pick<Options, 'natural' | 'seed'> = {},
): Promise<Shown> {
  const facts = info(bytes), { width, height } = facts, canvas = document.createElement('canvas');
  if (Math.max(width, height) > LONGEST) throw new LimitExceeded(`${width}x${height} is larger than browsers can show`);
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext('2d')!;
  const shown: Shown = { info: facts, element: canvas };
  place.replaceChildren(canvas);
  try {
    if (width * height > SMALL && facts.model) {
      const small = await preview(bytes);
      context.imageSmoothingQuality = 'high';
      // A preview may reach over the edge of the picture by a part of a pixel of its own.
      context.drawImage(small, 0, 0, 8 * small.width, 8 * small.height);
    }
    begun(shown);
    const onProgress = (done: number, soFar?: ImageData, fresh?: { x: number; y: number; width: number; height: number }): void => {
      if (soFar && fresh) context.putImageData(soFar, 0, 0, fresh.x, fresh.y, fresh.width, fresh.height);
      progress(done);
    };
    const image = await decode(bytes, { ...drawn, onProgress });
    context.putImageData(image, 0, 0);
    const { icc } = metadata(bytes);
    if (icc) await profiled(bytes, icc, shown, place, drawn);
    return shown;
  } catch (error) {
    place.replaceChildren();
    throw error;
  }
}

/** The preview, on a canvas of SIDE pixels at most. Of a small picture it is the picture, which has the pixels. */
export async function thumbnail(bytes: Uint8Array, { width, height }: Info): Promise<HTMLCanvasElement> {
  const whole = width * height <= 4 * SMALL, small = await preview(bytes, whole ? 1 : 1 / 8);
  const by = Math.min(1, SIDE / Math.max(width, height)), canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [Math.max(1, Math.round(width * by)), Math.max(1, Math.round(height * by))];
  const context = canvas.getContext('2d')!, times = whole ? by : 8 * by;
  context.imageSmoothingQuality = 'high';
  context.drawImage(small, 0, 0, small.width * times, small.height * times);
  return canvas;
}

/** A picture, or its preview, on a canvas of its own. */
async function preview(bytes: Uint8Array, scale = 1 / 8): Promise<HTMLCanvasElement> {
  const image = await decode(bytes, { scale }), canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext('2d')!.putImageData(image, 0, 0);
  return canvas;
}

/** A canvas has no profile, but an image has: where there is one, a PNG takes the place of the canvas. */
async function profiled(
  bytes: Uint8Array, icc: Uint8Array, shown: Shown, place: HTMLElement, drawn: Pick<Options, 'natural' | 'seed'>,
): Promise<void> {
  const image = new Image(), plain = await samples(bytes, { ...drawn, depth: 8 });
  image.src = URL.createObjectURL(await png.encode(plain, icc));
  try {
    await image.decode();
  } catch {
    return;  // a profile that the browser does not know
  } finally {
    URL.revokeObjectURL(image.src);
  }
  image.alt = '';
  shown.element = image;
  place.replaceChildren(image);
}

/** A picture as a PNG file of its depth. */
export async function asPng(bytes: Uint8Array): Promise<Blob> {
  return png.encode(await samples(bytes), metadata(bytes).icc);
}

/** Why a picture is not shown, in words. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What a picture is, in a line: size, bytes, bits for each pixel, quality. */
export function line({ width, height, size, bpp, quality, lossless, drawing, depth }: Info): string {
  const kind = lossless ? 'lossless' : `quality ${quality}${drawing ? ', few colours' : ''}`;
  const deep = depth === 16 ? ' · 16 bits' : '';
  return `${width} × ${height} · ${inBytes(size)} · ${bpp.toFixed(2)} bpp · ${kind}${deep}`;
}

export function inBytes(size: number): string {
  if (size < 1000) return `${size} bytes`;
  return size < 1e6 ? `${(size / 1000).toFixed(1)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}
