/**
 * Resampling to 16 kHz by a windowed sinc (Smith and Gossett, "A flexible sampling-rate conversion method", ICASSP
 * 1984).
 *
 * The filter is as wide as that of soxr's quality HQ, which the Python package uses: it keeps 0.913 of the band that
 * both rates have, and 120 dB below lies what is outside the band.
 */

import { SAMPLE_RATE_HZ } from "./inputs.js";
import { joined } from "./joined.js";

const PASSBAND = 0.913;
/** Zero crossings on each side, in samples of the lower rate: Kaiser's formula for 120 dB and this transition band. */
const HALF_WIDTH = 90;
/** Shape of Kaiser's window for 120 dB. */
const BETA = 12.26;
/** Positions between two samples that have filters of their own; between them they are interpolated, within -120 dB. */
const PHASES = 1_024;

/** Resamples one channel, block by block; the samples do not depend on how long the blocks are. */
export class Resampler {
  /** @param {number} rateHz of what comes in */
  constructor(rateHz) {
    this._rateHz = rateHz;
    const divisor = greatestDivisor(rateHz, SAMPLE_RATE_HZ);
    // Sample n of the output lies at n * step / parts samples of the input.
    this._step = rateHz / divisor;
    this._parts = SAMPLE_RATE_HZ / divisor;
    const stretch = Math.max(1, rateHz / SAMPLE_RATE_HZ);
    this._half = Math.ceil(HALF_WIDTH * stretch);
    this._phases = Math.min(this._parts, Math.ceil(PHASES / stretch));
    this._filters = filters(this._half, this._phases, stretch);
    this._start();
  }

  _start() {
    this._waiting = new Float64Array(this._half - 1); // silence before the first sample
    this._first = 1 - this._half; // place in the input of the first that waits
    this._given = 0;
    this._taken = 0;
  }

  /**
   * The samples that are complete after more of the input.
   * @param {ArrayLike<number>} samples
   * @returns {Float32Array}
   */
  process(samples) {
    this._taken += samples.length;
    const input = new Float64Array(this._waiting.length + samples.length);
    input.set(this._waiting);
    input.set(samples, this._waiting.length);
    // The filter of an output sample reaches so far behind it.
    const complete = Math.floor(((this._taken - this._half - 1) * this._parts) / this._step) + 1;
    const found = this._between(this._given, Math.max(this._given, complete), input);
    this._given += found.length;
    const needed = Math.floor((this._given * this._step) / this._parts) - this._half + 1;
    const unneeded = Math.min(Math.max(0, needed - this._first), input.length);
    this._waiting = input.slice(unneeded);
    this._first += unneeded;
    return found;
  }

  /**
   * The last samples, as if silence followed; a new input may follow.
   * @returns {Float32Array}
   */
  flush() {
    const end = Math.floor((this._taken * SAMPLE_RATE_HZ) / this._rateHz + 0.5);
    const silence = new Float64Array(this._waiting.length + 2 * this._half + Math.ceil(this._step / this._parts));
    silence.set(this._waiting);
    const found = this._between(this._given, Math.max(this._given, end), silence);
    this._start();
    return found;
  }

  /**
   * Output samples by their number.
   * @param {number} begin
   * @param {number} end
   * @param {Float64Array} input from the place `_first` on
   */
  _between(begin, end, input) {
    const taps = 2 * this._half;
    const found = new Float32Array(end - begin);
    for (let n = begin; n < end; n += 1) {
      const whole = Math.floor((n * this._step) / this._parts);
      const phase = ((n * this._step - whole * this._parts) / this._parts) * this._phases;
      const below = Math.floor(phase + 1e-9);
      const from = whole - this._half + 1 - this._first;
      const value = product(input, from, this._filters, below * taps, taps);
      const above = phase - below;
      found[n - begin] =
        above < 1e-9 ? value : value + above * (product(input, from, this._filters, (below + 1) * taps, taps) - value);
    }
    return found;
  }
}

/**
 * Samples of one channel at 16 kHz, all at once.
 * @param {ArrayLike<number>} samples
 * @param {number} rateHz
 */
export function resampledWhole(samples, rateHz) {
  const resampler = new Resampler(rateHz);
  return joined([resampler.process(samples), resampler.flush()]);
}

function product(input, from, filter, at, taps) {
  let sum = 0;
  for (let tap = 0; tap < taps; tap += 1) sum += input[from + tap] * filter[at + tap];
  return sum;
}

/**
 * The filter of each phase, and of the next whole sample: `[phases + 1, 2 * half]`.
 * @param {number} half taps on each side
 * @param {number} phases
 * @param {number} stretch samples of the input in one of the lower rate
 */
function filters(half, phases, stretch) {
  const taps = 2 * half;
  const cutoff = (1 + PASSBAND) / 2;
  const largest = bessel(BETA);
  const table = new Float64Array((phases + 1) * taps);
  for (let phase = 0; phase <= phases; phase += 1) {
    for (let tap = 0; tap < taps; tap += 1) {
      const at = (tap - half + 1 - phase / phases) / stretch;
      const edge = 1 - (at / HALF_WIDTH) ** 2;
      const window = edge > 0 ? bessel(BETA * Math.sqrt(edge)) / largest : 0;
      table[phase * taps + tap] = ((cutoff * sinc(cutoff * at)) / stretch) * window;
    }
  }
  return table;
}

function sinc(at) {
  return at === 0 ? 1 : Math.sin(Math.PI * at) / (Math.PI * at);
}

/** The modified Bessel function of the first kind and order 0, by its series. */
function bessel(at) {
  let sum = 1;
  for (let term = 1, k = 1; term > 1e-12 * sum; k += 1) {
    term *= (at / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** The greatest common divisor of two rates; 1 where one is no integer. */
function greatestDivisor(a, b) {
  if (!Number.isInteger(a)) return 1;
  return b === 0 ? a : greatestDivisor(b, a % b);
}
