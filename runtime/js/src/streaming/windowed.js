/** Windowed streams, for every bundle: an utterance is recognised again and again while it grows. */

import { SoundBuffer, samplesIn } from "./sound_buffer.js";

/** @typedef {import("../ctc.js").Outputs} Outputs */

/**
 * Sound from one sample of a stream on, and the outputs of the model for it so far.
 * @typedef {object} Utterance
 * @property {number} settledS what the model says of a word hardly changes after so much more sound
 * @property {boolean} decides whether there are outputs at this sample whatever the load of the machine: only such
 *   decide where an utterance ends, and which of its words are stable
 * @property {number} start sample of the stream at which it begins
 * @property {number} taken the sample of the stream after the last that was given
 * @property {number} heard the sample of the stream up to which the outputs reach
 * @property {Outputs} outputs each head's output for the sound from `start` to `heard`
 * @property {(samples: Float32Array) => Promise<boolean>} feed take more sound, up to where there are new outputs;
 *   whether there are, and `taken` says how much was taken: at least one sample
 * @property {(end: number) => Promise<void>} finish recognise what is left of it, up to a sample of the stream
 * @property {(position: number) => Promise<void>} cut leave out what was before a sample of the stream; it begins there
 * @property {(position: number) => Promise<Outputs | null>} settle the final outputs for what was before a sample of
 *   the stream; null: those there are, are final
 * @property {(lengthS: number) => void} decideBy there is something to decide once it is so long: have outputs for it
 */

/**
 * One utterance, recognised anew after every step of sound; see `Utterance`.
 *
 * Where recognising takes longer than half a step, steps are left out: a live stream must not fall behind. Those that
 * decide are not, or what is final would depend on the load of the machine. They lie further apart the longer the
 * utterance is, so that only a machine that needs a sixteenth of its length to recognise it has them later.
 */
export class WindowedUtterance {
  /**
   * @param {(samples: Float32Array) => Promise<Outputs>} outputs each head's output for samples
   * @param {{ start: number, step: number, nowS: () => number }} options the sample of the stream at which it begins,
   *   samples from one answer to the next, and the clock that tells how long an answer took
   */
  constructor(outputs, { start, step, nowS }) {
    this.settledS = 0.8;
    this.decides = false;
    this.start = start;
    /** @type {Outputs} */
    this.outputs = {};
    this._run = outputs;
    this._step = step;
    this._nowS = nowS;
    this._sound = new SoundBuffer();
    this._heard = 0;
    this._next = step;
    this._settled = samplesIn(this.settledS);
    this._due = this._later(this._settled); // the next answer that decides
  }

  get taken() {
    return this.start + this._sound.length;
  }

  get heard() {
    return this.start + this._heard;
  }

  /** @param {Float32Array} samples */
  async feed(samples) {
    this._sound.append(samples.subarray(0, this._next - this._sound.length));
    if (this._sound.length < this._next) return false;
    await this._recognise(this._next);
    return true;
  }

  /** @param {number} end */
  async finish(end) {
    if (end === this.heard && this._heard > 0) return;
    await this._recognise(Math.max(1, Math.min(end, this.taken) - this.start));
  }

  /** @param {number} position */
  async cut(position) {
    this._sound.drop(position - this.start);
    this.start = position;
    this._due = this._sound.length;
    await this._recognise(this._sound.length);
  }

  async settle() {
    return null;
  }

  /** @param {number} lengthS */
  decideBy(lengthS) {
    const samples = Math.min(samplesIn(lengthS), this._due);
    this._due = this._later(samples - this._heard);
    this._next = Math.min(this._next, this._due);
  }

  /** The end of the first step that is so many samples or more after the latest answer. @param {number} samples */
  _later(samples) {
    return this._heard + this._step * Math.max(1, Math.ceil(samples / this._step));
  }

  /** @param {number} samples */
  async _recognise(samples) {
    const begunS = this._nowS();
    this.outputs = await this._run(this._sound.view(0, samples).slice());
    const spent = samplesIn(this._nowS() - begunS);
    this._heard = samples;
    this.decides = samples === this._due;
    const soonest = this._later(2 * spent);
    if (this.decides) this._due = Math.max(soonest, this._later(Math.floor(Math.max(samples, this._settled) / 8)));
    this._next = Math.min(this._due, soonest);
  }
}
