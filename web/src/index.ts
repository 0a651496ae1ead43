// The package: `import { decode } from 'nicodec'`, in a browser and in Node.
// Models are fetched from the folder `models` of the package, and workers are made of the file `worker.js` beside this.

import { modelsAt } from './models.js';
import { setSpawn, setThreads } from './pool.js';

export { decode, info, metadata, samples, type Fresh, type Info, type Options } from './decode.js';
export type { Samples } from './coding/canvas.js';
export * from './errors.js';
export { addModel, modelsAt } from './models.js';
export { close, setThreads } from './pool.js';

modelsAt(new URL('./models/', import.meta.url));
if (typeof Worker !== 'undefined' && typeof document !== 'undefined') {
  setSpawn(() => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }));
  setThreads(Math.min(4, navigator.hardwareConcurrency || 1));
}
