/** Sound of the microphone as it comes, which can be drawn and played. */

import { Pyramid } from "./pyramid.js";

/** The latest minutes are kept to be played. */
const KEPT_S = 180;

export class RecordedSound {
  #blocks = [];
  #kept = 0;
  #total = 0;

  constructor(rateHz) {
    this.rateHz = rateHz;
    this.pyramid = new Pyramid();
  }

  get durationS() {
    return this.#total / this.rateHz;
  }

  /** Where that begins which can still be played. */
  get firstS() {
    return (this.#total - this.#kept) / this.rateHz;
  }

  append(block) {
    this.#blocks.push(block);
    this.#total += block.length;
    this.#kept += block.length;
    this.pyramid.append(block);
    while (this.#kept > KEPT_S * this.rateHz) this.#kept -= this.#blocks.shift().length;
  }

  stretch(context, startS, endS) {
    const before = this.#total - this.#kept;
    const first = Math.round(startS * this.rateHz) - before;
    const length = Math.min(this.#kept, Math.round(endS * this.rateHz) - before) - first;
    if (first < 0 || length < 1) return null;
    const buffer = context.createBuffer(1, length, this.rateHz);
    let at = -first;
    for (const block of this.#blocks) {
      const skipped = Math.max(0, -at);
      if (skipped < block.length && at < length) {
        buffer.copyToChannel(block.subarray(skipped, Math.min(block.length, length - at)), 0, at + skipped);
      }
      at += block.length;
    }
    return { buffer, offsetS: 0 };
  }
}
