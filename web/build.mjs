// Makes the package: kernels -> WebAssembly -> src/model/kernels.ts, then the modules -> dist/, and the decoder of pages
// -> ../nicodec/page/. `node build.mjs check` says whether what is committed there is what would be made.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
