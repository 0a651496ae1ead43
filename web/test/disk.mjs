// The package for a page on the disk: `nic`, with workers made of this same script. For tests alone.

import * as all from '../src/decode.ts';
import { addModel } from '../src/models.ts';
import { setSpawn, setThreads } from '../src/pool.ts';
import { serve } from '../src/worker.ts';

if (typeof document === 'undefined') serve();
else {
  const blob = URL.createObjectURL(new Blob([document.currentScript.textContent], { type: 'text/javascript' }));
  setSpawn(() => new Worker(blob));
  setThreads(2);
  const models = (texts) => texts.map((text) => addModel(Uint8Array.from(atob(text), (c) => c.charCodeAt(0))));
  globalThis.nic = { ...all, models, setThreads };
}
