// The threads that decode: workers where there are some, else this thread. Each picture is shared among all of them.
// Between `decode` and `worker`. Workers share nothing, so no page needs to be isolated for them.

import type { Part } from './bitstream/marks.js';
import { check, type Begun, type Ended, type Wanted } from './coding/decoding.js';
import { NicError, whole } from './errors.js';
import { boxOf, work, type Answer, type Order } from './worker.js';

interface Thread {
  /** The id of the model that it has ready. */
  model: string;
  run(order: Order, answer: (answer: Answer) => void): void;
  stop(): void;
}

type Spawn = () => Worker;

let spawn: Spawn | null = null;
let threads: Thread[] = [];
let queue: Promise<unknown> = Promise.resolve();
let count = 1;

/** How workers are made; without it all work is done here. */
export function setSpawn(made: Spawn): void {
  spawn = made;
}

/** The number of threads, 1 or more. */
export function setThreads(number: number): void {
  count = Math.max(1, Math.floor(number));
  if (threads.length > count) close();
}

/** Ends all workers, and what they are doing; the next picture makes new ones. */
export function close(): void {
  for (const thread of threads) thread.stop();
  threads = [];
}

function thread(): Thread {
  const here = { model: '', run: (order: Order, answer: (answer: Answer) => void): void => void work(order, { postMessage: answer }), stop: () => undefined };
  let worker: Worker;
  try {
    if (!spawn) return here;
    worker = spawn();
  } catch {
    return here;  // a policy of the page forbids workers
  }
  let waiting: ((answer: Answer) => void) | null = null;
  return {
    model: '',
    run(order, answer) {
      waiting = answer;
      worker.onmessage = ({ data }: MessageEvent<Answer>) => answer(data);
      worker.onerror = (event) => answer({ error: { name: 'Error', message: event.message || 'the worker does not start' } });
      worker.postMessage(order);
    },
    stop() {
      worker.terminate();
      waiting?.({ error: { name: 'NicError', message: 'the decoder was closed' } });
    },
  };
}

/** Pixels that are worth a thread: a share of a small picture is mostly halo. */
const WORTH = 2 ** 16;

/**
 * The parts of a picture, as they come, from all threads; begun is called first. model: the bytes of a model by its id.
 * pixels: how many are wanted.
 *
 * Pictures wait for each other. Throws as the decoder.
 */
export function decoded(
  bytes: Uint8Array, wanted: Wanted, pixels: number, id: string, model: (id: string) => Promise<Uint8Array>,
  begun: (size: Begun, parts: number) => void, part: (part: Part) => void,
): Promise<Ended> {
  const done = queue.then(() => all(bytes, wanted, pixels, id, model, begun, part));
  queue = done.catch(() => undefined);
  return done;
}

async function all(
  bytes: Uint8Array, wanted: Wanted, pixels: number, id: string, model: (id: string) => Promise<Uint8Array>,
  begun: (size: Begun, parts: number) => void, part: (part: Part) => void,
): Promise<Ended> {
  const most = spawn ? count : 1, of = Math.min(most, Math.max(1, Math.floor(pixels / WORTH)));
  while (threads.length < most) threads.push(thread());
  const weights = id && threads.some((t) => t.model !== id) ? await model(id) : null;
  for (const t of threads.slice(of)) {
    // The next picture finds them ready: after a preview comes the picture.
    if (id && t.model !== id) t.run({ bytes: new Uint8Array(), wanted, share: null, model: weights }, () => undefined);
    t.model = id || t.model;
  }
  const waiting: Part[] = [];
  let sizes = 0, total = 0;
  const ended = await Promise.all(threads.slice(0, of).map((t, own) => new Promise<Ended>((resolve, reject) => {
    const order = { bytes, wanted, share: [own, of] as const, model: id && t.model !== id ? weights : null };
    t.model = id || t.model;
    const take = (answer: Answer): void => {
      if ('error' in answer) reject(whole(answer.error));
      else if ('ended' in answer) resolve(answer.ended);
      else if ('begun' in answer) {
        total += answer.begun.parts;
        if (++sizes < of) return;
        begun(answer.begun, total);
        waiting.splice(0).forEach(part);
      } else {
        const made = { ...answer.part, box: boxOf(answer.box) };
        if (sizes < of) waiting.push(made);
        else part(made);
      }
    };
    t.run(order, (answer) => {
      try {
        take(answer);
      } catch (error) {
        reject(error);  // of a callback of the page, or for want of memory
      }
    });
  }))).catch((error: unknown) => {
    // Their models may be gone. A worker that did not start, or broke, answers no more; of several, the others go on for
    // nothing.
    for (const t of threads) t.model = '';
    if (of > 1 || !(error instanceof NicError)) close();
    throw error;
  });
  check(bytes, wanted, ended);
  return ended[0]!;
}
