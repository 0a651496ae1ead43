// The float networks of one model at one quality: symbols -> latent -> numbers of pixels.
// Between `engine` and `coding`, beside `scales`. Layers are those of docs/FORMAT.md, in its order and with its names.

import type { Box } from '../bitstream/tiles.js';
import { BadModel } from '../errors.js';
import { ADD, CAP, Engine, HALVES, LEAKY, stride, type Product } from './engine.js';
import { ANCHORS, gather, Scales } from './scales.js';
import type { Model } from './modelfile.js';

interface Block {
  width: number;
  mixIn: Product;
  kernel: number;
  kernelBias: number;
  mixOut: Product;
  mixCap: number;
  expand: Product;
  project: Product;
  projectCap: number;
}

/** h_mu and context at one quality. */
interface Means {
  up1: Product;
  mean0: Product;
  mean1: Product;
  cap1: number;
  up2: Product;
  cap2: number;
  spatial: Product;
  cap3: number;
  fuse: Product;
  blocks: Block[];
}

/** The layers of g_s at /8 at one quality, and the one before them, which takes in their modulation. */
interface Layers {
  embed: Product;
  blocks: Block[];
  head: Product;
}

/** Those that learnt from draws. grain: how strong each channel of noise is; waves: from it to what the head makes. */
interface NaturalLayers extends Layers {
  grain: Product;
  waves: Product;
}

/** g_s at one quality; natural: its layers that learnt from draws. */
interface Synthesis {
  latentBlocks: Block[];
  shortcut: Product;
  faithful: Layers;
  natural?: NaturalLayers | undefined;
}

/** Numbers about -1/2 to 1/2, (h, w, colours), at an address. */
export interface Plane {
  at: number;
  rows: number;
  columns: number;
}

export class Networks {
  readonly colours: number;
  readonly latent: number;
  readonly deep: number;
  readonly scales: Scales;
  private quality = -1;
  private gain = new Float32Array(0);
  private readonly spread: Float32Array;
  private readonly logGain: Float32Array;
  private hats: number[] = [];
  private means?: Means;
  private drawing?: Synthesis;
  private small?: Product;
  private readonly units: number;

  constructor(readonly engine: Engine, readonly model: Model) {
    const { config } = model;
    [this.colours, this.latent, this.deep] = [config.colours, config.latent, config.deep];
    this.spread = model.array('spread', 'F32', [this.latent]);
    this.logGain = model.array('log_gain', 'F32', [ANCHORS, this.latent]);
    this.scales = new Scales(engine, model);
    this.units = engine.alloc(4 * 2 * this.latent);
  }

  /** The positions of the latent that the mean of the second phase sees around each. */
  get reachMean(): number {
    return 1 + this.model.config.context_blocks;
  }

  /** The positions of the latent that g_s needs around a piece. */
  get around(): number {
    const { blocks_s: blocks, latent_blocks_s: latentBlocks } = this.model.config;
    const [first, halo] = this.model.array('halos', 'I32', [2]) as unknown as [number, number];
    const most = latentBlocks + Math.ceil(blocks / 2);
    // The first is that of g_a, which may have a stage that no decoder knows.
    if (!(halo >= 0 && halo <= most && first >= 0)) {
      throw new BadModel('the model has impossible halos');
    }
    // A correction and the smoothing of ramps see three pixels further than g_s.
    return Math.max(1, halo);
  }

  /**
   * Makes all ready that depends on the quality, in hundredths, and what a picture or a preview needs. natural: with the
   * layers that learnt from draws.
   */
  prepare(quality: number, preview: boolean, natural: boolean): void {
    const fresh = quality !== this.quality;
    if (fresh) {
      this.quality = quality;
      this.hats = Array.from({ length: ANCHORS }, (_, k) => Math.max(0, 1 - Math.abs(quality / 1000 - k)));
      this.gain = this.mixed(this.logGain, this.latent).map(Math.exp);
      if (!this.gain.every((g, c) => g > 0 && g < 1e20 && this.spread[c]! > 1e-20 && this.spread[c]! < 1e20)) {
        throw new BadModel('the model has an impossible gain or spread');
      }
      const inverse = this.engine.f32(this.units, 2 * this.latent);
      for (let c = 0; c < this.latent; c++) {
        inverse[c] = 1 / (this.gain[c]! * this.spread[c]!);
        inverse[this.latent + c] = 1 / this.gain[c]!;
      }
      this.scales.prepare(quality);
    }
    if (fresh || !this.means) this.means = this.prepareMeans(this.means);
    if (preview) this.small ??= this.preparePreview();
    else if (fresh || !this.drawing || (natural && !this.drawing.natural)) {
      this.drawing = this.prepareSynthesis(natural, this.drawing);
    }
  }

  // ---- the means -----------------------------------------------------------------------------------------------

  /** before: what was made at another quality, whose room is used again. */
  private prepareMeans(before?: Means): Means {
    const { hyper, z, context, context_blocks: blocks } = this.model.config, { deep } = this;
    const [scale, shift] = this.modulation('h_mu.quality', hyper);
    const four = (x: Float32Array): Float32Array => Float32Array.from({ length: 4 * hyper }, (_, i) => x[i % hyper]!);
    const unit = this.gain.map((g, c) => g * this.spread[c]!).subarray(0, deep);
    return {
      up1: this.product('h_mu.up1', 4 * hyper, z, { rows: four(scale), shift: four(shift), before: before?.up1 }),
      mean0: this.product('context.mean0', deep, context, { rows: unit, before: before?.mean0 }),
      mean1: this.product('context.mean1', deep, context, { rows: unit, before: before?.mean1 }),
      cap1: before?.cap1 ?? this.limit('h_mu.cap1', hyper, 4),
      up2: before?.up2 ?? this.product('h_mu.up2', 4 * hyper, hyper),
      cap2: before?.cap2 ?? this.limit('h_mu.cap2', hyper, 4),
      spatial: before?.spatial ?? this.spatial(context, hyper),
      cap3: before?.cap3 ?? this.limit('h_mu.cap3', context),
      fuse: before?.fuse ?? this.product('context.fuse', context, deep + context),
      blocks: before?.blocks ?? this.blocks('context.blocks', blocks, context),
    };
  }

  private spatial(outer: number, inner: number): Product {
    const weight = this.model.floats('h_mu.spatial.weight', [outer, inner, 3, 3]);
    const turned = new Float32Array(weight.length);
    for (let o = 0; o < outer; o++) {
      for (let c = 0; c < inner; c++) {
        for (let k = 0; k < 9; k++) turned[(o * 9 + k) * inner + c] = weight[(o * inner + c) * 9 + k]!;
      }
    }
    return this.engine.pack(turned, this.model.floats('h_mu.spatial.bias', [outer]), 9 * inner);
  }

  /**
   * h_mu and context: adds their means to symbols. y: (16 h w of the cells `seen`, stride(L)) at an address, the symbols
   * r, which become the latent in quantiser steps. z: as for `tables`.
   */
  latents(z: Int8Array, whole: Box, seen: Box, y: number): void {
    const e = this.engine, mark = e.mark(), m = this.means!, { hyper, context, z: zs } = this.model.config;
    const { deep } = this, ys = stride(this.latent);
    let [rows, columns] = [seen.rows, seen.columns];
    let x = e.alloc(4 * rows * columns * zs), xs = zs;
    gather(z, whole, seen, e.f32(x, rows * columns * zs), zs);
    for (const [layer, cap] of [[m.up1, m.cap1], [m.up2, m.cap2]] as const) {
      const wide = e.alloc(4 * rows * columns * layer.outer);
      e.multiply(layer, x, xs, rows * columns, wide, layer.outer, LEAKY | CAP, cap);
      x = e.alloc(16 * rows * columns * hyper);
      e.run.up(wide, 4 * layer.outer, rows, columns, 2, 4 * hyper, x, 4 * hyper);
      [rows, columns, xs] = [2 * rows, 2 * columns, hyper];
    }
    const positions = rows * columns, fs = stride(context), features = e.alloc(4 * positions * fs);
    const around = e.alloc(4 * columns * 9 * hyper);
    for (let i = 0; i < rows; i++) {
      e.run.neighbours(x, 4 * hyper, rows, columns, i, 0, columns, 4 * hyper, around);
      e.multiply(m.spatial, around, 9 * hyper, columns, features + 4 * i * columns * fs, fs, LEAKY | CAP, m.cap3);
    }
    const means = stride(deep), mean = e.alloc(4 * positions * means);
    e.multiply(m.mean0, features, fs, positions, mean, means);
    const both = stride(deep + context), input = e.alloc(4 * positions * both);
    e.run.phase0(y, ys, mean, means, rows, columns, deep, this.units, input, both);
    e.run.up(features, 4 * fs, rows, columns, 1, 4 * context, input + 4 * deep, 4 * both);
    const t = e.alloc(4 * positions * fs);
    e.multiply(m.fuse, input, both, positions, t, fs);
    this.blockRun(m.blocks, t, rows, columns);
    e.multiply(m.mean1, t, fs, positions, mean, means);
    e.run.phase1(y, ys, mean, means, rows, columns, deep);
    e.release(mark);
  }

  // ---- g_s and the preview -------------------------------------------------------------------------------------

  private prepareSynthesis(natural: boolean, before?: Synthesis): Synthesis {
    const { latent_blocks_s: latentBlocks } = this.model.config, { deep, latent, colours } = this;
    const spread = this.spread.map((s, c) => (c < deep ? s : 1));
    return {
      latentBlocks: before?.latentBlocks ?? this.blocks('g_s.latent_blocks', latentBlocks, deep),
      shortcut: before?.shortcut ?? this.product('g_s.shortcut', 256 * colours, latent, { columns: spread }),
      faithful: this.layers('g_s', before?.faithful),
      // Once made they follow every change of the quality, since their room would be lost.
      natural: natural || before?.natural ? this.naturalLayers(before?.natural) : undefined,
    };
  }

  private layers(name: 'g_s' | 'natural', before?: Layers): Layers {
    const { width, blocks_s: blocks } = this.model.config, { deep, colours } = this;
    const [scale, shift] = this.modulation(`${name}.quality`, width);
    const four = (x: Float32Array): Float32Array => Float32Array.from({ length: 4 * width }, (_, i) => x[i % width]!);
    return {
      embed: this.product('g_s.embed', 4 * width, deep, { rows: four(scale), shift: four(shift), before: before?.embed }),
      blocks: before?.blocks ?? this.blocks(`${name}.blocks`, blocks, width),
      head: before?.head ?? this.product(`${name}.head`, 64 * colours, width),
    };
  }

  private naturalLayers(before?: NaturalLayers): NaturalLayers {
    const { model, engine } = this, { width } = model.config, samples = 64 * this.colours;
    const waves = (): Product =>
      engine.pack(model.floats('natural.waves.weight', [samples, samples, 1, 1]), new Float32Array(samples), samples);
    return {
      ...this.layers('natural', before),
      grain: before?.grain ?? this.product('natural.grain', samples, width),
      waves: before?.waves ?? waves(),
    };
  }

  /**
   * g_s: the latent of some positions -> numbers of their pixels. y: the address of the first, in rows of `wide`. noise:
   * makes (4 rows * columns, channels) numbers for the layers that learnt from draws; null for the faithful ones.
   */
  synthesis(
    y: number, wide: number, rows: number, columns: number, noise: ((channels: number) => number) | null,
  ): Plane {
    const e = this.engine, d = this.drawing!, { width } = this.model.config, { deep, latent, colours } = this;
    const ys = stride(latent), vs = stride(deep), us = stride(latent), ws = stride(width), positions = rows * columns;
    const result = e.alloc(4 * 256 * positions * colours), mark = e.mark();
    const v = e.alloc(4 * positions * vs), u = e.alloc(4 * positions * us);
    for (let i = 0; i < rows; i++) {
      const from = y + 4 * i * wide * ys, at = i * columns;
      e.run.scaled(from, ys, columns, deep, this.units, v + 4 * at * vs, vs);
      e.run.scaled(from + 4 * deep, ys, columns, latent - deep, this.units + 4 * (latent + deep),
        u + 4 * (at * us + deep), us);
    }
    this.blockRun(d.latentBlocks, v, rows, columns);
    e.run.up(v, 4 * vs, rows, columns, 1, 4 * deep, u, 4 * us);
    const shortcut = e.mark(), wide16 = e.alloc(4 * positions * d.shortcut.outer);
    e.multiply(d.shortcut, u, us, positions, wide16, d.shortcut.outer);
    e.run.pixels(wide16, d.shortcut.outer, rows, columns, 16, colours, result, false);
    e.release(shortcut);
    const { embed, blocks, head } = noise ? d.natural! : d.faithful;
    const embedded = e.alloc(4 * positions * embed.outer), t = e.alloc(16 * positions * ws);
    e.multiply(embed, v, vs, positions, embedded, embed.outer);
    e.run.up(embedded, 4 * embed.outer, rows, columns, 2, 4 * width, t, 4 * ws);
    this.blockRun(blocks, t, 2 * rows, 2 * columns);
    const wide8 = e.alloc(16 * positions * head.outer);
    e.multiply(head, t, ws, 4 * positions, wide8, head.outer);
    // Noise is made here, where the blocks have left their memory.
    if (noise) this.addGrain(d.natural!, t, 4 * positions, noise(head.outer), wide8);
    e.run.pixels(wide8, head.outer, 2 * rows, 2 * columns, 8, colours, result, true);
    e.release(mark);
    return { at: result, rows: 16 * rows, columns: 16 * columns };
  }

  /** Adds waves of noise to what the head made of t, both (positions, channels of the head). */
  private addGrain({ grain, waves }: NaturalLayers, t: number, positions: number, noise: number, to: number): void {
    const e = this.engine, channels = grain.outer, count = positions * channels, strength = e.alloc(4 * count);
    e.multiply(grain, t, stride(this.model.config.width), positions, strength, channels);
    const product = e.f32(strength, count), by = e.f32(noise, count);
    for (let k = 0; k < count; k++) product[k]! *= by[k]!;
    e.multiply(waves, strength, channels, positions, to, channels, ADD);
  }

  private preparePreview(): Product {
    const { model, engine, colours, deep } = this;
    const weight = model.array('preview.weight', 'F32', [4 * colours, deep, 1, 1]);
    return engine.pack(weight, model.array('preview.bias', 'F32', [4 * colours]), deep);
  }

  /** The preview: numbers of pixels at an eighth of the size; arguments as for `synthesis`. */
  preview(y: number, wide: number, rows: number, columns: number): Plane {
    const e = this.engine, { deep, colours } = this, ys = stride(this.latent), vs = stride(deep), p = this.small!;
    const result = e.alloc(16 * rows * columns * colours), mark = e.mark();
    const v = e.alloc(4 * columns * vs), out = e.alloc(4 * columns * p.outer);
    for (let i = 0; i < rows; i++) {
      e.run.scaled(y + 4 * i * wide * ys, ys, columns, deep, this.units, v, vs);
      e.multiply(p, v, vs, columns, out, p.outer);
      e.run.pixels(out, p.outer, 1, columns, 2, colours, result + 16 * i * columns * colours, false);
    }
    e.release(mark);
    return { at: result, rows: 2 * rows, columns: 2 * columns };
  }

  // ---- layers --------------------------------------------------------------------------------------------------

  private mixed(anchors: Float32Array, width: number): Float32Array {
    const result = new Float32Array(width);
    this.hats.forEach((hat, k) => {
      if (hat) for (let c = 0; c < width; c++) result[c]! += hat * anchors[k * width + c]!;
    });
    return result;
  }

  /** What each channel is multiplied by, and what is added. */
  private modulation(name: string, width: number): [Float32Array, Float32Array] {
    const [scale, shift] = ['scale', 'shift'].map((part) =>
      this.mixed(this.model.floats(`${name}.${part}`, [ANCHORS, width]), width));
    return [scale!.map((s) => 1 + s), shift!];
  }

  private product(name: string, outer: number, inner: number, options: {
    rows?: Float32Array; columns?: Float32Array; shift?: Float32Array; halves?: boolean; before?: Product | undefined;
  } = {}): Product {
    const { rows, shift } = options;
    const weight = this.model.floats(`${name}.weight`, [outer, inner, 1, 1]);
    const bias = this.model.floats(`${name}.bias`, [outer]);
    if (rows) bias.forEach((b, o) => (bias[o] = b * rows[o]! + (shift ? shift[o]! : 0)));
    return this.engine.pack(weight, bias, inner, options);
  }

  /** The limits of channels; times: how often they are repeated, for a layer before `up`. */
  private limit(name: string, width: number, times = 1): number {
    const found = this.model.floats(`${name}.limit`, [width]);
    if (!found.every((limit) => limit > 0)) throw new BadModel(`the model has an impossible ${name}`);
    const all = Float32Array.from({ length: times * width }, (_, i) => found[i % width]!);
    return this.engine.put(all, stride(all.length));
  }

  private blocks(name: string, count: number, width: number): Block[] {
    return Array.from({ length: count }, (_, i) => this.block(`${name}.${i}`, width));
  }

  private block(name: string, width: number): Block {
    const { model, engine } = this, s = stride(width);
    const wide = model.shape(`${name}.expand.weight`)[0]!, half = wide / 2;
    if (wide % 2 || !wide) throw new BadModel(`the model has an impossible ${name}`);
    const kernel = model.floats(`${name}.depthwise.weight`, [width, 1, 3, 3]), turned = new Float32Array(9 * s);
    for (let c = 0; c < width; c++) for (let k = 0; k < 9; k++) turned[k * s + c] = kernel[9 * c + k]!;
    return {
      width, mixIn: this.product(`${name}.mix_in`, width, width), kernel: engine.put(turned),
      kernelBias: engine.put(model.floats(`${name}.depthwise.bias`, [width]), s),
      mixOut: this.product(`${name}.mix_out`, width, width), mixCap: this.limit(`${name}.mix_cap`, width),
      expand: this.product(`${name}.expand`, wide, width, { halves: true }),
      project: this.product(`${name}.project`, width, half), projectCap: this.limit(`${name}.project_cap`, width),
    };
  }

  /** Blocks, in place. x: (rows * columns, stride(width)). */
  private blockRun(blocks: Block[], x: number, rows: number, columns: number): void {
    const e = this.engine, positions = rows * columns;
    for (const b of blocks) {
      const mark = e.mark(), s = stride(b.width), hs = stride(b.expand.outer / 2), zero = e.alloc(4 * s);
      e.u8(zero, 4 * s).fill(0);
      const t = e.alloc(4 * positions * Math.max(s, hs)), u = e.alloc(4 * positions * s);
      e.multiply(b.mixIn, x, s, positions, t, s, LEAKY);
      e.run.depthwise(t, rows, columns, s, b.kernel, b.kernelBias, u, zero);
      e.multiply(b.mixOut, u, s, positions, x, s, CAP | ADD, b.mixCap);
      e.multiply(b.expand, x, s, positions, t, hs, HALVES);
      e.multiply(b.project, t, hs, positions, x, s, CAP | ADD, b.projectCap);
      e.release(mark);
    }
  }
}
