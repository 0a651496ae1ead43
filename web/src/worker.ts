// A worker: one share of the parts of a picture at a time, so that the page stays alive.
// Between `pool` and `coding/decoding`.

import * as decoding from './coding/decoding.js';
import type { Begun, Ended, Share, Wanted } from './coding/decoding.js';
import type { Part } from './bitstream/marks.js';
import { Box } from './bitstream/tiles.js';
import { told, type Told } from './errors.js';

/** model: the bytes of the model of this file, if the worker does not have it ready. share: null to make that ready. */
export interface Order {
  bytes: Uint8Array;
  wanted: Wanted;
  share: Share | null;
  model: Uint8Array | null;
}

/** A box crosses from a worker as its four edges. */
export type Answer = { begun: Begun } | { part: Omit<Part, 'box'>; box: number[] } | { ended: Ended } | { error: Told };

export interface Scope {
  postMessage(answer: Answer, transfer?: Transferable[]): void;
}

/** Does one order, and answers as it goes. Parts are handed over, not copied. */
export async function work(order: Order, scope: Scope): Promise<void> {
  try {
    if (order.model) await decoding.take(order.model);
    if (!order.share) return;
    for (const item of decoding.parts(order.bytes, order.wanted, order.share)) {
      if ('parts' in item) scope.postMessage({ begun: item });
      else if ('box' in item) {
        const { box: { top, left, bottom, right }, channels, data } = item;
        scope.postMessage({ part: { channels, data }, box: [top, left, bottom, right] }, [data.buffer as ArrayBuffer]);
      } else scope.postMessage({ ended: item });
      // A moment for messages to leave.
      await null;
    }
  } catch (error) {
    scope.postMessage({ error: told(error) });
  }
}

/** The box of an answer, made whole again. */
export function boxOf([top, left, bottom, right]: number[]): Box {
  return new Box(top!, left!, bottom!, right!);
}

/** Makes a worker of this thread. */
export function serve(): void {
  const scope = globalThis as unknown as Scope & { onmessage: (event: { data: Order }) => void };
  let queue = Promise.resolve();
  scope.onmessage = ({ data }) => {
    queue = queue.then(() => work(data, scope));
  };
}
