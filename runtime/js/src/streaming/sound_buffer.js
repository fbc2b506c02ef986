/** Samples of a stream: how many make a second, and a buffer that grows at its end and is cut at its beginning. */

import { SAMPLE_RATE_HZ } from "../inputs.js";
import { roundHalfEven } from "../numbers.js";

/**
 * Samples at 16 kHz in seconds.
 * @param {number} samples
 */
export function seconds(samples) {
  return samples / SAMPLE_RATE_HZ;
}

/**
 * Seconds in whole samples at 16 kHz; half a sample goes to the even one, as everywhere in wav2edge.
 * @param {number} durationS
 */
export function samplesIn(durationS) {
  return roundHalfEven(durationS * SAMPLE_RATE_HZ);
}

/** Sound in one array that has room to grow: appending copies what is new, and seldom anything else. */
export class SoundBuffer {
  constructor() {
    this._samples = new Float32Array(4_096);
    this.length = 0;
  }

  /** @param {Float32Array} samples */
  append(samples) {
    const length = this.length + samples.length;
    if (length > this._samples.length) {
      const larger = new Float32Array(Math.max(length, 2 * this._samples.length));
      larger.set(this._samples.subarray(0, this.length));
      this._samples = larger;
    }
    this._samples.set(samples, this.length);
    this.length = length;
  }

  /**
   * A view, which holds until the buffer changes.
   * @param {number} start
   * @param {number} end
   */
  view(start, end) {
    return this._samples.subarray(Math.min(start, this.length), Math.min(end, this.length));
  }

  /**
   * Leave out so many samples at the beginning.
   * @param {number} samples
   */
  drop(samples) {
    this._samples.copyWithin(0, Math.min(samples, this.length), this.length);
    this.length = Math.max(0, this.length - samples);
  }
}
