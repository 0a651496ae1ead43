// Hostile files, and what the Python decoder makes of each: node fuzz.mjs CASES, as tests/fuzz/fuzz_web.py wrote them.
// Each gives the same picture as there, or is refused as there. A model gives an error of the package, or a picture.

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import * as nic from '../dist/index.js';
import { renamed } from './heads.mjs';

const root = new URL('../../', import.meta.url);
/** Milliseconds for one file: far above what any takes. */
const PATIENCE = 20000;
const tiny = new Uint8Array(readFileSync(new URL('tests/fuzz/tiny.nicmodel', root)));

/** The cases of a file, one after the other. */
function* cases(path) {
  const file = openSync(path, 'r'), piece = Buffer.alloc(1 << 16);
  let held = Buffer.alloc(0);
  const more = () => {
    const count = readSync(file, piece);
    held = Buffer.concat([held, piece.subarray(0, count)]);
    return count > 0;
  };
  for (;;) {
    let end;
    while ((end = held.indexOf(10)) < 0) if (!more()) return closeSync(file);
    const facts = JSON.parse(held.toString('utf8', 0, end));
    const whole = end + 1 + facts.sizes.reduce((a, b) => a + b, 0);
    while (held.length < whole) if (!more()) throw new Error('the cases are cut short');
    let at = end + 1;
    yield { ...facts, parts: facts.sizes.map((size) => new Uint8Array(held.subarray(at, (at += size)))) };
    held = held.subarray(whole);
  }
}

/** The samples, or the error; whatever else is thrown is a finding. */
async function tried(work) {
  const start = performance.now();
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof nic.NicError) || /[\n\r]/.test(error.message) || !error.message) throw error;
    return error;
  } finally {
    if (performance.now() - start > PATIENCE) throw new Error('too slow');
  }
}

const findings = [], counts = {};
nic.modelsAt(new URL('dist/models/', new URL('../', import.meta.url)));
nic.addModel(tiny);
let sound, worst = 0, number = 0, others = 0;
for (const { seed, kind, parts, ...expected } of cases(process.argv[2])) {
  number++;
  let word = '';
  try {
    if (kind === 'model') {
      const id = await tried(() => nic.addModel(parts[0]));
      const found = id instanceof Error || !sound ? id : await tried(() => nic.samples(renamed(sound, id), { depth: 8, natural: 1 }));
      nic.addModel(tiny);
      word = `model: ${found instanceof Error ? found.name : 'picture'}`;
    } else {
      let part = 1;
      for (const [name, options] of [['picture', {}], ['preview', { scale: 1 / 8 }], ['natural', { natural: 1, seed }]]) {
        const found = await tried(() => nic.samples(parts[0], { depth: 8, ...options })), wanted = expected[name];
        if (found instanceof Error || typeof wanted === 'string') {
          const own = found instanceof Error ? found.name : 'a picture';
          // Of two faults in one file, another one may be found first.
          if (own !== wanted && found instanceof Error && typeof wanted === 'string') others++;
          else if (own !== wanted) throw new Error(`${name}: ${own}, not ${wanted}: ${found.message}`);
          word ||= `file: ${own}`;
          continue;
        }
        const data = parts[part++], [height, width, channels] = wanted;
        if (found.height !== height || found.width !== width || found.channels !== channels) throw new Error(`${name}: another size`);
        let far = 0;
        for (let i = 0; i < data.length; i++) far = Math.max(far, Math.abs(data[i] - found.data[i]));
        worst = Math.max(worst, far);
        if (far > 1) throw new Error(`${name}: off by ${far}`);
        if (name === 'picture' && nic.info(parts[0]).model === nic.addModel(tiny)) sound = parts[0];
        word = 'file: picture';
      }
    }
    counts[word] = (counts[word] ?? 0) + 1;
  } catch (error) {
    findings.push(seed);
    console.log(`seed ${seed}: ${error.stack ?? error}`);
  }
}
console.log(`${number} cases, ${findings.length} findings, ${others} refused for another fault, samples within ${worst}:`, JSON.stringify(counts));
process.exitCode = findings.length || !number ? 1 : 0;
