/** Clips and recordings in, 16 kHz mono float32 out; what cannot be recognised reliably is refused in one line. */

import { failure, general, shown } from "./errors.js";
import { SAMPLE_RATE_HZ } from "./geometry.js";
import { channelsOf, checkRate, toFloats, toMono } from "./samples.js";

/** Power of silence relative to the loudest frame, samples of a frame, and how much silence stays at each end. */
const SILENCE = 1e-4;
const SILENCE_HOP = 320;
const KEPT_SILENCE = 3_200;
/** Less silence than this is not worth to be left out. */
const WORTH = 1_600;
/** What messages call samples. */
export const NAME = "array";

/**
 * Samples at 16 kHz, mono, not normalised, with warnings about the recording. They begin `beginsS` after its beginning;
 * `durationS` is the length of the whole recording.
 * @typedef {{ samples: Float32Array, warnings: Warning[], beginsS: number, durationS: number }} Clip
 */
/** @typedef {import("./samples.js").Warning} Warning */
/** @typedef {import("./samples.js").Samples} Samples */

/** Sound that a program holds. */
export class Recording {
  /**
   * @param {Samples | Samples[]} samples of one channel, or an array of channels; integers are scaled by their type's
   *   full scale
   * @param {number} rateHz
   */
  constructor(samples, rateHz) {
    if (rateHz === undefined || rateHz === null) throw failure("audio_no_rate", { option: "rateHz" });
    if (typeof rateHz !== "number") throw failure("audio_rate_type", { option: "rateHz", rate: shown(rateHz) });
    this.channels = channelsOf(NAME, samples);
    checkRate(NAME, rateHz);
    this.rateHz = rateHz;
    this.length = this.channels[0].length;
  }

  get durationS() {
    return this.length / this.rateHz;
  }

  /**
   * All of it: checked, mixed down and resampled.
   * @returns {Promise<Clip>}
   */
  async clip() {
    const channels = this.channels.map(toFloats);
    if (!this.length) throw failure("audio_empty", { name: NAME });
    const { mono, warnings } = toMono(NAME, channels);
    if (isConstant(mono)) {
      throw failure("audio_silent", { name: NAME, samples: mono.length, value: general(mono[0]) });
    }
    // A copy: the caller may use its memory again before the clip is recognised.
    const samples =
      this.rateHz === SAMPLE_RATE_HZ ? Float32Array.from(mono) : await resampled(mono.slice(), this.rateHz);
    if (!samples.length) {
      throw failure("audio_too_short", { name: NAME, samples: mono.length, rate: shown(this.rateHz) });
    }
    return { samples, warnings, beginsS: 0, durationS: samples.length / SAMPLE_RATE_HZ };
  }
}

/** @param {import("./samples.js").Floats} samples @param {number} rateHz */
async function resampled(samples, rateHz) {
  const { resampledWhole } = await import("./resampler.js"); // most clips have the model's rate already
  return resampledWhole(samples, rateHz);
}

/** Whether all samples are the same. @param {ArrayLike<number>} samples */
export function isConstant(samples) {
  const first = Math.fround(samples[0]);
  for (let place = 1; place < samples.length; place += 1) if (Math.fround(samples[place]) !== first) return false;
  return true;
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
  const powers = new Float32Array(Math.floor(samples.length / SILENCE_HOP));
  for (let frame = 0; frame < powers.length; frame += 1) {
    let power = 0;
    const end = (frame + 1) * SILENCE_HOP;
    for (let place = frame * SILENCE_HOP; place < end; place += 1) power += samples[place] * samples[place];
    powers[frame] = power;
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
