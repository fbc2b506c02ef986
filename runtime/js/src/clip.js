/** Clips and recordings in, 16 kHz mono float32 out; what cannot be recognised reliably is refused in one line. */

import { failure } from "./errors.js";
import { SAMPLE_RATE_HZ } from "./geometry.js";
import { general, shown } from "./numbers.js";
import { Resampler, resampled } from "./resampler.js";
import { channelsOf, checkRate, toFloats, toMono } from "./samples.js";

/** Power of silence relative to the loudest frame, samples of a frame, and how much silence stays at each end. */
const SILENCE = 1e-4;
const SILENCE_HOP = 320;
const KEPT_SILENCE = 3_200;
/** Less silence than this is not worth to be left out. */
const WORTH = 1_600;
/** Samples per channel of a block of a long recording. */
const BLOCK_FRAMES = 1 << 18;
const NAME = "array";

/**
 * Samples at 16 kHz, mono, not normalised, with warnings about the recording. They begin `beginsS` after its beginning;
 * `durationS` is the length of the whole recording.
 * @typedef {{ samples: Float32Array, warnings: string[], beginsS: number, durationS: number }} Clip
 */
/** @typedef {import("./samples.js").Samples} Samples */

/** Sound that a program holds: as one clip, or block by block. */
export class Recording {
  /**
   * @param {Samples | Samples[]} samples of one channel, or an array of channels; integers are scaled by their type's
   *   full scale
   * @param {number} rateHz
   */
  constructor(samples, rateHz) {
    if (rateHz === undefined || rateHz === null) throw failure("audio_no_rate", { option: "rateHz" });
    if (typeof rateHz !== "number") throw failure("audio_rate_type", { option: "rateHz", rate: shown(rateHz) });
    this._channels = channelsOf(NAME, samples);
    checkRate(NAME, rateHz);
    this._rateHz = rateHz;
    this._length = this._channels[0].length;
    /** Remarks about a recording that was read block by block; complete once it is read. */
    this.warnings = [];
  }

  get durationS() {
    return this._length / this._rateHz;
  }

  /**
   * All of it: checked, mixed down and resampled.
   * @returns {Clip}
   */
  clip() {
    const channels = this._channels.map(toFloats);
    if (!this._length) throw failure("audio_empty", { name: NAME });
    const { mono, warnings } = toMono(NAME, channels);
    if (isConstant(mono)) {
      throw failure("audio_silent", { name: NAME, samples: mono.length, value: general(mono[0]) });
    }
    // A copy: the caller may use its memory again before the clip is recognised.
    const samples = this._rateHz === SAMPLE_RATE_HZ ? Float32Array.from(mono) : resampled(mono, this._rateHz);
    if (!samples.length) {
      throw failure("audio_too_short", { name: NAME, samples: mono.length, rate: shown(this._rateHz) });
    }
    return { samples, warnings, beginsS: 0, durationS: samples.length / SAMPLE_RATE_HZ };
  }

  /**
   * The same block by block, for recordings of any length.
   * @returns {Generator<Float32Array>}
   */
  *blocks() {
    const resampler = this._rateHz === SAMPLE_RATE_HZ ? null : new Resampler(this._rateHz);
    let silent = true;
    for (let start = 0; start < this._length; start += BLOCK_FRAMES) {
      const block = this._channels.map((channel) => toFloats(channel.subarray(start, start + BLOCK_FRAMES)));
      const { mono, warnings } = toMono(NAME, block);
      silent &&= isConstant(mono);
      this.warnings.push(...warnings.filter((warning) => !this.warnings.includes(warning)));
      yield resampler ? resampler.process(mono) : Float32Array.from(mono);
    }
    if (resampler) yield resampler.flush();
    if (!this._length) throw failure("audio_empty", { name: NAME });
    if (silent) throw failure("audio_silent_recording", { name: NAME });
  }
}

/** Whether all samples are the same. @param {ArrayLike<number>} samples */
function isConstant(samples) {
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
