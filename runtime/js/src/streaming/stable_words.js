/** Which words of an answer that grows do not change any more. */

/** The last word may still grow until so much sound has come after it, with a letter that is drawn out. */
const GROWS_S = 0.8;

/** @typedef {import("../result.js").Word} Word */

/**
 * Words that ended a while ago, and on which two answers in a row agree, become stable and stay.
 *
 * LocalAgreement-2 of Liu, Spanakis and Niehues, "Low-Latency Sequence-to-Sequence Speech Recognition and Translation
 * by Partial Hypothesis Selection", Interspeech 2020.
 */
export class StableWords {
  /** @param {number} settledS how much sound after its end a word waits for that another follows */
  constructor(settledS) {
    this._settledS = settledS;
    /** @type {Word[]} */
    this._stable = [];
    /** @type {Word[]} */
    this._before = [];
  }

  /** How many words are stable. */
  get count() {
    return this._stable.length;
  }

  /**
   * The words of another answer, in which those that are stable stay as they were.
   * @param {readonly Word[]} words the answer, on the clock of the utterance
   * @param {number} heardS the sound that it is the answer to
   */
  update(words, heardS) {
    const merged = this.merge(words);
    const last = words.length - 1;
    const waitsS = (place) => (place < last ? this._settledS : Math.max(GROWS_S, this._settledS));
    const settled = words.filter((word, place) => heardS - word.endS >= waitsS(place)).length;
    const shared = Math.min(words.length, this._before.length);
    let agreed = 0;
    while (agreed < shared && words[agreed].text === this._before[agreed].text) agreed += 1;
    this._before = [...words];
    this._stable = merged.slice(0, Math.max(this.count, Math.min(agreed, settled)));
    return merged;
  }

  /**
   * An answer in which the stable words stand in place of its first.
   * @param {readonly Word[]} words
   */
  merge(words) {
    return [...this._stable, ...words.slice(this.count)];
  }

  /**
   * Leave out so many words at the beginning, with the sound that they were in.
   * @param {number} words
   * @param {number} earlierS
   */
  forget(words, earlierS) {
    this._stable = this._stable.slice(words).map((word) => word.later(-earlierS));
    this._before = this._before.slice(words);
  }
}

/**
 * A result with other words, and with their text.
 * @param {import("../result.js").Result} result
 * @param {Word[]} words
 */
export function withWords(result, words) {
  return result.text === null ? result : result.with({ words, text: words.map((word) => word.text).join(" ") });
}
