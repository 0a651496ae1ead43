// Makes the package: kernels -> WebAssembly -> src/model/kernels.ts, then the modules -> dist/, and the decoder of pages
// -> ../nicodec/page/. `node build.mjs check` says whether what is committed there is what would be made.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

process.chdir(fileURLToPath(new URL('.', import.meta.url)));
mkdirSync('build', { recursive: true });
const flags = ['--runtime', 'stub', '--noAssert', '-O3', '--converge', '--enable', 'simd,bulk-memory'];
const kernels = {};
for (const [name, more] of [['PLAIN', []], ['RELAXED', ['--enable', 'relaxed-simd']]]) {
  const out = `build/${name.toLowerCase()}.wasm`;
  const asc = 'node_modules/assemblyscript/bin/asc.js';
  execFileSync(process.execPath, [asc, 'assembly/kernels.ts', ...flags, ...more, '--outFile', out], { stdio: 'inherit' });
  kernels[name] = readFileSync(out).toString('base64');
}
writeFileSync('src/model/kernels.ts', [
  '// Made by build.mjs from assembly/kernels.ts: WebAssembly in base64, without and with relaxed SIMD.', '',
  ...Object.entries(kernels).map(([name, text]) => `export const ${name} = '${text}';`), '',
].join('\n'));

const common = { bundle: true, minify: true, target: 'es2022', legalComments: 'none', logLevel: 'warning', charset: 'utf8' };
rmSync('dist', { recursive: true, force: true });
await build({ ...common, format: 'esm', entryPoints: { index: 'src/index.ts', 'nic-img': 'src/nic-img.ts', worker: 'src/serve.ts' }, outdir: 'dist', splitting: true, chunkNames: 'shared-[hash]' });

/** The decoder of pages: one script for the page and its workers, which is committed. */
const page = '../nicodec/page/decoder.js';
const { outputFiles: [made] } = await build({ ...common, format: 'iife', entryPoints: ['src/page/page.ts'], write: false, outdir: 'build' });
if (process.argv[2] === 'check') {
  if (readFileSync(page, 'utf8') !== made.text) throw new Error('nicodec/page/decoder.js is not what web/ makes: run `make web`');
} else writeFileSync(page, made.text);

copyFileSync('../LICENSE', 'dist/LICENSE');
copyFileSync('../nicodec/page/LICENSE.decoder', 'dist/LICENSE.decoder');

// The released models, without what only an encoder needs, by their ids.
const UNSEALED = '0'.repeat(64), folder = '../checkpoints';
const DECODER = ['context.', 'correction.', 'g_s.', 'h_mu.', 'h_sigma.', 'log_gain', 'spread', 'tables.', 'preview.', 'natural.', 'halos', 'thresholds'];
mkdirSync('dist/models', { recursive: true });
for (const name of readdirSync(folder).filter((file) => file.endsWith('.nicmodel'))) {
  const data = readFileSync(`${folder}/${name}`), length = Number(data.readBigUInt64LE(0));
  const { __metadata__: about, ...entries } = JSON.parse(data.toString('utf8', 8, 8 + length));
  const kept = {
    __metadata__: { format: about.format, name: about.name, config: about.config, id: about.id, sha256: UNSEALED },
  };
  const parts = [];
  let at = 0;
  for (const [tensor, { dtype, shape, data_offsets: [begin, end] }] of Object.entries(entries)) {
    if (!DECODER.some((start) => tensor.startsWith(start))) continue;
    kept[tensor] = { dtype, shape, data_offsets: [at, (at += end - begin)] };
    parts.push(data.subarray(8 + length + begin, 8 + length + end));
  }
  const text = JSON.stringify(kept), size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  const file = Buffer.concat([size, Buffer.from(text), ...parts]);
  file.write(createHash('sha256').update(file).digest('hex'), file.indexOf(UNSEALED));
  writeFileSync(`dist/models/${about.id.slice(0, 16)}.nicmodel`, file);
}
