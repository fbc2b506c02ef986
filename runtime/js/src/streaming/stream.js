/** A stream: sound in, block by block; partial and final answers out. */

import { failure, inWords, shown } from "../errors.js";
import { Endpointer, liveDetector } from "./endpoints.js";
import { Final, Partial } from "./events.js";
import { LiveSound } from "./live_sound.js";
import { SoundBuffer, samplesIn, seconds } from "./sound_buffer.js";
import { StableWords, withWords } from "./stable_words.js";

/** Of sound in which nothing was recognised yet, so much is kept: the rest is noise that was taken for speech. */
const IDLE_S = 2;
const KEPT_IDLE_S = 1;

/** @typedef {import("./events.js").Event} Event */
/** @typedef {import("./windowed.js").Utterance} Utterance */
/** @typedef {import("../result.js").Result} Result */
/** @typedef {import("../result.js").Word} Word */

/**
 * Recognises one source of sound while it is fed. Make one with `engine.stream`.
 *
 * Calls need not be waited for: each block is copied at once, and recognised after those before it.
 */
export class Stream {
  /**
   * @param {object} recognizer reads outputs, and judges results
   * @param {(start: number, onset: Float32Array) => Utterance} begin makes an utterance that begins at a sample of the
   *   stream, with the sound of it that is known by now
   * @param {object} options
   * @param {number} options.rateHz sample rate of the source
   * @param {import("./endpoints.js").Endpointing} options.endpointing where utterances begin and end
   * @param {() => number} options.nowS the clock that latencies are measured with
   */
  constructor(recognizer, begin, { rateHz, endpointing, nowS }) {
    this._recognizer = recognizer;
    this._beginUtterance = begin;
    this._options = endpointing;
    this._nowS = nowS;
    this._padding = samplesIn(endpointing.paddingS ?? 0);
    this._source = new LiveSound(rateHz);
    this._endpointer = new Endpointer(endpointing, liveDetector(endpointing.vad));
    this._sound = new SoundBuffer();
    this._soundStart = 0;
    this._freeFrom = 0; // where the last utterance ended
    /** @type {Utterance | null} */
    this._utterance = null;
    this._stable = new StableWords(0);
    this._said = "";
    this._isFinished = false;
    this._arrivedS = 0;
    /** @type {Promise<unknown>} */
    this._before = Promise.resolve(); // the call that must be done first
    /** Seconds that it took to recognise everything so far. */
    this.computeS = 0;
  }

  /** Seconds of sound since the stream began, lost sound included. */
  get clockS() {
    return seconds(this._clock);
  }

  /** Whether an utterance is open. */
  get speaking() {
    return this._utterance !== null;
  }

  /** Root mean square of the latest block, in dB relative to full scale. */
  get levelDbfs() {
    return this._source.levelDbfs;
  }

  /**
   * Take a block of any length, and say what is new.
   * @param {import("./live_sound.js").Block} pcm samples: floats in [-1, 1], integers, an array for each channel, or
   *   bytes (`ArrayBuffer`, `Uint8Array`, `Buffer`): 16-bit integers, least significant byte first
   * @param {number | null} [rateHz] sample rate of the block, where the source knows it
   * @returns {Promise<Event[]>} rejected with an AudioError where the block has another sample rate or number of
   *   channels, or samples that are not finite: it is left out, and the stream may go on; with a DeviceError where the
   *   device failed, or its output is not finite; with a UsageError where the stream is finished
   */
  feed(pcm, rateHz) {
    return this._call(() => {
      const samples = this._source.take(pcm, rateHz);
      return this._inTurn(() => this._take(samples));
    });
  }

  /**
   * Say that so much sound was lost: what was said before it is final, and the clock goes on.
   * @param {number | import("./queue.js").Gap} gap seconds, or what a queue gives
   * @returns {Promise<Event[]>}
   */
  gap(gap) {
    return this._call(() => {
      const lostS = gap?.lostS ?? gap;
      if (!(lostS >= 0 && lostS < Infinity)) throw failure("option_seconds", { option: "lostS", value: shown(lostS) });
      const left = this._source.finish();
      return this._inTurn(() => this._skip(left, lostS));
    });
  }

  /**
   * End the stream, and say what is left to say; it takes no more sound.
   * @returns {Promise<Event[]>}
   */
  finish() {
    return this._call(() => {
      this._isFinished = true;
      const left = this._source.finish();
      return this._inTurn(() => this._endAll(left, "finish"));
    });
  }

  get _clock() {
    return this._soundStart + this._sound.length;
  }

  /** What a program calls: it takes the sound at once, and tells what goes wrong in words. */
  _call(begin) {
    const called = async () => {
      if (this._isFinished) throw failure("stream_finished");
      this._recognizer.requireOpen();
      return begin();
    };
    return inWords(called());
  }

  /**
   * Do this after the calls before, whether they failed or not.
   * @param {() => Promise<Event[]>} work
   */
  _inTurn(work) {
    const arrivedS = this._nowS();
    const turn = async () => {
      const begunS = this._nowS();
      this._arrivedS = arrivedS;
      const events = await work();
      this.computeS += this._nowS() - begunS;
      return events;
    };
    const done = this._before.then(turn, turn);
    this._before = done;
    return done;
  }

  /** Take what the source held back, and end the utterance. @param {Float32Array} left @param {string} reason */
  async _endAll(left, reason) {
    const events = await this._take(left);
    return [...events, ...(await this._end(reason, this._clock))];
  }

  /** Lost sound, after what the source held back. @param {Float32Array} left @param {number} lostS */
  async _skip(left, lostS) {
    const events = await this._endAll(left, "gap");
    this._freeFrom = this._clock + samplesIn(lostS);
    this._sound.drop(this._sound.length);
    this._soundStart = this._freeFrom;
    this._endpointer.restart(this._freeFrom);
    return events;
  }

  /** Follow 16 kHz samples through the changes of voice activity in them. @param {Float32Array} samples */
  async _take(samples) {
    this._sound.append(samples);
    const events = [];
    for (const { speaks, at, known } of await this._endpointer.feed(samples)) {
      events.push(...(await this._listen(Math.min(known, this._clock)))); // a detector may say that it is ahead of it
      if (speaks) this._open(Math.max(this._freeFrom, this._soundStart, at - this._padding), known);
      else events.push(...(await this._end("silence", at)));
    }
    events.push(...(await this._listen(this._clock)));
    this._forget();
    return events;
  }

  /** @param {number} start @param {number} known */
  _open(start, known) {
    const onset = this._sound.view(start - this._soundStart, Math.max(start, known) - this._soundStart);
    this._utterance = this._beginUtterance(start, onset);
    this._stable = new StableWords(this._utterance.settledS);
    this._said = "";
  }

  /** Give an open utterance the sound up to a sample. @param {number} until */
  async _listen(until) {
    const events = [];
    for (let utterance; (utterance = this._utterance) !== null && utterance.taken < until; ) {
      const first = utterance.taken - this._soundStart;
      const isNew = await utterance.feed(this._sound.view(first, until - this._soundStart));
      if (isNew) events.push(...(await this._progress(utterance)));
    }
    return events;
  }

  /** Drop the sound that neither the open utterance needs nor the next one, which begins before its speech. */
  _forget() {
    const needed = Math.min(this._utterance?.taken ?? this._clock, this._endpointer.unsettledFrom - this._padding);
    const unneeded = Math.max(0, needed - this._soundStart);
    this._sound.drop(unneeded);
    this._soundStart += unneeded;
  }

  /** What new outputs say. @param {Utterance} utterance */
  async _progress(utterance) {
    const { result, lengthS } = this._read(utterance);
    const found = result.words ?? [];
    const words = utterance.decides ? this._stable.update(found, lengthS) : this._stable.merge(found);
    const events = this._saysAnythingNew(words, result) ? [this._partial(utterance, withWords(result, words))] : [];
    return utterance.decides ? [...events, ...(await this._decide(utterance, result, words, lengthS))] : events;
  }

  /** Shorten, end or part an utterance where it is time; where not, say when it may be. */
  async _decide(utterance, result, words, lengthS) {
    const { blankS, longestS } = this._options;
    const endS = words.at(-1)?.endS ?? Infinity; // without a word there is no blank behind it
    const isIdle = result.text !== null && !words.length;
    utterance.decideBy(isIdle ? IDLE_S : Math.min(longestS, endS + blankS));
    if (lengthS - endS >= blankS) return this._endAndGoOn("blank", utterance, utterance.start + samplesIn(endS));
    if (isIdle && lengthS > IDLE_S) await utterance.cut(utterance.heard - samplesIn(KEPT_IDLE_S));
    return isIdle || lengthS <= longestS ? [] : this._part(utterance, result, words);
  }

  /** @param {Word[]} words @param {Result} result */
  _saysAnythingNew(words, result) {
    if (result.text !== null && !words.length) return false;
    const said = JSON.stringify([...words.map((word) => word.text), this._stable.count, result.label]);
    const isNew = said !== this._said;
    this._said = said;
    return isNew;
  }

  /** An utterance that goes on too long: what was said before its last word is final. */
  async _part(utterance, result, words) {
    if (words.length < 2) return this._endAndGoOn("length", utterance, utterance.heard);
    const [before, last] = words.slice(-2);
    const borderS = (before.endS + Math.max(before.endS, last.startS)) / 2;
    const { start } = utterance;
    const position = start + samplesIn(borderS);
    const settled = await utterance.settle(position);
    const beforeIt = settled
      ? this._recognizer.read(settled, seconds(position - start))
      : withWords(result, words.slice(0, -1));
    const final = this._final("length", utterance, beforeIt, position);
    await utterance.cut(position);
    this._stable.forget(words.length - 1, seconds(utterance.start - start));
    return [final];
  }

  /** End an utterance, and begin another with the sound that this one has not taken. */
  async _endAndGoOn(reason, utterance, end) {
    const { taken } = utterance; // before it goes back to its end, or on into silence
    const events = await this._end(reason, end);
    this._open(taken, taken);
    return events;
  }

  /** End the open utterance, if there is one; one in which nothing was recognised was noise. */
  async _end(reason, end) {
    const utterance = this._utterance;
    this._utterance = null;
    if (!utterance) return [];
    this._freeFrom = Math.min(end + this._padding, utterance.taken);
    await utterance.finish(Math.max(utterance.start + 1, this._freeFrom));
    const { result } = this._read(utterance);
    const words = this._stable.merge(result.words ?? []);
    if (result.text !== null && !words.length) return [];
    return [this._final(reason, utterance, withWords(result, words), end)];
  }

  /** @param {Utterance} utterance @param {Result} result */
  _partial(utterance, result) {
    const found = { stableWords: this._stable.count, latencyS: this._latencyS(utterance.heard) };
    return new Partial({ ...this._fields(utterance, result, utterance.heard), ...found });
  }

  _final(reason, utterance, result, end) {
    const judged = this._recognizer.judge(result);
    return new Final({ ...this._fields(utterance, judged, end), reason, latencyS: this._latencyS(end) });
  }

  /** What the outputs of an utterance say, and how long it is. @param {Utterance} utterance */
  _read(utterance) {
    const lengthS = seconds(utterance.heard - utterance.start);
    return { result: this._recognizer.read(utterance.outputs, lengthS), lengthS };
  }

  /** The fields of an event: those of a segment on the stream's clock. */
  _fields(utterance, result, end) {
    const startS = seconds(utterance.start);
    const segment = result.asSegment(startS, Math.max(startS, seconds(end)));
    return this._recognizer.wordTimes === false ? { ...segment, words: null } : { ...segment };
  }

  /** @param {number} end */
  _latencyS(end) {
    return seconds(this._clock - end) + this._nowS() - this._arrivedS;
  }
}
