/**
 * Hotwords: phrases that gain weight while they are spelt, and lose it again where the transcript leaves them.
 *
 * An automaton of Aho and Corasick, "Efficient string matching", Communications of the ACM 18(6), 1975, whose failure
 * links take back what an unfinished phrase had gained: Zhao et al., "Shallow-Fusion End-to-End Contextual Biasing",
 * Interspeech 2019.
 */

import { spell } from "./hypothesis.js";

/**
 * Where each token leads from each state, and what it gains; a state is the longest prefix just spelt.
 *
 * Phrases match whole words: between the delimiters of words, or the ends of the clip.
 */
export class Hotwords {
  /**
   * @param {Int32Array[]} nextState `[states][vocabulary]`
   * @param {Float64Array[]} gain `[states][vocabulary]`
   * @param {number[]} atEnd what the end of the clip gains in each state
   * @param {number} start
   */
  constructor(nextState, gain, atEnd, start) {
    this._nextState = nextState;
    this._gain = gain;
    this._atEnd = atEnd;
    this.start = start;
  }

  follow(state, token) {
    return this._nextState[state][token];
  }

  gains(state) {
    return this._gain[state];
  }

  end(state) {
    return this._atEnd[state];
  }
}

/**
 * The automaton of phrases with their weights, in natural-log units for a whole phrase.
 * @param {[string, number][]} phrases
 * @param {import("./heads.js").CtcHead} head
 */
export function automaton(phrases, head) {
  const delimiter = head.delimiterId;
  const border = delimiter === null ? [] : [delimiter];
  const trie = new Trie();
  for (const [phrase, weight] of phrases) {
    trie.add([...border, ...spell(phrase, head), ...border], weight, border.length);
  }
  const nextState = trie.transitions(head.vocabulary.length);
  const { pending, complete } = trie;
  const gain = nextState.map((row, state) =>
    Float64Array.from(row, (after) => pending[after] + complete[after] - pending[state]),
  );
  const lost = pending.map((each) => -each);
  if (delimiter === null) return new Hotwords(nextState, gain, lost, 0);
  const start = nextState[0][delimiter];
  const last = trie.lastTokens();
  const atEnd = lost.map((each, state) =>
    last[state] === delimiter ? each : complete[nextState[state][delimiter]] + each,
  );
  for (const state of last.keys()) {
    if (last[state] !== delimiter) continue;
    // A second delimiter in a row makes no new word, and must not leave the phrase.
    gain[state][delimiter] = 0;
    nextState[state][delimiter] = state;
  }
  return new Hotwords(nextState, gain, atEnd, start);
}

/** Phrases by their tokens; `pending` is what an unfinished phrase has gained, `complete` what ends here. */
class Trie {
  constructor() {
    /** @type {Map<number, number>[]} */
    this.children = [new Map()];
    this.pending = [0];
    this.complete = [0];
  }

  /**
   * Add a phrase whose first `free` tokens gain nothing.
   * @param {number[]} tokens
   * @param {number} weight
   * @param {number} free
   */
  add(tokens, weight, free) {
    let node = 0;
    for (const [place, token] of tokens.entries()) {
      if (!this.children[node].has(token)) {
        this.children[node].set(token, this.children.push(new Map()) - 1);
        this.pending.push(0);
        this.complete.push(0);
      }
      node = this.children[node].get(token);
      if (place + 1 < tokens.length) {
        const gained = (weight * (place + 1 - free)) / (tokens.length - free);
        this.pending[node] = further(this.pending[node], gained);
      }
    }
    this.complete[node] += weight;
  }

  /** `[states][vocabulary]`; passes on what the longest proper suffix of a state gains. @param {number} vocabulary */
  transitions(vocabulary) {
    const following = this.children.map(() => new Int32Array(vocabulary));
    const queue = [...this.children[0].values()];
    const suffix = new Map(queue.map((node) => [node, 0]));
    for (const [token, child] of this.children[0]) following[0][token] = child;
    for (const node of queue) {
      const shorter = suffix.get(node);
      following[node].set(following[shorter]);
      this.complete[node] += this.complete[shorter];
      this.pending[node] = further(this.pending[node], this.pending[shorter]);
      for (const [token, child] of this.children[node]) {
        suffix.set(child, following[shorter][token]);
        following[node][token] = child;
        queue.push(child);
      }
    }
    return following;
  }

  /** The token that leads to each state, -1 for the root. */
  lastTokens() {
    const last = new Array(this.children.length).fill(-1);
    for (const children of this.children) for (const [token, child] of children) last[child] = token;
    return last;
  }
}

/** The one that is further from 0. */
function further(one, other) {
  return Math.abs(other) > Math.abs(one) ? other : one;
}
