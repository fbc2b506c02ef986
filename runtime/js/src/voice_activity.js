/**
 * Voice activity from energy: how likely each frame of a recording holds speech, over a noise floor that adapts.
 *
 * The noise in each band is the minimum of its smoothed power over some seconds around the frame, found in sub-windows
 * (Martin, "Noise power spectral density estimation based on optimal smoothing and minimum statistics", IEEE
 * Transactions on Speech and Audio Processing 9, 2001).
 */

import { SAMPLE_RATE_HZ } from "./inputs.js";
import { BANDS, HOP, WINDOW, bandPowers, likelihoodDb } from "./streaming/band_powers.js";
import { joined } from "./joined.js";

/** Frames of a sub-window: five noise floors a second. */
const GROUP = 10;
/** The floor is the minimum over so many sub-windows before and after its own: over four seconds of speech every band
 * has a gap. */
const REACH = 10;
/** The floor is averaged over so many sub-windows before and after its own, so that it does not jump. */
const LEVELLED = 5;
/** Frames before and after a frame that its score depends on, at most. */
const CONTEXT = (REACH + LEVELLED + 1) * GROUP;
/** How far the mean of noise lies above the minimum of its smoothed power. */
const BIAS = 1.5;
/** What lies further below the loudest frame around it counts as noise: the floor of a recording whose pauses are
 * digital silence. */
const RANGE_DB = 37;
/** No floor is below the rounding of 16-bit samples. */
const LOWEST_POWER = Math.fround(1e-8);
/** Scores are computed for so many frames at once, 20 s. */
const STEP = (SAMPLE_RATE_HZ * 20) / HOP;

/**
 * Scores each frame of a recording, block by block; the scores do not depend on how long the blocks are.
 *
 * Score `i` is that of the samples from `i * hop`. Speech begins with a score above `startsAbove`, and ends with one
 * below `endsBelow`.
 */
export class EnergyDetector {
  hop = HOP;
  startsAbove = 5;
  endsBelow = 0;

  constructor() {
    this._start();
  }

  _start() {
    this._samples = new Float32Array(0);
    /** @type {Float32Array[]} */
    this._powers = [];
    this._known = 0; // scored frames at the head of the powers, which serve as context
  }

  /**
   * The next scores, after more of the recording, at 16 kHz; a score comes up to a step later.
   * @param {Float32Array} samples
   */
  feed(samples) {
    this._samples = joined([this._samples, samples]);
    let start = 0;
    for (; start + WINDOW <= this._samples.length; start += HOP) this._powers.push(bandPowers(this._samples, start));
    this._samples = this._samples.slice(start);
    const ready = Math.floor((this._powers.length - this._known - CONTEXT) / STEP) * STEP;
    return ready > 0 ? this._take(this._known + ready) : [];
  }

  /** The scores that are left at the end of the recording; the next recording may follow. */
  finish() {
    if (!this._powers.length && this._samples.length) {
      const padded = new Float32Array(Math.max(WINDOW, this._samples.length));
      padded.set(this._samples);
      this._powers = [bandPowers(padded, 0)];
    }
    const scores = this._take(this._powers.length);
    this._start();
    return scores;
  }

  /** The scores of the frames up to `end`; powers that no later score needs are dropped. @param {number} end */
  _take(end) {
    const scores = speechScoresDb(this._powers).slice(this._known, end);
    const unneeded = Math.floor(Math.max(0, end - CONTEXT) / GROUP) * GROUP;
    this._powers = this._powers.slice(unneeded);
    this._known = end - unneeded;
    return scores;
  }
}

/**
 * The likelihood ratio of speech against noise of each frame in dB.
 * @param {Float32Array[]} powers `[frames][bands]`
 */
function speechScoresDb(powers) {
  if (!powers.length) return [];
  const smoothed = meanAround(powers, 1);
  const floor = noiseFloor(smoothed);
  return smoothed.map((row, frame) => {
    const noise = floor[Math.floor(frame / GROUP)];
    return likelihoodDb(row.map((power, band) => Math.max(power / noise[band], 1)));
  });
}

/** The noise in each sub-window: `[frames][bands]` to `[sub-windows][bands]`. @param {Float32Array[]} powers */
function noiseFloor(powers) {
  const groups = [];
  for (let start = 0; start < powers.length; start += GROUP) groups.push(powers.slice(start, start + GROUP));
  const quietest = groups.map((rows) => columnwise(rows, Math.min));
  const loudest = groups.map((rows) => Math.max(...rows.map((row) => Math.fround(mean(row)))));
  const range = Math.fround(10 ** (-RANGE_DB / 10));
  const floors = groups.map((_, group) => {
    const [first, end] = [Math.max(0, group - REACH), group + REACH + 1];
    const heard = Math.fround(range * Math.max(...loudest.slice(first, end)));
    const noise = columnwise(quietest.slice(first, end), Math.min);
    return noise.map((power) => Math.max(Math.fround(BIAS * power), heard, LOWEST_POWER));
  });
  return meanAround(floors, LEVELLED);
}

/** One value for each column. @param {Float32Array[]} rows @param {(...values: number[]) => number} combine */
function columnwise(rows, combine) {
  return Float32Array.from({ length: BANDS }, (_, band) => combine(...rows.map((row) => row[band])));
}

/** @param {ArrayLike<number>} values */
function mean(values) {
  return Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * The mean of each row and of so many rows before and after it, the outermost ones repeated.
 * @param {Float32Array[]} rows
 * @param {number} reach
 */
function meanAround(rows, reach) {
  const last = rows.length - 1;
  return rows.map((_, place) => {
    const sums = new Float64Array(BANDS);
    for (let at = place - reach; at <= place + reach; at += 1) {
      const row = rows[Math.min(last, Math.max(0, at))];
      for (let band = 0; band < BANDS; band += 1) sums[band] += row[band];
    }
    return Float32Array.from(sums, (sum) => sum / (2 * reach + 1));
  });
}
