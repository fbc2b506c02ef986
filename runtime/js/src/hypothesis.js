/** What every decoder takes and gives, and what they share: spelling, log probabilities, the frames of tokens. */

import { viterbi } from "./alignment.js";
import { bestColumns, bestPath, logSoftmax, tokenOf } from "./ctc.js";
import { refusal } from "./refusals.js";

/** @typedef {import("./ctc.js").Matrix} Matrix */
/** @typedef {import("./ctc.js").Token} Token */
/** @typedef {import("./heads.js").CtcHead} CtcHead */
/**
 * A transcript: its tokens with their frames, and its natural-log score. `confidence` is the decoder's own, from 0 to
 * 1; null: the decoder has none, and that of the tokens stands. `rejected`: the decoder found nothing that is sure
 * enough.
 * @typedef {{ tokens: Token[], score: number, confidence: number | null, rejected: boolean }} Hypothesis
 */
/**
 * Turns the logits of a clip, `[frames, vocabulary]`, into transcripts, best first, at least one.
 * @typedef {{ decode: (logits: Matrix, head: CtcHead) => Hypothesis[] }} Decoder
 */

/** The best token of each frame; its score is that of the best path. */
export class Greedy {
  /**
   * The best path as the only transcript.
   * @param {Matrix} logits
   * @param {CtcHead} head
   * @returns {Hypothesis[]}
   */
  decode(logits, head) {
    const width = logits.dims[1];
    const scores = logSoftmax(logits.data, width);
    const score = bestColumns(logits).reduce((sum, column, frame) => sum + scores[frame * width + column], 0);
    return [hypothesis(bestPath(logits, head), score)];
  }
}

/**
 * @param {Token[]} tokens
 * @param {number} score
 * @param {Partial<Hypothesis>} [own] the decoder's own confidence, and whether it rejects
 * @returns {Hypothesis}
 */
export function hypothesis(tokens, score, { confidence = null, rejected = false } = {}) {
  return { tokens, score, confidence, rejected };
}

/** log(exp(a) + exp(b)). @param {number} a @param {number} b */
export function logAddExp(a, b) {
  if (a === b) return a + Math.LN2;
  return a > b ? a + Math.log1p(Math.exp(b - a)) : b + Math.log1p(Math.exp(a - b));
}

/**
 * `[frames, vocabulary]` natural logs, in which the silent tokens have gone into the blank.
 *
 * A silent token is not written and separates equal tokens, as the blank does: every path keeps its transcript.
 * @param {Matrix} logits
 * @param {CtcHead} head
 * @returns {{ data: Float64Array, dims: readonly number[] }}
 */
export function logProbabilities({ data, dims }, head) {
  const width = dims[1];
  const scores = logSoftmax(data, width);
  const silent = [...head.silentIds].filter((id) => id !== head.blankId).sort((a, b) => a - b);
  for (let start = 0; start < scores.length; start += width) {
    for (const id of silent) {
      scores[start + head.blankId] = logAddExp(scores[start + head.blankId], scores[start + id]);
      scores[start + id] = -Infinity;
    }
  }
  return { data: scores, dims };
}

/**
 * The text in the letter case of transcripts.
 * @param {string} text
 * @param {CtcHead} head
 */
export function cased(text, head) {
  return head.lowerCase ? text.toLowerCase() : text;
}

/**
 * Token ids of a text: the longest token first, words separated by the delimiter.
 * @param {string} text
 * @param {CtcHead} head
 * @returns {number[]}
 */
export function spell(text, head) {
  const columns = writtenColumns(head);
  const longest = Math.max(0, ...[...columns.keys()].map((token) => [...token].length));
  const words = cased(text, head)
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => spellWord(word, columns, longest));
  const missing = [...new Set(words.flatMap((word) => word.unknown))].sort();
  if (missing.length) {
    const known = [...columns.keys()].sort().join(" ");
    const characters = missing.map((each) => `'${each}'`).join(", ");
    throw refusal("spell_unknown", { text, characters, known });
  }
  if (!words.length) throw refusal("spell_empty");
  const between = head.delimiterId === null ? [] : [head.delimiterId];
  return words.flatMap((word, place) => (place ? [...between, ...word.ids] : word.ids));
}

/**
 * The column of each token that is written inside a word, by its text.
 * @param {CtcHead} head
 * @returns {Map<string, number>}
 */
function writtenColumns(head) {
  const isWritten = (id) => id !== head.blankId && !head.silentIds.has(id) && id !== head.delimiterId;
  return new Map(head.vocabulary.map((token, id) => [cased(token, head), id]).filter(([, id]) => isWritten(id)));
}

/**
 * The columns of a word, at each place the longest token that fits; and the characters that begin none.
 *
 * An accented letter may be one character in the text and two in the vocabulary, or the other way round: what cannot be
 * spelt as it is, is tried composed and decomposed (Unicode's NFC and NFD).
 */
function spellWord(word, columns, longest) {
  const forms = [word, word.normalize("NFC"), word.normalize("NFD")];
  const spelt = forms.map((form) => spellAsIs([...form], columns, longest));
  return spelt.find(({ unknown }) => !unknown.length) ?? spelt[0];
}

function spellAsIs(letters, columns, longest) {
  const ids = [];
  const unknown = [];
  for (let place = 0; place < letters.length;) {
    let size = Math.min(longest, letters.length - place);
    while (size > 0 && !columns.has(letters.slice(place, place + size).join(""))) size -= 1;
    if (size) ids.push(columns.get(letters.slice(place, place + size).join("")));
    else unknown.push(letters[place]);
    place += size || 1;
  }
  return { ids, unknown };
}

/**
 * The tokens `ids` with their frames on the best path.
 * @param {{ data: Float64Array, dims: readonly number[] }} scores `[frames, vocabulary]` log probabilities
 * @param {number[]} ids
 * @param {CtcHead} head
 * @returns {Token[]}
 */
export function aligned(scores, ids, head) {
  if (!ids.length) return [];
  const width = scores.dims[1];
  const states = viterbi(scores, ids, head.blankId);
  // States alternate between the blank and the tokens: the token at a place is state 2 * place + 1.
  return ids.map((id, place) => {
    const start = states.indexOf(2 * place + 1);
    const end = states.lastIndexOf(2 * place + 1) + 1;
    return tokenOf(id, start, end, (frame) => scores.data[frame * width + id]);
  });
}
