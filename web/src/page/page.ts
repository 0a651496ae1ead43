// The script of a page of its own, which `nicodec page` writes: it finds pictures and models in the page and shows them.
// The same text is what its workers run, so the page needs no other file.

import { fromBase64 } from '../base64.js';
import { promiseModel } from '../models.js';
import { setSpawn, setThreads } from '../pool.js';
import { serve } from '../worker.js';
import { album } from './album.js';
import { Viewer, type Named } from './viewer.js';

/** The most threads: each holds the weights of the model. */
const THREADS = 4;

function start(script: string): void {
  const root = document.documentElement, state = (name: string): void => {
    root.dataset['state'] = name;
  };
  const blob = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
  setSpawn(() => new Worker(blob));
  setThreads(Math.min(THREADS, navigator.hardwareConcurrency || 1));
  for (const node of document.querySelectorAll<HTMLElement>('script.model')) promiseModel(node.dataset['id']!, bytesOf(node));
  const pictures = Array.from(document.querySelectorAll<HTMLElement>('script.picture'), (node): Named => ({
    name: node.dataset['name']!, bytes: () => bytesOf(node),
  }));
  const stage = document.getElementById('stage')!, grid = document.getElementById('album');
  const shown = grid ? album(pictures, grid, stage) : new Viewer(stage).open(pictures[0]!);
  shown.then(() => state('done'), () => state('error'));
}

function bytesOf(node: HTMLElement): Uint8Array {
  return fromBase64(node.textContent!);
}

if (typeof document === 'undefined') serve();
else start(document.currentScript!.textContent!);
