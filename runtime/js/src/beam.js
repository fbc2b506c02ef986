/**
 * CTC prefix beam search with hotwords and an n-gram language model.
 *
 * Graves and Jaitly, "Towards End-to-End Speech Recognition with Recurrent Neural Networks", ICML 2014; Hannun et al.,
 * "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent DNNs", arXiv 1408.2873.
 */

import { requireCounts } from "./counts.js";
import { automaton } from "./hotwords.js";
import { aligned, hypothesis, logAddExp, logProbabilities } from "./hypothesis.js";
import { LanguageModel } from "./language_model.js";
import { withDefaults } from "./options.js";
import { PrefixTree, ROOT, TokenContext, WordContext } from "./prefix_tree.js";
import { refusal } from "./refusals.js";
import { general, shown } from "./written.js";

/** A frame whose blank is likelier than this extends no prefix: at most a millionth of a score is left out. */
const SURE_BLANK = Math.log1p(-1e-6);
/** Prefixes that are kept at most, as in Python: each frame takes time and memory for each. */
const WIDEST = 10_000;
/** As in Python: the sums of heavier weights overflow. */
const HEAVIEST = 1e6;

const DEFAULTS = {
  width: 16,
  nBest: 1,
  hotwords: {},
  lm: null,
  lmWeight: 0.5,
  wordBonus: 0,
  lmUnits: "words",
};

/** @typedef {import("./ctc.js").Matrix} Matrix */
/** @typedef {import("./heads.js").CtcHead} CtcHead */
/**
 * A prefix in the beam: its node, that of its parent, its last token (the blank's column for the empty prefix), and the
 * log probabilities of its paths that end in a blank and in the last token.
 * @typedef {{ node: number, parent: number, last: number, blank: number, token: number }} Prefix
 */

/**
 * Prefix beam search: the likeliest transcripts, each summed over its paths, plus the scores of its words.
 *
 * The score of a transcript is log P(transcript | sound) + the weights of its hotwords + `lmWeight` times the language
 * model's natural log probability + `wordBonus` for every word.
 */
export class Beam {
  /**
   * @param {object} [options]
   * @param {number} [options.width] prefixes that are kept from frame to frame
   * @param {number} [options.nBest] transcripts to give, at most `width`
   * @param {{ [phrase: string]: number }} [options.hotwords] natural-log weight of each phrase; spread over its tokens,
   *   and taken back where the phrase is left
   * @param {LanguageModel | null} [options.lm]
   * @param {number} [options.lmWeight]
   * @param {number} [options.wordBonus]
   * @param {"words" | "tokens"} [options.lmUnits] what the language model counts: `words`, scored at their ends, or
   *   `tokens` of the vocabulary
   */
  constructor(options = {}) {
    /** The options, with what was not given. */
    this.options = withDefaults(options, DEFAULTS, { fail: refusal });
    const { width, nBest, hotwords, lm, lmWeight, wordBonus, lmUnits } = this.options;
    requireCounts({ width, nBest });
    if (width > WIDEST) throw refusal("at_most", { option: "width", value: shown(width), most: WIDEST });
    if (nBest > width) throw refusal("beam_n_best", { n_best: nBest, width });
    for (const [name, weight] of Object.entries({ lmWeight, wordBonus, ...hotwords })) {
      if (!Number.isFinite(weight)) throw refusal("beam_weight", { name, weight: shown(weight) });
      if (Math.abs(weight) > HEAVIEST) {
        throw refusal("beam_heaviest", { name, weight: shown(weight), most: general(HEAVIEST) });
      }
    }
    if (!Object.hasOwn(LM_CONTEXTS, lmUnits)) throw refusal("beam_lm_units", { option: "lmUnits", units: lmUnits });
    if (lm !== null && !(lm instanceof LanguageModel)) {
      const reason = "lm is a LanguageModel; read one with readLanguageModel";
      throw refusal("decoder_option_value", { decoder: "beam", options: `{'lm': ${shown(lm)}}`, reason });
    }
    /** @type {WeakMap<CtcHead, import("./hotwords.js").Hotwords>} */
    this._automata = new WeakMap();
  }

  /**
   * The `nBest` transcripts with different words, best first.
   * @param {Matrix} logits `[frames, vocabulary]`
   * @param {CtcHead} head
   * @returns {import("./hypothesis.js").Hypothesis[]}
   */
  decode(logits, head) {
    const scores = logProbabilities(logits, head);
    const tree = new PrefixTree(head.vocabulary.length, this._contexts(head));
    const found = search(scores, tree, this.options.width, head.blankId);
    const spelt = found.map(({ node, score }) => ({ ids: tree.spelt(node), score }));
    const best = withDifferentWords(spelt, head.delimiterId).slice(0, this.options.nBest);
    return best.map(({ ids, score }) => hypothesis(aligned(scores, ids, head), score));
  }

  /** @param {CtcHead} head */
  _contexts(head) {
    const { hotwords, lm, lmWeight, wordBonus, lmUnits } = this.options;
    const contexts = [];
    if (Object.keys(hotwords).length) {
      if (!this._automata.has(head)) this._automata.set(head, automaton(Object.entries(hotwords), head));
      contexts.push(this._automata.get(head));
    }
    if (lm) contexts.push(LM_CONTEXTS[lmUnits](head, lm, lmWeight));
    if (wordBonus) contexts.push(new WordContext(head, null, 0, wordBonus));
    return contexts;
  }
}

const LM_CONTEXTS = {
  words(head, model, weight) {
    if (head.wordDelimiter === null && !head.tokenSeparator) throw refusal("lm_no_delimiter");
    return new WordContext(head, model, weight, 0);
  },
  tokens(head, model, weight) {
    const context = new TokenContext(head, model, weight);
    if (!context.texts.some((text) => model.words.has(text))) throw refusal("lm_no_tokens");
    return context;
  },
};

/**
 * The prefixes in the beam after the last frame, and their scores, best first.
 * @param {Matrix} scores `[frames, vocabulary]` natural-log probabilities
 * @param {PrefixTree} tree the numbers of prefixes, and what they score by their words
 * @param {number} width prefixes to keep per frame
 * @param {number} blankId
 */
function search({ data, dims: [frames, size] }, tree, width, blankId) {
  /** @type {Prefix[]} */
  let beam = [{ node: ROOT, parent: -1, last: blankId, blank: 0, token: -Infinity }];
  for (let frame = 0; frame < frames; frame += 1) {
    const row = data.subarray(frame * size, (frame + 1) * size);
    beam = row[blankId] > SURE_BLANK ? pausing(beam, row[blankId]) : next(beam, row, tree, width, blankId);
  }
  const totals = beam.map((prefix) => ({
    node: prefix.node,
    score: logAddExp(prefix.blank, prefix.token) + tree.finalScore(prefix.node),
  }));
  return totals.sort((one, other) => other.score - one.score);
}

/** @param {Prefix[]} beam @param {number} blank */
function pausing(beam, blank) {
  return beam.map((prefix) => ({ ...prefix, blank: logAddExp(prefix.blank, prefix.token) + blank, token: -Infinity }));
}

/**
 * The beam after one more frame.
 * @param {Prefix[]} beam
 * @param {Float64Array} frame `[vocabulary]`
 * @param {PrefixTree} tree
 * @param {number} width
 * @param {number} blankId
 */
function next(beam, frame, tree, width, blankId) {
  const size = frame.length;
  const grown = new Float64Array(beam.length * size);
  const places = new Map(beam.map((prefix, place) => [prefix.node, place]));
  const stays = beam.map((prefix, place) => {
    const total = logAddExp(prefix.blank, prefix.token);
    for (let token = 0; token < size; token += 1) grown[place * size + token] = total + frame[token];
    // A token that follows itself needs a blank between; without one it goes on sounding.
    grown[place * size + prefix.last] = prefix.blank + frame[prefix.last];
    grown[place * size + blankId] = -Infinity;
    return { ...prefix, blank: total + frame[blankId], token: prefix.token + frame[prefix.last] };
  });
  for (const child of stays) {
    // A prefix whose child is in the beam adds to that child instead of making it again.
    const inside = places.get(child.parent);
    if (inside === undefined) continue;
    child.token = logAddExp(child.token, grown[inside * size + child.last]);
    grown[inside * size + child.last] = -Infinity;
  }
  return kept(stays, grown, tree, width);
}

/**
 * The best prefixes of those that stay and those that grow by a token.
 * @param {Prefix[]} stays
 * @param {Float64Array} grown `[prefixes, vocabulary]`
 * @param {PrefixTree} tree
 * @param {number} width
 */
function kept(stays, grown, tree, width) {
  const size = grown.length / stays.length;
  const ranks = new Float64Array(stays.length + grown.length);
  for (const [place, { node, blank, token }] of stays.entries()) {
    const { score, gains } = tree.standing(node);
    ranks[place] = logAddExp(blank, token) + score;
    for (let id = 0; id < size; id += 1) {
      ranks[stays.length + place * size + id] = grown[place * size + id] + (score + gains[id]);
    }
  }
  const best = largest(ranks, width);
  const remaining = best.filter((place) => place < stays.length).map((place) => stays[place]);
  const growing = best
    .filter((place) => place >= stays.length)
    .map((place) => {
      const at = place - stays.length;
      const parent = stays[Math.floor(at / size)].node;
      const last = at % size;
      return { node: tree.grow(parent, last), parent, last, blank: -Infinity, token: grown[at] };
    });
  return [...remaining, ...growing];
}

/** Places of the largest values that are not minus infinity, at most so many. @param {Float64Array} values */
function largest(values, count) {
  const possible = [];
  for (let place = 0; place < values.length; place += 1) if (values[place] > -Infinity) possible.push(place);
  return possible.sort((one, other) => values[other] - values[one]).slice(0, count);
}

/**
 * Transcripts that differ in delimiters only become one, with the sum of their probabilities; best first.
 * @param {{ ids: number[], score: number }[]} spelt
 * @param {number | null} delimiter
 */
function withDifferentWords(spelt, delimiter) {
  /** @type {Map<string, { ids: number[], score: number }>} */
  const merged = new Map();
  for (const { ids, score } of spelt) {
    const words = singleDelimiters(ids, delimiter).join(" ");
    const before = merged.get(words) ?? { ids, score: -Infinity };
    merged.set(words, { ids: before.ids, score: logAddExp(before.score, score) });
  }
  return [...merged.values()].sort((one, other) => other.score - one.score);
}

/** Tokens without delimiters at the ends or after another. */
function singleDelimiters(ids, delimiter) {
  const single = ids.filter((id, place) => id !== delimiter || (place > 0 && ids[place - 1] !== delimiter));
  return single.at(-1) === delimiter ? single.slice(0, -1) : single;
}
