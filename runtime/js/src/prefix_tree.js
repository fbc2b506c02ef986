/** The prefixes of a beam search as nodes of a tree, each with its score from hotwords and language models. */

import { cased } from "./hypothesis.js";
import { END } from "./ngrams.js";

export const ROOT = 0;

/** @typedef {import("./language_model.js").LanguageModel} LanguageModel */
/** @typedef {import("./heads.js").CtcHead} CtcHead */
/**
 * Scores a prefix by what it spells; what it must remember of a prefix is a number, the state.
 * @typedef {object} Context
 * @property {number} start the state of the empty prefix
 * @property {(state: number, token: number) => number} follow the state after a token
 * @property {(state: number) => Float64Array} gains what each token would add to the score: `[vocabulary]`
 * @property {(state: number) => number} end what the end of the clip adds
 */

/** Prefixes by number; the root is the empty one. A prefix keeps its number when it leaves the beam and returns. */
export class PrefixTree {
  /**
   * @param {number} vocabulary
   * @param {Context[]} contexts
   */
  constructor(vocabulary, contexts) {
    this._vocabulary = vocabulary;
    this._contexts = contexts;
    this._none = new Float64Array(vocabulary);
    /** @type {Map<number, number>} */
    this._children = new Map();
    this._nodes = [
      this._node(
        -1,
        -1,
        0,
        contexts.map((context) => context.start),
      ),
    ];
  }

  _node(parent, token, score, states) {
    const gains = states.length ? new Float64Array(this._vocabulary) : this._none;
    for (const [place, context] of this._contexts.entries()) {
      const own = context.gains(states[place]);
      for (let id = 0; id < gains.length; id += 1) gains[id] += own[id];
    }
    return { parent, token, score, states, gains };
  }

  /** The number of the prefix one token longer. @param {number} parent @param {number} token */
  grow(parent, token) {
    const key = parent * this._vocabulary + token;
    let number = this._children.get(key);
    if (number === undefined) {
      const { score, gains, states } = this._nodes[parent];
      const after = this._contexts.map((context, place) => context.follow(states[place], token));
      number = this._nodes.push(this._node(parent, token, score + gains[token], after)) - 1;
      this._children.set(key, number);
    }
    return number;
  }

  /** What hotwords and language models give a prefix, and would add for each token behind it. @param {number} node */
  standing(node) {
    return this._nodes[node];
  }

  /** What they give it as the whole transcript. @param {number} node */
  finalScore(node) {
    const { score, states } = this._nodes[node];
    return score + this._contexts.reduce((sum, context, place) => sum + context.end(states[place]), 0);
  }

  /** The tokens of a prefix. @param {number} node */
  spelt(node) {
    const tokens = [];
    for (; node !== ROOT; node = this._nodes[node].parent) tokens.push(this._nodes[node].token);
    return tokens.reverse();
  }
}

/** The texts of a vocabulary's tokens in the letter case of transcripts. @param {CtcHead} head */
function textsOf(head) {
  return head.vocabulary.map((token) => cased(token, head));
}

/**
 * A bonus for every word, and a language model over words: both at the end of a word.
 *
 * Tokens with a separator between them are words, as phonemes are. Without that and without a word delimiter, the whole
 * transcript is one word.
 */
export class WordContext {
  /**
   * @param {CtcHead} head
   * @param {LanguageModel | null} model
   * @param {number} weight
   * @param {number} bonus
   */
  constructor(head, model, weight, bonus) {
    this._texts = textsOf(head);
    this._delimiter = head.delimiterId;
    this._separated = head.tokenSeparator !== "";
    this._model = model;
    this._weight = weight;
    this._bonus = bonus;
    this.start = 0;
    /** Of each state the unfinished word, the model's state before and after it, and what its end adds. */
    this._states = [];
    this._add("", model ? model.start : 0);
  }

  _add(word, complete) {
    let [end, after] = [0, complete];
    if (word) {
      let score = 0;
      if (this._model) ({ score, state: after } = this._model.advance(complete, this._model.id(word)));
      end = this._weight * score + this._bonus;
    }
    return this._states.push({ word, complete, end, after }) - 1;
  }

  /** A new state for each prefix. */
  follow(state, token) {
    const { word, complete, after } = this._states[state];
    const ends = this._separated || token === this._delimiter;
    const begun = ends ? "" : word;
    return this._add(token === this._delimiter ? begun : begun + this._texts[token], ends ? after : complete);
  }

  /** The delimiter ends the word, and where tokens are words each of them ends the one before it. */
  gains(state) {
    const gains = new Float64Array(this._texts.length);
    if (this._separated) gains.fill(this._states[state].end);
    else if (this._delimiter !== null) gains[this._delimiter] = this._states[state].end;
    return gains;
  }

  /** The end of the clip ends the word and the sentence. */
  end(state) {
    const { end, after } = this._states[state];
    return end + sentenceEnd(this._model, after, this._weight);
  }
}

/** A language model over tokens: scores each as it comes. */
export class TokenContext {
  /**
   * @param {CtcHead} head
   * @param {LanguageModel} model
   * @param {number} weight
   */
  constructor(head, model, weight) {
    this.texts = textsOf(head);
    this._model = model;
    this._weight = weight;
    this._ids = this.texts.map((text) => model.id(text));
    this.start = model.start;
  }

  follow(state, token) {
    return this._model.advance(state, this._ids[token]).state;
  }

  /** The weighted log probability of every token. */
  gains(state) {
    return Float64Array.from(this._ids, (id) => this._weight * this._model.advance(state, id).score);
  }

  end(state) {
    return sentenceEnd(this._model, state, this._weight);
  }
}

/** The weighted log probability of the end of the sentence. */
function sentenceEnd(model, state, weight) {
  return model ? weight * model.advance(state, model.id(END)).score : 0;
}
