/** Two-pass streams: cached ones whose utterances are recognised once more, as a whole, when they have ended. */

import { SoundBuffer } from "./sound_buffer.js";

/** @typedef {import("./cached.js").CachedUtterance} CachedUtterance */
/** @typedef {import("./windowed.js").Outputs} Outputs */

/**
 * One utterance, recognised chunk by chunk while it lasts, and as a whole when it has ended; see `Utterance`.
 *
 * Zhang et al., "Unified Streaming and Non-streaming Two-pass End-to-end Model", arXiv:2012.05481: one checkpoint
 * hears chunks and whole clips, and what comes later in an utterance tells what was said at its beginning.
 */
export class TwoPassUtterance {
  /**
   * @param {CachedUtterance} first hears chunks
   * @param {(samples: Float32Array) => Promise<Outputs>} second each head's output for the whole utterance
   */
  constructor(first, second) {
    this.settledS = Infinity; // no word is sure before the second pass
    this.decides = true;
    this._first = first;
    this._second = second;
    this._sound = new SoundBuffer();
    this._begins = first.start; // where the sound does
    /** @type {Outputs | null} */
    this._final = null;
    this._end = first.start;
  }

  get start() {
    return this._first.start;
  }

  get taken() {
    return this._first.taken;
  }

  get heard() {
    return this._final ? this._end : this._first.heard;
  }

  get outputs() {
    return this._final ?? this._first.outputs;
  }

  /** @param {Float32Array} samples */
  async feed(samples) {
    const begun = this.taken;
    const isNew = await this._first.feed(samples);
    this._sound.append(samples.subarray(0, this.taken - begun));
    return isNew;
  }

  /** @param {number} end */
  async finish(end) {
    this._end = Math.max(this.start + 1, Math.min(end, this.taken));
    this._final = await this._whole(this._end);
  }

  /** @param {number} position */
  async cut(position) {
    await this._first.cut(position);
    this._sound.drop(Math.max(0, this.start - this._begins));
    this._begins = this.start;
  }

  /** @param {number} position */
  async settle(position) {
    return this._whole(position);
  }

  decideBy() {} // every chunk decides

  /** @param {number} end */
  _whole(end) {
    return this._second(this._sound.view(0, end - this._begins).slice());
  }
}
