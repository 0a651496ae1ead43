// A model -> the frequency tables of y and z, checked.
// Between `modelfile` and `bitstream/entropy`.

import { Tables } from '../bitstream/entropy.js';
import type { HyperTables } from '../bitstream/hyper.js';
import { BadModel } from '../errors.js';
import type { Engine } from './engine.js';
import type { Model } from './modelfile.js';

const ANCHORS = 11, MAX_SYMBOL = 2 ** 15 - 1, MAX_HYPER = 63, MAX_BOUNDS = 31;

/** The tables of y, one for each scale. */
export function yTables(engine: Engine, model: Model): Tables {
  return tables(engine, model, 'y', MAX_SYMBOL, true);
}

/** The tables of z with the bounds of their sets. */
export function zTables(engine: Engine, model: Model): HyperTables {
  const found = tables(engine, model, 'z', MAX_HYPER, false), channels = model.config.z;
  const bounds = model.array('tables.z.bounds', 'I16', [ANCHORS * channels, -1]);
  const each = bounds.length / (ANCHORS * channels);
  if (each < 1 || each > MAX_BOUNDS || found.count !== (each + 2) * ANCHORS * channels) {
    throw new BadModel('the model has tables for another z than its own');
  }
  return { tables: found, bounds, each, channels };
}

function tables(engine: Engine, model: Model, name: string, largest: number, escapes: boolean): Tables {
  const frequencies = model.array(`tables.${name}.frequencies`, 'U16', [-1]);
  const start = model.array(`tables.${name}.start`, 'I32', [-1]), low = model.array(`tables.${name}.low`, 'I16', [-1]);
  const count = low.length;
  let fine = count > 0 && count < 65536 && start.length === count + 1 && start[0] === 0 && start[count] === frequencies.length;
  for (let t = 0; fine && t < count; t++) {
    const n = start[t + 1]! - start[t]!;
    let sum = 0, least = 65536;
    for (let i = start[t]!; i < start[t + 1]!; i++) {
      sum += frequencies[i]!;
      least = Math.min(least, frequencies[i]!);
    }
    const high = low[t]! + n - (escapes ? 2 : 1);
    fine = n === 1 ? sum === 0 && low[t] === 0 : n > 1 && sum === 65536 && least > 0 && low[t]! >= -largest && high <= largest;
  }
  if (!fine) throw new BadModel(`the model has impossible frequency tables of ${name}`);
  return new Tables(engine, frequencies, start, low, escapes);
}
