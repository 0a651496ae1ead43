// The package, and a page of `nicodec page`, in headless Chromium and Firefox, without a network beside this machine's.
// NIC_PAGE names a page, NIC_ALBUM an album, NIC_LARGE a file of several threads; `make test-web` has them made. A browser that is not installed is skipped.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import puppeteer from 'puppeteer-core';
import { readPng } from './png.mjs';
import { difference, names, vector } from './vectors.mjs';

const root = new URL('../', import.meta.url);
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.nic': 'image/x-nicodec' };
const QUIET = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'];
const BROWSERS = {
  chromium: { browser: 'chrome', paths: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'], args: QUIET },
  firefox: { browser: 'firefox', paths: ['/usr/bin/firefox-esr', '/usr/bin/firefox'], args: [] },
};
/** Through a server a few vectors, since Firefox without a window takes a hundred times as long there. */
const served = ['1x1', 'gray', 'lossless'].map((name) => `${names[0].slice(0, 8)}-${name}`);

let server, address, script;

/** The package as one script with its models, for a page on the disk, where modules are not loaded. */
async function bundled() {
  const { outputFiles: [made] } = await build({ entryPoints: [fileURLToPath(new URL('test/disk.mjs', root))], bundle: true,
    format: 'iife', target: 'es2022', write: false, logLevel: 'error' });
  return made.text.replaceAll('</script', '<\\/script');
}

before(async () => {
  mkdirSync(new URL('build', root), { recursive: true });
  const models = readdirSync(new URL('dist/models/', root)).map((name) => readFileSync(new URL(`dist/models/${name}`, root), 'base64'));
  script = new URL('build/disk.html', root);
  writeFileSync(script, `<!doctype html><meta charset="utf-8"><title>test</title><script>${await bundled()}</script>`
    + `<script>nic.models(${JSON.stringify(models)})</script>`);
  server = createServer((request, answer) => {
    const path = new URL(request.url, 'http://localhost').pathname;
    if (path === '/empty.html') return answer.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>test</title>');
    const [, , name] = path.split('/'), file = path.startsWith('/vector/') ? new URL(`../tests/vectors/${name}/file.nic`, root) : new URL(`.${path}`, root);
    if (!existsSync(file)) return answer.writeHead(404).end();
    answer.writeHead(200, { 'content-type': TYPES[extname(file.pathname)] ?? 'application/octet-stream' }).end(readFileSync(file));
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  address = `http://127.0.0.1:${server.address().port}`;
});

after(() => server.close());

/** Waits until the page says that it is ready. */
async function settled(page) {
  for (let i = 0; i < 600; i++) {
    const state = await page.evaluate(() => document.documentElement.dataset.state);
    if (state === 'done' || state === 'error') return state;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error('the page does not become ready');
}

for (const [name, { browser, paths, args }] of Object.entries(BROWSERS)) {
  const executablePath = paths.find((path) => existsSync(path));
  describe(name, { skip: executablePath ? false : 'not installed' }, () => {
    let running, page, errors;

    before(async () => {
      running = await puppeteer.launch({ browser, executablePath, headless: true, defaultViewport: null,
        args: [...args, ...(browser === 'chrome' ? ['--window-size=1000,800'] : ['--width=1000', '--height=800'])] });
      page = await running.newPage();
      errors = [];
      page.on('pageerror', (error) => errors.push(String(error)));
    });

    after(() => running?.close());

    /** Decodes in the page, and compares here. */
    async function compared(one) {
      const found = await page.evaluate(async (text) => {
        const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), made = await nic.samples(bytes);
        const raw = new Uint8Array(made.data.buffer);
        let out = '';
        for (let i = 0; i < raw.length; i += 4096) out += String.fromCharCode(...raw.subarray(i, i + 4096));
        return { ...made, data: btoa(out) };
      }, Buffer.from(vector(one).bytes).toString('base64'));
      const bytes = new Uint8Array(Buffer.from(found.data, 'base64'));
      const data = found.depth === 8 ? bytes : new Uint16Array(bytes.buffer);
      assert.equal(difference(vector(one), { ...found, data }), '', one);
    }

    test('every conformance vector decodes in workers, from the disk, with the checksum of its symbols', async () => {
      await page.goto(script.href);
      for (const one of names) await compared(one);
    });

    test('several threads decode what one does', { skip: !process.env.NIC_LARGE }, async () => {
      const far = await page.evaluate(async (text) => {
        const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), found = [];
        for (const count of [1, 2, 3]) {
          nic.setThreads(count);
          const steps = [], { data } = await nic.samples(bytes, { natural: 1, onProgress: (done) => steps.push(done) });
          found.push({ data, parts: steps.length, end: steps.at(-1) });
        }
        const most = ([a, b]) => a.reduce((far, v, i) => Math.max(far, Math.abs(v - b[i])), 0);
        return found.map(({ data, parts, end }) => [most([data, found[0].data]), parts, end]);
      }, readFileSync(process.env.NIC_LARGE, 'base64'));
      assert.ok(far.every(([most, parts, end], i) => most <= 1 && parts > i && end === 1), String(far));
    });

    test('vectors decode as a module, from a server', async () => {
      await page.goto(`${address}/empty.html`);
      await page.evaluate(async () => {
        globalThis.nic = await import('/dist/index.js');
        nic.setThreads(2);
      });
      for (const one of served) await compared(one);
    });

    test('a damaged file is an error, and the page goes on', async () => {
      const found = await page.evaluate(async (one) => {
        const bytes = new Uint8Array(await (await fetch(`/vector/${one}`)).arrayBuffer()), damaged = bytes.slice();
        damaged[damaged.length - 1] ^= 1;
        const why = await nic.decode(damaged).catch((error) => `${error.name}: ${error.message}`);
        return [why, (await nic.decode(bytes)).width];
      }, served[0]);
      assert.deepEqual(found, ['ChecksumMismatch: a chunk is damaged', 1]);
    });

    test('a decoder that is closed says so, and the next picture decodes', async () => {
      const found = await page.evaluate(async (one) => {
        const bytes = new Uint8Array(await (await fetch(`/vector/${one}`)).arrayBuffer());
        const why = nic.decode(bytes).catch((error) => error.message);
        await new Promise((done) => setTimeout(done, 0));
        nic.close();
        return [await why, (await nic.decode(bytes)).width];
      }, served[0]);
      assert.ok(found[0] === 'the decoder was closed' || found[0].width === 1);
      assert.equal(found[1], 1);
    });

    test('the element nic-img shows a picture, and says why it cannot', async () => {
      const found = await page.evaluate(async (one) => {
        await import('/dist/nic-img.js');
        const states = [];
        for (const [src, natural] of [[`/vector/${one}`], ['/vector/none'], ['/package.json'], [`/vector/${one}`, '1'], [`/vector/${one}`, '2']]) {
          const made = document.createElement('nic-img');
          made.setAttribute('src', src);
          if (natural) made.setAttribute('natural', natural);
          const happened = new Promise((done) => ['load', 'error'].forEach((kind) => made.addEventListener(kind, () => done(kind))));
          document.body.append(made);
          states.push([await happened, made.dataset.state, made.shadowRoot.querySelector('canvas')?.width ?? made.shadowRoot.textContent]);
        }
        const pictures = [...document.querySelectorAll('nic-img')].map((made) => made.shadowRoot.querySelector('canvas')?.toDataURL());
        return [...states, pictures[0] === pictures[3]];
      }, names.find((one) => one.endsWith('-photograph')));
      assert.deepEqual(found[0], ['load', 'done', 96]);
      assert.deepEqual(found[1].slice(0, 2), ['error', 'error']);
      assert.match(found[1][2], /cannot be shown: the server answers 404/);
      assert.match(found[2][2], /not a \.nic file/);
      assert.deepEqual(found[3], ['load', 'done', 96]);
      assert.match(found[4][2], /natural must be a number from 0 to 1, not 2/);
      assert.equal(found[5], false, 'the natural picture is the faithful one');
    });

    test('a page shows its picture one to one from the disk', { skip: !process.env.NIC_PAGE }, async () => {
      await page.goto(pathToFileURL(process.env.NIC_PAGE).href);
      assert.equal(await settled(page), 'done');
      const one = vector(process.env.NIC_PAGE_VECTOR);
      const { shown, data, over } = await page.evaluate(() => {
        const canvas = document.querySelector('canvas'), { x, y, width, height } = canvas.getBoundingClientRect();
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const bar = document.querySelector('.bar').getBoundingClientRect();
        return { shown: [x, y, width, height, canvas.width, canvas.height], data: Array.from(data), over: bar.top < y + height };
      });
      const [x, y, width, height, ...own] = shown;
      assert.deepEqual([width, height], own);
      assert.ok(Number.isInteger(x) && Number.isInteger(y));
      assert.equal(over, false);
      const { picture } = one;
      for (let i = 0; i < picture.width * picture.height; i++) {
        for (let c = 0; c < 3; c++) assert.ok(Math.abs(data[4 * i + c] - picture.data[3 * i + c]) <= 1);
      }
    });

    test('a page zooms, and hands out its picture as PNG', { skip: !process.env.NIC_PAGE }, async () => {
      const { widths, png } = await page.evaluate(async () => {
        const wide = () => document.querySelector('.picture').getBoundingClientRect().width;
        const press = (key) => dispatchEvent(new KeyboardEvent('keydown', { key })), widths = [wide()];
        for (const key of ['+', '-', '0']) {
          press(key);
          widths.push(wide());
        }
        const blob = await new Promise((done) => {
          URL.createObjectURL = (made) => {
            done(made);
            return '#';
          };
          Array.from(document.querySelectorAll('button')).find((button) => button.textContent === 'PNG').click();
        });
        const bytes = new Uint8Array(await blob.arrayBuffer());
        return { widths, png: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')) };
      });
      const one = vector(process.env.NIC_PAGE_VECTOR), { width } = one.picture;
      assert.deepEqual(widths, [width, Math.round(1.25 * width), width, width]);
      assert.equal(difference(one, readPng(Buffer.from(png, 'base64'))), '');
    });

    test('an album shows previews, and a picture on demand', { skip: !process.env.NIC_ALBUM }, async () => {
      await page.goto(pathToFileURL(process.env.NIC_ALBUM).href);
      assert.equal(await settled(page), 'done');
      const states = await page.evaluate(() => Array.from(document.querySelectorAll('.cell'), (cell) => cell.dataset.state));
      assert.ok(states.length > 1 && states.every((state) => state === 'done'), String(states));
      await page.evaluate(() => document.querySelector('.cell').click());
      let state;
      for (let i = 0; i < 300 && state !== 'done'; i++) {
        state = await page.evaluate(() => document.getElementById('stage').dataset.state);
        await new Promise((done) => setTimeout(done, 100));
      }
      assert.equal(state, 'done');
      assert.deepEqual(errors, []);
    });
  });
}

