// The package in Node: vectors, views, limits, and the sizes that were promised.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import * as nic from '../dist/index.js';
import { changed, headEnd, renamed } from './heads.mjs';
import { difference, names, vector } from './vectors.mjs';

const dist = new URL('../dist/', import.meta.url);
const { models } = JSON.parse(readFileSync(new URL('../../checkpoints/manifest.json', import.meta.url), 'utf8'));
/** The smaller model: its id, as in names of files, and as in names of vectors. */
const MODEL = models.find(({ name }) => name === 'photo-fast').id.slice(0, 16), ID = MODEL.slice(0, 8);

test('every conformance vector decodes to its picture, its facts and its metadata', async () => {
  assert.ok(names.length >= 60);
  for (const name of names) {
    const one = vector(name), { expected, bytes } = one, told = nic.info(bytes);
    // The checksum of all symbols is checked on the way.
    assert.equal(difference(one, await nic.samples(bytes)), '', name);
    assert.deepEqual([told.width, told.height], expected.size, name);
    for (const key of ['mode', 'depth', 'lossless', 'quality', 'version']) assert.equal(told[key], expected[key], name);
    assert.deepEqual(told.chunks.map(([kind]) => kind), expected.chunks, name);
    const digests = Object.entries(nic.metadata(bytes)).map(([kind, blob]) =>
      [kind.toUpperCase(), createHash('sha256').update(blob).digest('hex')]);
    assert.deepEqual(Object.fromEntries(digests), expected.metadata_sha256, name);
  }
});

test('a picture is RGBA of its size, with progress to the end', async () => {
  const { bytes, picture } = vector(`${ID}-alpha-vertical`), steps = [];
  const image = await nic.decode(bytes, { onProgress: (done, soFar) => steps.push([done, soFar.width]) });
  assert.deepEqual([image.width, image.height], [picture.width, picture.height]);
  assert.equal(image.data.length, 4 * picture.width * picture.height);
  for (let i = 0; i < image.data.length; i++) assert.ok(Math.abs(image.data[i] - picture.data[i]) <= 1);
  assert.deepEqual(steps.at(-1), [1, picture.width]);
});

test('a region is the crop of the whole', async () => {
  for (const name of ['tiles', 'lossless-tiles-alpha', 'patches', 'flats', 'correction', 'deep-gray-alpha']) {
    const { bytes } = vector(`${ID}-${name}`), whole = await nic.decode(bytes), { width, height } = whole;
    const [x, y, w, h] = [width >> 1, height >> 2, Math.min(70, width - (width >> 1)), Math.min(50, height - (height >> 2))];
    const part = await nic.decode(bytes, { region: [x, y, w, h] });
    assert.deepEqual([part.width, part.height], [w, h]);
    for (let i = 0; i < h; i++) {
      for (let j = 0; j < 4 * w; j++) {
        const far = Math.abs(part.data[4 * i * w + j] - whole.data[4 * ((y + i) * width + x) + j]);
        assert.ok(far <= 1, `${name}: ${far} at ${i},${j}`);
      }
    }
  }
});

/** Pictures of Python at natural= and seed=: their samples of 8 bits, one after the other. */
const PYTHON = `
import json, sys
import numpy as np
from pathlib import Path
import nicodec
for name, natural, seed in json.loads(sys.argv[1]):
    data = Path("tests/vectors", name, "file.nic").read_bytes()
    array = nicodec.decode(data, natural=natural, seed=seed, dtype=np.uint8)
    sys.stdout.buffer.write(array.tobytes())
`;

test('a natural picture is that of Python', { skip: !process.env.NIC_PYTHON && 'NIC_PYTHON names no Python' }, async () => {
  const cases = ['correction', 'tiles-2x3', 'gray', 'deep-gray-alpha', 'alpha-vertical', 'flats', 'quality-0', 'lossless']
    .flatMap((name) => [[`${ID}-${name}`, 1, 0], [`${ID}-${name}`, 0.5, 2 ** 32 - 1]]);
  const root = new URL('../../', import.meta.url);
  const found = execFileSync(process.env.NIC_PYTHON, ['-c', PYTHON, JSON.stringify(cases)], { cwd: root, maxBuffer: 2 ** 28 });
  let at = 0;
  for (const [name, natural, seed] of cases) {
    const { data } = await nic.samples(vector(name).bytes, { natural, seed, depth: 8 });
    for (let i = 0; i < data.length; i++, at++) {
      assert.ok(Math.abs(data[i] - found[at]) <= 1, `${name}, ${natural}, ${seed}: ${data[i]} at ${i}, not ${found[at]}`);
    }
  }
  assert.equal(at, found.length);
});

test('a natural picture depends on its strength and its seed, and a region of it is its crop', async () => {
  const { bytes } = vector(`${ID}-tiles-2x3`), whole = await nic.decode(bytes, { natural: 1 }), { width, height } = whole;
  const far = (other) => whole.data.reduce((most, v, i) => Math.max(most, Math.abs(v - other.data[i])), 0);
  assert.equal(far(await nic.decode(bytes, { natural: 1, seed: 0 })), 0);
  for (const options of [{}, { natural: 0.5 }, { natural: 1, seed: 1 }]) assert.ok(far(await nic.decode(bytes, options)) > 2);
  const [x, y, w, h] = [width >> 1, height >> 2, 70, 50];
  const part = await nic.decode(bytes, { natural: 1, region: [x, y, w, h] });
  for (let i = 0; i < h; i++) {
    for (let j = 0; j < 4 * w; j++) {
      assert.ok(Math.abs(part.data[4 * i * w + j] - whole.data[4 * ((y + i) * width + x) + j]) <= 1);
    }
  }
});

/** Models with layers that learnt from draws, whole and without one of their tensors; what Python makes with the whole one. */
const LEARNT = `
import json, sys
import numpy as np
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, "tests")
from safetensors.numpy import save
from tiny_models import TINY, random, with_natural, write
import nicodec
from nicodec.model import checkpoint, modelfile
folder = Path(sys.argv[2])
made = with_natural(checkpoint.load(checkpoint.find("photo-fast")), folder / "made.nicmodel", 0.05).path
metadata, tensors = modelfile.parse(made.read_bytes(), "made")
bias = tensors["natural.grain.bias"]
tensors["natural.grain.bias"] = np.linspace(-0.05, 0.05, len(bias), dtype=bias.dtype)
for lacks in ("nothing", "head.bias", "grain.weight", "grain.bias", "waves.weight"):
    kept = {name: np.ascontiguousarray(array) for name, array in tensors.items() if name != f"natural.{lacks}"}
    sealed = modelfile.sealed(save(kept, metadata | {"sha256": modelfile.UNSEALED}))
    (folder / f"{lacks}.nicmodel").write_bytes(sealed)
path = folder / "nothing.nicmodel"
for name, natural, seed in json.loads(sys.argv[1]):
    data = Path("tests/vectors", name, "file.nic").read_bytes()
    sys.stdout.buffer.write(nicodec.decode(data, model=path, natural=natural, seed=seed, dtype=np.uint8).tobytes())
path = with_natural(write(random(replace(TINY, colours=1)), folder / "made.nicmodel"), folder / "gray.nicmodel", 0.05).path
data = nicodec.encode(np.add.outer(np.arange(100), np.arange(150)).astype(np.uint8), model=path, lossless=False)
(folder / "gray.nic").write_bytes(data)
sys.stdout.buffer.write(nicodec.decode(data, model=path, natural=1, dtype=np.uint8).tobytes())
`;

test('layers that learnt from draws paint as in Python, in colour and in gray', { skip: !process.env.NIC_PYTHON && 'NIC_PYTHON names no Python' }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'nicodec-')), root = new URL('../../', import.meta.url);
  const model = (name) => new Uint8Array(readFileSync(join(folder, `${name}.nicmodel`)));
  const released = new Uint8Array(readFileSync(new URL(`models/${MODEL}.nicmodel`, dist)));
  try {
    const cases = ['correction', 'tiles-2x3', 'gray', 'deep-gray-alpha', 'flats', 'quality-0'].flatMap((name) =>
      [[1, 0], [0.3, 2 ** 32 - 1], [0, 0]].map(([natural, seed]) => [`${ID}-${name}`, natural, seed]));
    const found = execFileSync(process.env.NIC_PYTHON, ['-c', LEARNT, JSON.stringify(cases), folder], { cwd: root, maxBuffer: 2 ** 28 });
    assert.equal(nic.addModel(model('nothing')), MODEL, 'the layers are outside the id');
    nic.close();
    let at = 0;
    const compare = async (name, file, natural, seed) => {
      const { data } = await nic.samples(file, { natural, seed, depth: 8 });
      for (let i = 0; i < data.length; i++, at++) {
        assert.ok(Math.abs(data[i] - found[at]) <= 1, `${name}, ${natural}, ${seed}: ${data[i]} at ${i}, not ${found[at]}`);
      }
    };
    for (const [name, natural, seed] of cases) await compare(name, vector(name).bytes, natural, seed);
    const { bytes } = vector(`${ID}-tiles-2x3`), whole = await nic.decode(bytes, { natural: 1 });
    const part = await nic.decode(bytes, { natural: 1, region: [100, 40, 70, 50] });
    for (let i = 0; i < 50; i++) {
      for (let j = 0; j < 280; j++) {
        assert.ok(Math.abs(part.data[280 * i + j] - whole.data[4 * ((40 + i) * whole.width + 100) + j]) <= 1);
      }
    }
    for (const lacks of ['head.bias', 'grain.weight', 'grain.bias', 'waves.weight']) {
      nic.addModel(model(lacks));
      nic.close();
      await assert.rejects(nic.decode(bytes, { natural: 1 }), { name: 'BadModel', message: `the model lacks natural.${lacks}` });
    }
    nic.addModel(model('gray'));
    nic.close();
    await compare('a model of gray', new Uint8Array(readFileSync(join(folder, 'gray.nic'))), 1, 0);
    assert.equal(at, found.length);
  } finally {
    nic.addModel(released);
    nic.close();
    rmSync(folder, { recursive: true });
  }
});

test('a natural preview and a natural lossless picture are the faithful ones', async () => {
  for (const [name, options] of [['photograph', { scale: 1 / 8 }], ['lossless', {}]]) {
    const { bytes } = vector(`${ID}-${name}`);
    assert.deepEqual((await nic.decode(bytes, { ...options, natural: 1 })).data, (await nic.decode(bytes, options)).data);
  }
});

test('a preview has an eighth of the size', async () => {
  const { bytes, picture } = vector(`${ID}-photograph`), small = await nic.decode(bytes, { scale: 1 / 8 });
  assert.deepEqual([small.width, small.height], [Math.ceil(picture.width / 8), Math.ceil(picture.height / 8)]);
});

test('impossible wishes are refused', async () => {
  const { bytes } = vector(`${ID}-photograph`);
  for (const options of [{ scale: 2 }, { scale: 1 / 8, region: [0, 0, 1, 1] }, { region: [0, 0, 97, 1] }, { region: [-1, 0, 1, 1] },
    { region: [0, 0, 0, 1] }, { region: [0, 0, 1.5, 1] }, { natural: -0.1 }, { natural: 1.1 }, { natural: NaN }, { natural: '1' },
    { seed: -1 }, { seed: 0.5 }, { seed: 2 ** 32 }]) await assert.rejects(nic.decode(bytes, options), nic.NicError);
  await assert.rejects(nic.samples(bytes, { depth: 12 }), nic.NicError);
  await assert.rejects(nic.decode(bytes, { maxPixels: 100 }), nic.LimitExceeded);
});

test('a damaged file is an error that says so', async () => {
  const { bytes } = vector(`${ID}-photograph`);
  await assert.rejects(nic.decode(new Uint8Array()), nic.BadFile);
  for (let end = 5; end < headEnd(bytes) + 4; end++) {
    await assert.rejects(nic.decode(bytes.subarray(0, end)), end < 25 ? /ends within its header$/ : /ends within its chunk table$/);
  }
  await assert.rejects(nic.decode(bytes.subarray(0, -1)), nic.BadFile);
  for (const [at, kind] of [[4, nic.UnsupportedVersion], [8, nic.ChecksumMismatch], [bytes.length - 3, nic.ChecksumMismatch]]) {
    const damaged = bytes.slice();
    damaged[at] ^= 64;
    await assert.rejects(nic.decode(damaged), kind);
  }
});

test('the head of a file has one form, and its table no more chunks than there are', async () => {
  const { bytes } = vector(`${ID}-photograph`);
  assert.deepEqual(changed(bytes, 18, 1, [bytes[18]]), bytes);
  for (const [at, part] of [[18, 'header'], [19, 'header'], [22, 'header'], [24, 'header'], [26, 'chunk table']]) {
    const more = bytes[at] | 128;
    for (const fresh of [[more, 0], [more, 128, 128, 128, 0], [more, 128, 128, 128, 128, 1], [more, 128, 128, 128, 16]]) {
      const malformed = new nic.BadFile(`the ${part} holds a malformed number`);
      await assert.rejects(nic.decode(changed(bytes, at, 1, fresh)), malformed);
    }
  }
  await assert.rejects(nic.decode(changed(bytes, 24, 1, [255, 255, 3])), nic.BadFile);
  await assert.rejects(nic.decode(changed(bytes, 24, 1, [255, 255, 255, 255, 15])), nic.LimitExceeded);
  for (const samples of [0, 2, 4, 0x21, 0x83, 0xff]) {
    await assert.rejects(nic.decode(changed(bytes, 5, 1, [samples])), /impossible values/);
  }
});

test('a model that is not there is named', async () => {
  const strange = renamed(vector(`${ID}-photograph`).bytes, '0123456789abcdef');
  await assert.rejects(nic.decode(strange), (error) => error instanceof nic.ModelNotFound && error.message.includes('0123456789abcdef'));
  assert.equal(nic.info(strange).model, '0123456789abcdef');
});

test('a damaged model is refused', () => {
  const place = new URL('models/', dist), [name] = readdirSync(place);
  const model = new Uint8Array(readFileSync(new URL(name, place)));
  assert.equal(nic.addModel(model), name.slice(0, 16));
  const damaged = model.slice();
  damaged[damaged.length - 5] ^= 1;
  assert.throws(() => nic.addModel(damaged), nic.BadModel);
  assert.throws(() => nic.addModel(model.subarray(0, 1000)), nic.BadModel);
});

test('a model with parts that are not known here is refused in one sentence', () => {
  const place = new URL('models/', dist), [name] = readdirSync(place);
  const model = readFileSync(new URL(name, place)), length = Number(model.readBigUInt64LE(0));
  const zeros = '0'.repeat(64);
  for (const [part, kind, fine] of [['upsample', 'nearest'], ['transform', 'linear'], ['upsample', 'shuffle', true]]) {
    const head = JSON.parse(model.toString('utf8', 8, 8 + length)), about = head.__metadata__;
    about.config = JSON.stringify({ ...JSON.parse(about.config), [part]: kind });
    about.sha256 = zeros;
    if (!fine) delete about.id;
    const text = Buffer.from(JSON.stringify(head)), size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(text.length));
    const made = Buffer.concat([size, text, model.subarray(8 + length)]);
    made.write(createHash('sha256').update(made).digest('hex'), made.indexOf(zeros));
    const says = { message: `the model has the ${part} "${kind}", which this decoder cannot compute; nicodec for Python can` };
    if (fine) assert.equal(nic.addModel(new Uint8Array(made)), name.slice(0, 16));
    else assert.throws(() => nic.addModel(new Uint8Array(made)), says);
  }
});

let copies = 0;

/** A copy of the package with doors that it hides: how workers are made, and what they run. */
async function inside() {
  const contents = "export { decode } from './src/decode.ts'; export { setSpawn, setThreads } from './src/pool.ts';"
    + " export { work } from './src/worker.ts';";
  const { outputFiles: [made] } = await build({ stdin: { contents, resolveDir: fileURLToPath(new URL('../', dist)) },
    bundle: true, format: 'esm', write: false });
  // The comment tells the copies apart.
  return import(`data:text/javascript;base64,${Buffer.from(`${made.text}// ${++copies}`).toString('base64')}`);
}

test('a callback that throws ends its picture with that error, and the next one is decoded', { timeout: 20000 }, async () => {
  const own = await inside(), { bytes, picture } = vector(`${ID}-lossless`);
  own.setThreads(2);
  own.setSpawn(() => ({
    postMessage(order) {
      void own.work(order, { postMessage: (data) => setTimeout(() => this.onmessage({ data })) });
    },
    terminate() {
      this.onmessage = () => undefined;
    },
  }));
  const onProgress = () => {
    throw new TypeError('of the page');
  };
  await assert.rejects(own.decode(bytes, { onProgress }), /of the page/);
  assert.equal((await own.decode(bytes)).width, picture.width);
});

test('a worker that does not start is an error, and the next picture begins another', { timeout: 20000 }, async () => {
  const own = await inside();
  let begun = 0;
  own.setSpawn(() => {
    let dead = false;
    begun++;
    return {
      postMessage() {
        if (!dead) setTimeout(() => this.onerror({ message: 'no script' }));
        dead = true;
      },
      terminate() {},
    };
  });
  const { bytes } = vector(`${ID}-lossless`);
  for (const times of [1, 2]) {
    await assert.rejects(own.decode(bytes), /no script/);
    assert.equal(begun, times);
  }
});

test('the package has its licence, and those of what travels in it', () => {
  for (const [name, source] of [['LICENSE', '../../LICENSE'], ['LICENSE.decoder', '../../nicodec/page/LICENSE.decoder']]) {
    assert.deepEqual(readFileSync(new URL(name, dist)), readFileSync(new URL(source, dist)));
  }
});

test('the package is small, and needs no other at run time', () => {
  const files = readdirSync(dist).filter((name) => name.endsWith('.js')).map((name) => readFileSync(new URL(name, dist)));
  const sum = (sizes) => sizes.reduce((a, b) => a + b, 0);
  const page = readFileSync(new URL('../../nicodec/page/decoder.js', import.meta.url));
  assert.ok(sum(files.map((file) => file.length)) <= 150_000);
  assert.ok(sum(files.map((file) => gzipSync(file).length)) <= 40_000);
  assert.ok(page.length <= 150_000 && gzipSync(page).length <= 40_000);
  const { dependencies } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  assert.equal(dependencies, undefined);
});
