/** Samples as programs give them: scaled, checked, and mixed down to one channel. */

import { failure, general, shown } from "./errors.js";

const MAX_CHANNELS = 64;
/** Louder than unscaled 32-bit integers by far, and as far from where the variance overflows float32. */
const MAX_PEAK = 1e12;
/** With more samples than this share at full scale the clip gets the warning that it is clipped. */
const CLIPPED_SHARE = 0.001;
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
  const floats = channels.map(toFloats);
  if (!floats[0].length) throw failure("audio_empty", { name });
  return toMono(name, floats);
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

/**
 * Checked channels as one, and warnings.
 * @param {string} name
 * @param {Floats[]} channels at least one, and a sample in each
 * @returns {{ mono: Floats, warnings: Warning[] }} where there is one channel, `mono` is that channel itself
 */
export function toMono(name, channels) {
  if (channels.length > MAX_CHANNELS) throw failure("audio_channels", { name, channels: channels.length });
  const peak = peakOf(channels);
  if (!Number.isFinite(peak)) throw notFinite(name, channels);
  if (peak > MAX_PEAK) throw failure("audio_peak", { name, peak: general(peak, 3) });
  const { mono, warnings } = mixDown(channels);
  return { mono, warnings: [...warnings, ...levelWarnings(channels, peak)] };
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
 */
function notFinite(name, channels) {
  const first = channels.map((channel) => channel.findIndex((sample) => !Number.isFinite(sample)));
  const index = Math.min(...first.filter((place) => place >= 0));
  const channel = first.indexOf(index);
  const count = channels.reduce((sum, each) => sum + each.reduce((n, sample) => n + !Number.isFinite(sample), 0), 0);
  return failure("audio_not_finite", { name, count, index, channel, value: shown(channels[channel][index]) });
}

/** The mean of the channels, or the loudest one where they cancel each other out; with a warning if so. */
function mixDown(channels) {
  if (channels.length === 1) return { mono: channels[0], warnings: [] };
  const mono = new Float64Array(channels[0].length);
  for (const channel of channels) {
    for (let place = 0; place < mono.length; place += 1) mono[place] += channel[place];
  }
  for (let place = 0; place < mono.length; place += 1) mono[place] /= channels.length;
  const powers = channels.map(variance);
  const total = powers.reduce((sum, power) => sum + power, 0);
  // Channels that have nothing in common add up in power: the variance of their mean is sum(powers) / channels^2.
  if (variance(mono) >= (CANCELLED_SHARE * total) / channels.length ** 2) return { mono, warnings: [] };
  const loudest = powers.indexOf(Math.max(...powers));
  return { mono: channels[loudest], warnings: [["warning_channels_cancel", { channel: loudest }]] };
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
function levelWarnings(channels, peak) {
  if (peak > 4) return [["warning_peak", { peak: general(peak, 3) }]];
  const fullScale = 0.999 * Math.max(peak, 1);
  if (peak < fullScale) return [];
  let count = 0;
  for (const channel of channels) {
    for (let place = 0; place < channel.length; place += 1) count += Math.abs(channel[place]) >= fullScale;
  }
  return count > CLIPPED_SHARE * channels.length * channels[0].length ? [["warning_clipped"]] : [];
}
