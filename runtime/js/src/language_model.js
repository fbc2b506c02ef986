/**
 * N-gram language models with back-off.
 *
 * Back-off is Katz, IEEE Transactions on Acoustics, Speech, and Signal Processing 35(3), 1987. The n-grams form a trie
 * in arrays, after Heafield, "KenLM: Faster and Smaller Language Model Queries", WMT 2011.
 */

import { parseArpa } from "./arpa.js";
import { BEGIN, ROOT, UNKNOWN, childOf } from "./ngrams.js";
import { refusal } from "./refusals.js";

/**
 * A trie of n-grams; its nodes are numbered order by order and, within an order, by parent and last word.
 *
 * Node 0 is the empty n-gram. A node is also a state: the words that the next one is conditioned on. All scores are
 * natural logarithms.
 */
export class LanguageModel {
  /**
   * @param {object} arrays
   * @param {Map<string, number>} arrays.words the number of each word
   * @param {Int32Array} arrays.last `[nodes]` the last word
   * @param {Int32Array} arrays.firstChild `[nodes + 1]` the first node that is one word longer
   * @param {Float32Array} arrays.logProbability `[nodes]`
   * @param {Float32Array} arrays.backOff `[nodes]`
   */
  constructor(arrays) {
    this.arrays = arrays;
    this.words = arrays.words;
    this._suffix = this._suffixes();
    /** The state at the beginning of a sentence. */
    this.start = this.words.has(BEGIN) ? this.advance(ROOT, this.words.get(BEGIN)).state : ROOT;
  }

  /**
   * Read a model in ARPA form, plain or compressed with gzip (the name ends in `.gz`).
   * @param {Uint8Array} bytes
   * @param {string} [name] what messages call it
   */
  static async read(bytes, name = "language model") {
    if (!(bytes instanceof Uint8Array)) throw refusal("lm_unreadable", { path: name, reason: "no bytes" });
    return new LanguageModel(parseArpa(name.endsWith(".gz") ? await unzipped(bytes, name) : bytes, name));
  }

  /** The number of a word; that of `<unk>` where the model does not hold it. @param {string} word */
  id(word) {
    return this.words.get(word) ?? this.words.get(UNKNOWN);
  }

  /**
   * Log probability of a word after a state, and the state after it.
   * @param {number} state
   * @param {number} word
   */
  advance(state, word) {
    const { logProbability, backOff } = this.arrays;
    let score = 0;
    let found = childOf(this.arrays, state, word);
    while (found < 0) {
      score += backOff[state];
      state = this._suffix[state];
      found = childOf(this.arrays, state, word);
    }
    return { score: score + logProbability[found], state: found };
  }

  /** The longest proper suffix of every node that is in the model itself (the failure links of Aho and Corasick). */
  _suffixes() {
    const { last, firstChild } = this.arrays;
    const suffix = new Int32Array(last.length);
    for (let parent = 1; parent < last.length; parent += 1) {
      for (let node = firstChild[parent]; node < firstChild[parent + 1]; node += 1) {
        let shorter = suffix[parent];
        let found = childOf(this.arrays, shorter, last[node]);
        while (found < 0) {
          shorter = suffix[shorter];
          found = childOf(this.arrays, shorter, last[node]);
        }
        suffix[node] = found;
      }
    }
    return suffix;
  }
}

async function unzipped(bytes, name) {
  try {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (error) {
    throw refusal("lm_unreadable", { path: name, reason: error.message });
  }
}
