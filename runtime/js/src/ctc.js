/** From logits to words: the tokens of greedy CTC, the text that they are written as, times and confidences. */

import { Word } from "./result.js";

/**
 * What a graph gives for a clip, or something computed from it: `dims` are `[frames, vocabulary]` or `[classes]`.
 * @typedef {{ data: Float32Array | Float64Array, dims: readonly number[] }} Matrix
 * @typedef {{ [output: string]: Matrix }} Outputs each head's output for a clip, without a batch axis
 */
/** @typedef {import("./heads.js").CtcHead} CtcHead */

/**
 * Log probabilities of each row, in float64, without overflow for large logits.
 * @param {ArrayLike<number>} data
 * @param {number} width of a row
 * @returns {Float64Array}
 */
export function logSoftmax(data, width) {
  const found = new Float64Array(data.length);
  for (let start = 0; start < data.length; start += width) {
    const end = start + width;
    let largest = data[start];
    for (let place = start + 1; place < end; place += 1) if (data[place] > largest) largest = data[place];
    let sum = 0;
    for (let place = start; place < end; place += 1) sum += Math.exp(data[place] - largest);
    const logSum = Math.log(sum);
    for (let place = start; place < end; place += 1) found[place] = data[place] - largest - logSum;
  }
  return found;
}

/**
 * Probabilities of one row, in float64.
 * @param {ArrayLike<number>} logits
 */
export function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (each) => Math.exp(each - largest));
  const sum = powers.reduce((total, each) => total + each, 0);
  return powers.map((each) => each / sum);
}

/**
 * The column of the largest value of each row; of equal ones the first.
 * @param {Matrix} matrix `[frames, vocabulary]`
 */
export function bestColumns({ data, dims: [rows, width] }) {
  const columns = new Int32Array(rows);
  for (let row = 0; row < rows; row += 1) {
    const start = row * width;
    let best = 0;
    for (let column = 1; column < width; column += 1) if (data[start + column] > data[start + best]) best = column;
    columns[row] = best;
  }
  return columns;
}

/**
 * A token of a transcript: its column, its frames, `end` exclusive, and its log probability in the `surest` of them.
 * @typedef {{ id: number, start: number, end: number, logProbability: number, surest: number }} Token
 */

/**
 * Greedy CTC: the best token of each frame, repeats merged, blanks and silent tokens dropped (Graves et al., ICML 2006,
 * section 3.2).
 * @param {Matrix} logits `[frames, vocabulary]`
 * @param {CtcHead} head
 * @returns {Token[]}
 */
export function bestPath(logits, head) {
  const [frames, width] = logits.dims;
  const ids = bestColumns(logits);
  const tokens = [];
  for (let start = 0, end; start < frames; start = end) {
    const id = ids[start];
    for (end = start + 1; end < frames && ids[end] === id;) end += 1;
    if (id === head.blankId || head.silentIds.has(id)) continue;
    const scores = logSoftmax(logits.data.subarray(start * width, end * width), width);
    tokens.push(tokenOf(id, start, end, (frame) => scores[(frame - start) * width + id]));
  }
  return tokens;
}

/**
 * The token whose frames have these log probabilities.
 * @param {number} id
 * @param {number} start
 * @param {number} end
 * @param {(frame: number) => number} scoreOf
 * @returns {Token}
 */
export function tokenOf(id, start, end, scoreOf) {
  let surest = start;
  for (let frame = start + 1; frame < end; frame += 1) if (scoreOf(frame) > scoreOf(surest)) surest = frame;
  return { id, start, end, logProbability: scoreOf(surest), surest };
}

/**
 * The same tokens with log probabilities from `logits / temperature` (Guo et al., ICML 2017, section 4.2).
 * @param {Token[]} tokens
 * @param {Matrix} logits `[frames, vocabulary]`
 * @param {number} temperature
 */
export function tempered(tokens, logits, temperature) {
  const width = logits.dims[1];
  return tokens.map((token) => {
    const row = logits.data.subarray(token.surest * width, (token.surest + 1) * width);
    return { ...token, logProbability: logSoftmax(divided(row, temperature), width)[token.id] };
  });
}

/**
 * Logits at a temperature, in float32, as they are.
 * @param {Float32Array | Float64Array} logits
 * @param {number} temperature
 */
export function divided(logits, temperature) {
  const divisor = Math.fround(temperature);
  return Float32Array.from(logits, (each) => each / divisor);
}

/**
 * The words that tokens are written as, with their times in seconds from the start of the clip.
 *
 * Words are what white space separates in a transcript, which is that of transformers' `Wav2Vec2CTCTokenizer` and
 * `Wav2Vec2PhonemeCTCTokenizer` (`models/wav2vec2*\/tokenization_wav2vec2*.py`).
 * @param {Token[]} tokens without blanks and silent tokens
 * @param {CtcHead} head how they are written
 * @param {number} frameS
 */
export function joinWords(tokens, head, frameS) {
  const written = tokens.flatMap(({ id }, place) => [
    ...lettersOf(place ? head.tokenSeparator : "", null),
    ...lettersOf(id === head.delimiterId ? head.delimiterText : head.vocabulary[id], place),
  ]);
  /** @type {Letter[][]} */
  const words = [[]];
  for (const each of head.rewritten ? head.rewritten(written) : written) {
    if (/\s/.test(each[0])) words.push([]);
    else words.at(-1).push(each);
  }
  return words.flatMap((letters) => {
    const owners = new Set(letters.map(([, owner]) => owner));
    const own = tokens.filter((_, place) => owners.has(place));
    if (!own.length) return [];
    // A word is right if each of its tokens is. Of a token the surest frame counts: CTC can be unsure of where a token
    // begins and ends, and sure of the token.
    const confidence = Math.exp(own.reduce((sum, token) => sum + token.logProbability, 0));
    const text = letters.map(([letter]) => letter).join("");
    return new Word({ text, startS: own[0].start * frameS, endS: own.at(-1).end * frameS, confidence });
  });
}

/**
 * A character of a transcript, and the place of the token that it is from; null for a separator.
 * @typedef {[letter: string, owner: number | null]} Letter
 */

/** @returns {Letter[]} */
const lettersOf = (text, owner) => Array.from(text, (letter) => [letter, owner]);

/** The share of words that are right, as far as their confidences tell; 1 without words. @param {Word[]} words */
export function meanConfidence(words) {
  return words.length ? words.reduce((sum, word) => sum + word.confidence, 0) / words.length : 1;
}
