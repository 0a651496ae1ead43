// The models that a page has: given as bytes, or fetched from a folder when a picture first needs them.
// Beside `pool`, under `decode`.

import { ModelNotFound } from './errors.js';
import { parse } from './model/modelfile.js';

const given = new Map<string, Uint8Array>();
let folder: string | URL | null = null;

/** Adds a model, the bytes of a .nicmodel file -> the first 16 digits of its id, by which files name it. */
export function addModel(bytes: Uint8Array): string {
  const { id } = parse(bytes);
  given.set(id, bytes);
  return id;
}

/** Adds a model whose id is known, without reading it: the decoder reads it when it needs it. */
export function promiseModel(id: string, bytes: Uint8Array): void {
  given.set(id, bytes);
}

/** Where models are fetched from: a folder with files of the name ID.nicmodel, ID of 16 digits. */
export function modelsAt(url: string | URL): void {
  folder = url;
}

/** The bytes of a model. Throws ModelNotFound. */
export async function find(id: string): Promise<Uint8Array> {
  const found = given.get(id);
  if (found) return found;
  let why = 'no model of this id was added, and no folder of models is known';
  if (folder) {
    const url = new URL(`${id}.nicmodel`, folder);
    try {
      const bytes = url.protocol === 'file:' ? await read(url) : await download(url);
      given.set(id, bytes);
      return bytes;
    } catch (error) {
      why = `${url.href}: ${error instanceof Error ? error.message : error}`;
    }
  }
  throw new ModelNotFound(`the file was made with the model ${id}, which is not here (${why})`);
}

async function download(url: URL): Promise<Uint8Array> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** In Node alone. The name of the module is hidden from bundlers. */
async function read(url: URL): Promise<Uint8Array> {
  const name = 'node:fs/promises';
  const { readFile } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as { readFile(url: URL): Promise<Uint8Array> };
  return new Uint8Array(await readFile(url));
}
