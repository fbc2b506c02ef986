/**
 * Recognition of a closed list of phrases: each scored by the sum over its paths, and rejected where it does not fit.
 *
 * The phrases are a prefix tree through which CTC's forward scores pass (Graves et al., ICML 2006, section 4.1; token
 * passing over a tree: Young, Russell and Thornton, CUED/F-INFENG/TR.38, 1989).
 */

import { requireCounts } from "./counts.js";
import { bestColumns } from "./ctc.js";
import { UsageError } from "./error_classes.js";
import { aligned, hypothesis, logAddExp, logProbabilities, spell } from "./hypothesis.js";
import { withDefaults } from "./options.js";
import { refusal } from "./refusals.js";
import { shown } from "./written.js";

/** Stands for the logarithm of 0 where it is multiplied by 0. */
const LEAST = -1e3;

const DEFAULTS = { nBest: 1, leastFit: 0 };

/** @typedef {import("./ctc.js").Matrix} Matrix */
/** @typedef {import("./heads.js").CtcHead} CtcHead */

/**
 * The likeliest of the given phrases; its score is log P(phrase | sound), summed over its paths.
 *
 * Two numbers say how sure that is. The `fit`, which `leastFit` bounds, asks whether anything in the grammar was said,
 * and does not mind that two phrases sound alike. The confidence asks whether it was this phrase: the fit times its
 * share among the phrases and the best free transcript.
 */
export class Grammar {
  /**
   * @param {Iterable<string>} phrases of words; white space separates words
   * @param {object} [options]
   * @param {number} [options.nBest]
   * @param {number} [options.leastFit] from 0 to 1; a clip that fits less is rejected, with its fit as the confidence
   */
  constructor(phrases, options = {}) {
    if (typeof phrases === "string") throw refusal("grammar_text", { phrases });
    const list = typeof phrases?.[Symbol.iterator] === "function" ? [...phrases] : [null];
    if (list.some((phrase) => typeof phrase !== "string")) {
      throw refusal("option_kind", { option: "phrases", value: shown(phrases), kind: "a list of texts" });
    }
    this.phrases = list.map((phrase) => phrase.split(/\s+/).filter(Boolean).join(" "));
    this.options = withDefaults(options, DEFAULTS, { fail: refusal });
    const { nBest, leastFit } = this.options;
    if (!this.phrases.length) throw refusal("grammar_empty");
    const repeated = this.phrases.filter((phrase, place) => this.phrases.indexOf(phrase) !== place).sort();
    if (repeated.length) throw refusal("grammar_repeated", { phrase: repeated[0] });
    requireCounts({ nBest });
    if (!(leastFit >= 0 && leastFit <= 1)) {
      throw refusal("grammar_least_fit", { option: "leastFit", value: shown(leastFit) });
    }
    /** @type {WeakMap<CtcHead, PhraseTree>} */
    this._trees = new WeakMap();
  }

  /**
   * The `nBest` likeliest phrases, best first; one empty transcript where the best is rejected.
   * @param {Matrix} logits `[frames, vocabulary]`
   * @param {CtcHead} head
   * @returns {import("./hypothesis.js").Hypothesis[]}
   */
  decode(logits, head) {
    const tree = this._tree(head);
    const scores = logProbabilities(logits, head);
    const totals = tree.forward(scores, head);
    const possible = [...totals.keys()].filter((phrase) => totals[phrase] > -Infinity);
    const best = possible.sort((one, other) => totals[other] - totals[one]).slice(0, this.options.nBest);
    const confidence = fit(totals, scores);
    if (!best.length || confidence < this.options.leastFit) {
      return [hypothesis([], Math.max(...totals), { confidence, rejected: true })];
    }
    const all = logSum(withBestFree(totals, scores, head, tree));
    return best.map((phrase) =>
      hypothesis(aligned(scores, tree.spelt[phrase], head), totals[phrase], {
        confidence: confidence * Math.exp(totals[phrase] - all),
      }),
    );
  }

  /** @param {CtcHead} head */
  _tree(head) {
    if (!this._trees.has(head)) this._trees.set(head, new PhraseTree(spellAll(this.phrases, head)));
    return this._trees.get(head);
  }
}

/** The tokens of every phrase; of those that the vocabulary cannot spell, one error tells all. */
function spellAll(phrases, head) {
  const missing = [];
  const spelt = phrases.map((phrase) => {
    try {
      return spell(phrase, head);
    } catch (error) {
      missing.push(error.message);
      return [];
    }
  });
  if (missing.length) throw new UsageError(missing.join("\n"), "spell_unknown");
  return spelt;
}

/**
 * P(any phrase | sound) per frame, times how certain the frames are.
 *
 * CTC's probabilities of all transcripts sum to 1, so that of the phrases is their ratio to a free loop of tokens
 * already; per frame, so that long clips do not fit less. Where the network knows nothing else than the phrases it
 * answers unknown sounds with one of them, and only the entropy of its frames tells: Williams and Renals, "Confidence
 * measures from local posterior probability estimates", Computer Speech and Language 13(4), 1999.
 * @param {Float64Array} totals `[phrases]` log probabilities
 * @param {Matrix} scores `[frames, vocabulary]` log probabilities
 */
function fit(totals, { data, dims: [frames, width] }) {
  if (!frames || Math.max(...totals) === -Infinity) return 0;
  const entropy = -data.reduce((sum, score) => sum + Math.exp(score) * Math.max(score, LEAST), 0) / frames;
  const certainty = 1 - entropy / Math.log(width);
  return Math.exp(Math.min(0, logSum(totals) / frames)) * certainty;
}

/**
 * Token ids of a path: repeats merged, then blanks dropped (Graves et al., ICML 2006, 3.1).
 * @param {Int32Array} ids `[frames]`
 * @param {number} blankId
 */
function collapse(ids, blankId) {
  return Array.from(ids).filter((id, place) => id !== blankId && (place === 0 || id !== ids[place - 1]));
}

/** The scores of the phrases and of the best free transcript, where that is none of them. */
function withBestFree(totals, scores, head, tree) {
  const free = trimmed(collapse(bestColumns(scores), head.blankId), head.delimiterId);
  if (tree.spelt.some((ids) => ids.join() === free.join())) return totals;
  return [...totals, ...new PhraseTree([free]).forward(scores, head)];
}

/** @param {Iterable<number>} scores */
function logSum(scores) {
  return [...scores].reduce(logAddExp);
}

/** Phrases whose beginnings are shared; node 0 is the empty beginning. */
class PhraseTree {
  /** @param {number[][]} spelt the tokens of each phrase */
  constructor(spelt) {
    this.spelt = spelt;
    const numbers = new Map();
    this._parents = [0];
    this._tokens = [-1];
    /** The node of each whole phrase. */
    this._ends = spelt.map((ids) =>
      ids.reduce((node, token) => {
        const key = `${node} ${token}`;
        if (!numbers.has(key)) {
          numbers.set(key, this._parents.push(node) - 1);
          this._tokens.push(token);
        }
        return numbers.get(key);
      }, 0),
    );
  }

  /**
   * Log probability of each phrase, with word delimiters around it or without: `[phrases]`.
   * @param {Matrix} scores `[frames, vocabulary]` natural-log probabilities
   * @param {CtcHead} head
   */
  forward({ data, dims: [frames, width] }, { blankId, delimiterId }) {
    const nodes = this._tokens.length;
    let [blank, token] = [new Float64Array(nodes).fill(-Infinity), new Float64Array(nodes).fill(-Infinity)];
    blank[0] = 0;
    const after = new Float64Array(this._ends.length).fill(-Infinity);
    for (let row = 0; row < frames * width; row += width) {
      const border = delimiterId === null ? -Infinity : data[row + delimiterId];
      const pause = logAddExp(data[row + blankId], border);
      const either = blank.map((score, node) => logAddExp(score, token[node]));
      for (const [phrase, end] of this._ends.entries()) {
        after[phrase] = logAddExp(after[phrase] + pause, either[end] + border);
      }
      const [nextBlank, nextToken] = [new Float64Array(nodes), new Float64Array(nodes)];
      nextBlank[0] = blank[0] + pause;
      nextToken[0] = -Infinity;
      for (let node = 1; node < nodes; node += 1) {
        const [parent, id] = [this._parents[node], this._tokens[node]];
        // A token that follows itself needs a blank between.
        const entered = id === this._tokens[parent] ? blank[parent] : either[parent];
        nextToken[node] = logAddExp(token[node], entered) + data[row + id];
        nextBlank[node] = either[node] + data[row + blankId];
      }
      [blank, token] = [nextBlank, nextToken];
    }
    return Float64Array.from(this._ends, (end, phrase) => logAddExp(logAddExp(blank[end], token[end]), after[phrase]));
  }
}

/** Tokens without word delimiters at the ends. */
function trimmed(ids, delimiter) {
  let [start, end] = [0, ids.length];
  while (start < end && ids[start] === delimiter) start += 1;
  while (end > start && ids[end - 1] === delimiter) end -= 1;
  return ids.slice(start, end);
}
