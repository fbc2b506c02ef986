/** Clips and recordings in, 16 kHz mono float32 out; what cannot be recognised reliably is refused in one line. */

import { failure, general, shown } from "./errors.js";
import { MAX_RATE_HZ, MIN_RATE_HZ, NAME, SAMPLE_RATE_HZ, isConstant } from "./inputs.js";

/** Power of silence relative to the loudest frame, samples of a frame, and how much silence stays at each end. */
const SILENCE = 1e-4;
const SILENCE_HOP = 320;
const KEPT_SILENCE = 3_200;
/** Less silence than this is not worth to be left out. */
const WORTH = 1_600;
/** Samples below this are not clipped, and a clip with one from that on is not very quiet. */
const [FULL_SCALE, AUDIBLE] = [0.999, 10 ** -2.5];

/**
 * Samples at 16 kHz, mono, not normalised, with warnings about the recording. They begin `beginsS` after its beginning;
 * `durationS` is the length of the whole recording.
 * @typedef {{ samples: Float32Array, warnings: Warning[], beginsS: number, durationS: number }} Clip
 */
/** @typedef {import("./samples.js").Warning} Warning */
/** @typedef {import("./samples.js").Samples} Samples */

/**
 * Channels of a file: what messages call it, and whether it ends before its sound does.
 * @typedef {Samples[] & { name?: string, truncated?: boolean }} FileChannels
 */

/** Sound that a program holds. */
export class Recording {
  /**
   * @param {Samples | FileChannels} samples of one channel, or an array of channels; integers are scaled by their type's
   *   full scale
   * @param {number} rateHz
   */
  constructor(samples, rateHz) {
    this.channels = [samples].flat();
    this.name = samples?.name ?? NAME;
    this.truncated = samples?.truncated;
    this.rateHz = rateHz;
    this.length = this.channels[0]?.length;
  }

  get durationS() {
    return this.length / this.rateHz;
  }

  /** Whether these are samples in channels of one length, at a rate that sound has. */
  get isSound() {
    const { channels, rateHz, length } = this;
    const isRate = typeof rateHz === "number" && rateHz >= MIN_RATE_HZ && rateHz <= MAX_RATE_HZ;
    return isRate && length > 0 && channels.every((each) => ArrayBuffer.isView(each) && each.length === length);
  }

  /** Takes memory of its own: the caller may use its again before the sound is recognised. */
  copy() {
    this.channels = this.channels.map((channel) => channel.slice());
  }

  /** Says what is wrong where it is no sound, or no whole clip. */
  async refuse() {
    (await import("./sound_faults.js")).checkSound(this);
  }

  /**
   * All of it: checked, mixed down and resampled.
   * @returns {Promise<Clip>}
   */
  async clip() {
    const { channels, name, rateHz } = this;
    if (this.truncated) await this.refuse();
    const { mono, warnings } = isPlain(channels) ? { mono: channels[0], warnings: [] } : await mixed(this);
    if (isConstant(mono)) {
      throw failure("audio_silent", { name, value: general(mono[0]) });
    }
    const samples = rateHz === SAMPLE_RATE_HZ ? new Float32Array(mono) : await resampled(mono, this);
    return { samples, warnings, beginsS: 0, durationS: samples.length / SAMPLE_RATE_HZ };
  }
}

/**
 * One channel of samples that need no change and no warning: most clips. Samples are gone through by index: a function
 * that is called for each took a tenth of the time of a call.
 * @param {Samples[]} channels
 */
function isPlain([only, ...others]) {
  if (others.length || !(only instanceof Float32Array)) return false;
  let peak = 0;
  for (let place = 0; place < only.length; place += 1) {
    const size = Math.abs(only[place]);
    if (!(size < FULL_SCALE)) return false; // NaN, too
    if (size > peak) peak = size;
  }
  return peak >= AUDIBLE;
}

/** @param {Recording} recording */
async function mixed({ name, channels }) {
  const { mixedFloats } = await import("./samples.js");
  return mixedFloats(name, channels);
}

/** @param {import("./samples.js").Floats} mono @param {Recording} recording */
async function resampled(mono, { name, rateHz }) {
  const { resampledWhole } = await import("./resampler.js"); // most clips have the model's rate already
  const samples = resampledWhole(mono, rateHz);
  if (samples.length) return samples;
  throw failure("audio_too_short", { name, samples: mono.length, rate: shown(rateHz) });
}

/**
 * The clip without what is silent at both ends; the clip itself where that would save little.
 * @param {Clip} clip
 * @returns {Clip}
 */
export function withoutSilence(clip) {
  const { samples } = clip;
  const { first, end } = sounding(samples);
  if (samples.length - (end - first) < WORTH) return clip;
  return { ...clip, samples: samples.subarray(first, end), beginsS: clip.beginsS + first / SAMPLE_RATE_HZ };
}

/**
 * The first and the end of the samples that are not silence at the ends of a clip.
 *
 * Silence is what lies 40 dB below the loudest 20 ms; beside noise that is louder nothing is silent. A fifth of a
 * second of it is kept: models are trained on clips that do not begin with the first sound.
 * @param {Float32Array} samples at 16 kHz
 */
function sounding(samples) {
  const powers = new Float32Array(samples.length / SILENCE_HOP);
  for (let frame = 0; frame < powers.length; frame += 1) {
    let sum = 0;
    for (let place = frame * SILENCE_HOP; place < (frame + 1) * SILENCE_HOP; place += 1) sum += samples[place] ** 2;
    powers[frame] = sum;
  }
  const silence = Math.fround(powers.reduce((one, other) => Math.max(one, other), 0) * Math.fround(SILENCE));
  const loud = (power) => power > silence;
  const [first, last] = [powers.findIndex(loud), powers.findLastIndex(loud)];
  if (first < 0) return { first: 0, end: samples.length };
  return {
    first: Math.max(0, first * SILENCE_HOP - KEPT_SILENCE),
    end: Math.min(samples.length, (last + 1) * SILENCE_HOP + KEPT_SILENCE),
  };
}
