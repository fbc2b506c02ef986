/** Samples as programs give them: scaled, checked, and mixed down to one channel. */

import { failure, general, shown } from "./errors.js";
import { fixed } from "./numbers.js";

const MAX_CHANNELS = 64;
/** Louder than unscaled 32-bit integers by far, and as far from where the variance overflows float32. */
const MAX_PEAK = 1e12;
/** With more samples than this share at full scale the clip gets the warning that it is clipped. */
const CLIPPED_SHARE = 0.001;
/** Peaks beyond these get a warning: what is added to the variance makes very quiet clips quieter still to the model. */
const [LOUDEST_PEAK, QUIETEST_PEAK_DBFS] = [4, -50];
/** Channels cancel each other out if their mean has less of the power (20 dB) than that of unrelated channels has. */
const CANCELLED_SHARE = 0.01;

/** By the name of a type what a sample is multiplied by after an offset: integers are scaled by their full scale. */
const SCALES = new Map([
  ["Float32Array", null],
  ["Float64Array", null],
  ["Int8Array", { offset: 0, scale: 2 ** -7 }],
  ["Int16Array", { offset: 0, scale: 2 ** -15 }],
  ["Int32Array", { offset: 0, scale: 2 ** -31 }],
  ["Uint8Array", { offset: -(2 ** 7), scale: 2 ** -7 }],
  ["Uint16Array", { offset: -(2 ** 15), scale: 2 ** -15 }],
  ["Uint32Array", { offset: -(2 ** 31), scale: 2 ** -31 }],
]);

/** @typedef {Float32Array | Float64Array} Floats */
/** @typedef {[id: string, values?: object]} Warning a message of the table, and what is written into it */
/** @typedef {Floats | Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array} Samples */

/**
 * Channels of any type checked and mixed down, with warnings.
 * @param {string} name
 * @param {Samples[]} channels
 */
export function mixedFloats(name, channels) {
  return toMono(name, channels.map(toFloats));
}

/**
 * Samples of any type as floats; those that are floats already are given back as they are.
 * @param {Samples} samples
 * @returns {Floats}
 */
export function toFloats(samples) {
  const type = samples.constructor.name;
  if (!SCALES.has(type)) throw failure("audio_type", { type });
  const scaling = SCALES.get(type);
  return scaling === null ? samples : Float64Array.from(samples, (each) => (each + scaling.offset) * scaling.scale);
}

/** Mixes a recording down to one channel, block by block, and gathers what is odd about it. */
export class Mixdown {
  /** @param {string} name what messages call it */
  constructor(name) {
    this._name = name;
    this._frames = 0;
    this._peak = 0;
    this._clipped = false;
    this._alone = new Set(); // channels that were used alone
  }

  /**
   * The next block as one channel; where it has one, it is that channel itself.
   * @param {Floats[]} channels at least one, and a sample in each
   * @param {Iterable<Floats[]>} [following] the blocks after it, taken only to count what is not finite in them
   * @returns {Floats}
   */
  add(channels, following = []) {
    if (channels.length > MAX_CHANNELS) {
      throw failure("audio_channels", { name: this._name, channels: channels.length });
    }
    const peak = peakOf(channels);
    if (!Number.isFinite(peak)) throw notFinite(this._name, channels, this._frames, following);
    if (peak > MAX_PEAK) throw failure("audio_peak", { name: this._name, peak: general(peak, 3) });
    const { mono, alone } = mixDown(channels);
    if (alone >= 0) this._alone.add(alone);
    this._frames += mono.length;
    this._peak = Math.max(this._peak, peak);
    this._clipped ||= isClipped(channels, peak);
    return mono;
  }

  /** What is odd about the blocks so far. @returns {Warning[]} */
  get warnings() {
    const cancelled = Array.from(this._alone, (channel) => ["warning_channels_cancel", { channel }]);
    return [...cancelled, ...this._levelWarnings()];
  }

  /** @returns {Warning[]} */
  _levelWarnings() {
    if (this._peak > LOUDEST_PEAK) return [["warning_peak", { peak: general(this._peak, 3) }]];
    if (this._clipped) return [["warning_clipped"]];
    const peakDbfs = this._peak ? 20 * Math.log10(this._peak) : 0;
    return peakDbfs < QUIETEST_PEAK_DBFS ? [["warning_quiet", { peak: fixed(peakDbfs, 0) }]] : [];
  }
}

/**
 * Checked channels as one, and warnings.
 * @param {string} name
 * @param {Floats[]} channels at least one, and a sample in each
 * @returns {{ mono: Floats, warnings: Warning[] }}
 */
export function toMono(name, channels) {
  const mixdown = new Mixdown(name);
  const mono = mixdown.add(channels);
  return { mono, warnings: mixdown.warnings };
}

/** The largest magnitude; NaN or infinity where a sample is not finite. @param {Floats[]} channels */
function peakOf(channels) {
  let peak = 0;
  let sum = 0; // of zeros, or NaN as soon as a sample is not finite: a comparison would miss NaN
  for (const channel of channels) {
    for (let place = 0; place < channel.length; place += 1) {
      const sample = channel[place];
      sum += sample * 0;
      if (sample > peak) peak = sample;
      else if (-sample > peak) peak = -sample;
    }
  }
  return sum === 0 ? peak : NaN;
}

/**
 * @param {string} name
 * @param {Floats[]} channels
 * @param {number} before so many samples of each channel were before these
 * @param {Iterable<Floats[]>} following
 */
function notFinite(name, channels, before, following) {
  const first = channels.map((channel) => channel.findIndex((sample) => !Number.isFinite(sample)));
  const index = Math.min(...first.filter((place) => place >= 0));
  const channel = first.indexOf(index);
  let count = countNotFinite(channels);
  for (const block of following) count += countNotFinite(block);
  const value = shown(channels[channel][index]);
  return failure("audio_not_finite", { name, count, index: before + index, channel, value });
}

/** @param {Floats[]} channels */
function countNotFinite(channels) {
  return channels.reduce((sum, each) => sum + each.reduce((n, sample) => n + !Number.isFinite(sample), 0), 0);
}

/** The mean of the channels; or the loudest one, and its place, where they cancel each other out. */
function mixDown(channels) {
  if (channels.length === 1) return { mono: channels[0], alone: -1 };
  const mono = new Float64Array(channels[0].length);
  for (const channel of channels) {
    for (let place = 0; place < mono.length; place += 1) mono[place] += channel[place];
  }
  for (let place = 0; place < mono.length; place += 1) mono[place] /= channels.length;
  const powers = channels.map(variance);
  const total = powers.reduce((sum, power) => sum + power, 0);
  // Channels that have nothing in common add up in power: the variance of their mean is sum(powers) / channels^2.
  if (variance(mono) >= (CANCELLED_SHARE * total) / channels.length ** 2) return { mono, alone: -1 };
  const loudest = powers.indexOf(Math.max(...powers));
  return { mono: channels[loudest], alone: loudest };
}

/** @param {Floats} samples */
function variance(samples) {
  const mean = samples.reduce((sum, each) => sum + each, 0) / samples.length;
  return samples.reduce((sum, each) => sum + (each - mean) ** 2, 0) / samples.length;
}

/**
 * @param {Floats[]} channels
 * @param {number} peak
 */
function isClipped(channels, peak) {
  const fullScale = 0.999 * Math.max(peak, 1);
  if (peak < fullScale) return false;
  let count = 0;
  for (const channel of channels) {
    for (let place = 0; place < channel.length; place += 1) count += Math.abs(channel[place]) >= fullScale;
  }
  return count > CLIPPED_SHARE * channels.length * channels[0].length;
}
