/** From logits to words: the tokens of greedy CTC, the text that they are written as, times and confidences. */

import { Word } from "./result.js";

/** What loses its spaces where a head cleans up, one after the other (`clean_up_tokenization` of transformers,
 * `tokenization_utils_base.py`). */
const TIGHT = [" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"];

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
 * @param {Token[]} tokens
 * @param {CtcHead} head
 * @param {number} frameS
 */
export function joinWords(tokens, head, frameS) {
  return writtenWords(tokens, head).map(({ text, own }) => {
    // A word is right if each of its tokens is. Of a token the surest frame counts: CTC can be unsure of where a token
    // begins and ends, and sure of the token.
    const logProbability = own.reduce((sum, token) => sum + token.logProbability, 0);
    const times = { startS: own[0].start * frameS, endS: own.at(-1).end * frameS };
    return new Word({ text, ...times, confidence: Math.exp(logProbability) });
  });
}

/**
 * A character of a transcript, and the place of the token that it is from; null for a separator.
 * @typedef {{ letter: string, owner: number | null }} Letter
 */

/**
 * The words of a transcript, which are what white space separates in it, each with the tokens that it is from.
 *
 * The transcript is that of transformers' `Wav2Vec2CTCTokenizer` and `Wav2Vec2PhonemeCTCTokenizer`
 * (`models/wav2vec2*\/tokenization_wav2vec2*.py`), with one space for each run of white space.
 * @param {Token[]} tokens without blanks and silent tokens
 * @param {CtcHead} head how they are written
 */
function writtenWords(tokens, head) {
  /** @type {Letter[][]} */
  const words = [[]];
  for (const each of transcript(tokens, head)) {
    if (/\s/.test(each.letter)) words.push([]);
    else words.at(-1).push(each);
  }
  return words
    .map((letters) => {
      const owners = new Set(letters.map(({ owner }) => owner).filter((owner) => owner !== null));
      const own = [...owners].sort((one, other) => one - other).map((place) => tokens[place]);
      return { text: letters.map(({ letter }) => letter).join(""), own };
    })
    .filter(({ own }) => own.length > 0);
}

/**
 * The text of tokens, without white space at its ends.
 * @param {Token[]} tokens
 * @param {CtcHead} head
 * @returns {Letter[]}
 */
function transcript(tokens, head) {
  const lettersOf = (text, owner) => Array.from(text, (letter) => ({ letter, owner }));
  const text = tokens.flatMap(({ id }, place) => {
    const between = lettersOf(place ? head.tokenSeparator : "", null);
    const written = id === head.delimiterId ? head.delimiterText : head.vocabulary[id];
    return [...between, ...lettersOf(written, place)];
  });
  const isWritten = ({ letter }) => !/\s/.test(letter);
  const inside = text.slice(Math.max(0, text.findIndex(isWritten)), text.findLastIndex(isWritten) + 1);
  const lower = head.lowerCase ? lowered(inside) : inside;
  return head.cleanUpSpaces ? TIGHT.reduce(tightened, lower) : lower;
}

/** @param {Letter[]} text */
function lowered(text) {
  const owners = text.flatMap(({ letter, owner }) => Array.from(letter.toLowerCase(), () => owner));
  const letters = [
    ...text
      .map(({ letter }) => letter)
      .join("")
      .toLowerCase(),
  ];
  return letters.map((letter, place) => ({ letter, owner: owners[place] }));
}

/** The text without the spaces of a pattern. @param {Letter[]} text @param {string} pattern */
function tightened(text, pattern) {
  const stands = (place) => [...pattern].every((letter, at) => text[place + at]?.letter === letter);
  const spaces = new Set();
  for (let place = 0; place < text.length; place += 1) {
    if (!stands(place)) continue;
    [...pattern].forEach((letter, at) => letter === " " && spaces.add(place + at));
    place += pattern.length - 1;
  }
  return text.filter((_, place) => !spaces.has(place));
}

/** The share of words that are right, as far as their confidences tell; 1 without words. @param {Word[]} words */
export function meanConfidence(words) {
  return words.length ? words.reduce((sum, word) => sum + word.confidence, 0) / words.length : 1;
}
