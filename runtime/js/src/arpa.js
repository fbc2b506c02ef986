/** ARPA files, the form in which n-gram language models are passed on: that of SRILM's `ngram-format(5)`. */

import { UNKNOWN, childOf } from "./ngrams.js";
import { refusal } from "./refusals.js";
import { shown } from "./written.js";

/** log10 of the probability of an unknown word where the file has no `<unk>`, as in KenLM. */
const NEVER = -100;
const NUMBER = /^([+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?|nan)$/i;
const SPACE = /[ \t\r\v\f]+/;
const TO_NATURAL = Math.fround(Math.LN10);

/**
 * The arrays of a `LanguageModel`.
 * @param {Uint8Array} bytes
 * @param {string} name what messages call the file
 */
export function parseArpa(bytes, name) {
  return new Reader(bytes, name).arrays();
}

/** Reads one file from top to bottom; knows the number of the line that it reads. */
class Reader {
  constructor(bytes, name) {
    this._name = name;
    this._lines = new TextDecoder().decode(bytes).split("\n");
    if (this._lines.at(-1) === "") this._lines.pop();
    this._number = 0;
    /** @type {Map<string, number>} */
    this._words = new Map();
    // The trie so far; the children of its last order come with the next.
    this._last = [0];
    this._parents = [-1];
    this._probability = [0];
    this._backOff = [0];
  }

  arrays() {
    const counts = this._counts();
    for (const [place, count] of counts.entries()) this._section(place + 1, count);
    this._expect("\\end\\");
    const natural = (values) => Float32Array.from(values, (value) => Math.fround(value) * TO_NATURAL);
    return {
      words: this._words,
      ...this._trie(),
      logProbability: natural(this._probability),
      backOff: natural(this._backOff),
    };
  }

  /** Last words and first children of the nodes so far. */
  _trie() {
    const firstChild = new Int32Array(this._last.length + 1).fill(this._last.length);
    for (let node = this._last.length - 1; node > 0; node -= 1) firstChild[this._parents[node]] = node;
    // A node without children has an empty range, which begins where the next one's does.
    for (let node = this._last.length - 1; node >= 0; node -= 1) {
      if (firstChild[node] > firstChild[node + 1]) firstChild[node] = firstChild[node + 1];
    }
    return { last: Int32Array.from(this._last), firstChild };
  }

  /** Numbers of n-grams that the header promises, from order 1 on; reads up to the 1-grams. */
  _counts() {
    let line = this._text();
    while (line !== null && line !== "\\data\\") line = this._text();
    if (line === null) throw this._error("no line \\data\\", "give a language model in ARPA form, as lmplz makes them");
    const counts = [];
    while ((line = this._text()) !== null) {
      if (line === "\\1-grams:" && counts.length) return counts;
      const [, order, count] = line.match(/^(?:ngram )?([^=]*)=\s*(\d+)\s*$/) ?? [];
      if (order?.trim() !== String(counts.length + 1)) {
        throw this._error(`${excerpt(line)} where \`ngram ${counts.length + 1}=COUNT\` belongs`, "repair the header");
      }
      counts.push(Number(count));
    }
    throw this._error("the file ends within its header", "copy it again");
  }

  /** The n-grams of one order, ascending by parent and last word. */
  _section(order, count) {
    if (order > 1) this._expect(`\\${order}-grams:`);
    const trie = order > 1 ? this._trie() : null;
    const rows = [];
    for (let place = 0; place < count; place += 1) {
      const fields = this._fields(order);
      const { probability, backOff } = this._weights(fields);
      const { parent, word } = trie ? this._place(fields, order, trie) : { parent: 0, word: this._newWord(fields) };
      rows.push({ parent, word, probability, backOff, line: this._number });
    }
    if (!trie && !this._words.has(UNKNOWN)) {
      rows.push({ parent: 0, word: this._words.size, probability: NEVER, backOff: 0, line: this._number });
      this._words.set(UNKNOWN, this._words.size);
    }
    rows.sort((one, other) => one.parent - other.parent || one.word - other.word);
    for (const [place, row] of rows.entries()) {
      const before = rows[place - 1];
      if (before && before.parent === row.parent && before.word === row.word) {
        throw this._error("the same n-gram a second time", "leave one of them out", row.line);
      }
      this._last.push(row.word);
      this._parents.push(row.parent);
      this._probability.push(row.probability);
      this._backOff.push(row.backOff);
    }
  }

  /** The fields of the next line: probability, words, back-off weight (0 where it is left out). */
  _fields(order) {
    const line = this._line();
    if (line === null) throw this._error(`the file ends within its ${order}-grams`, "copy it again");
    const fields = stripped(line).split(SPACE);
    if (fields.length === order + 1) fields.push("0");
    if (fields.length !== order + 2) {
      const what = `${excerpt(stripped(line))} where weight, ${order} word(s) and perhaps a back-off weight belong`;
      throw this._error(what, "repair the line, or the count in the header");
    }
    return fields;
  }

  _weights(fields) {
    const written = [fields[0], fields.at(-1)];
    if (!written.every((each) => NUMBER.test(each))) throw this._badRow(fields, "a weight that is not a number");
    const [probability, backOff] = written.map(toNumber);
    if (!(probability <= 0) || !(backOff < Infinity)) {
      throw this._badRow(fields, "a weight that is not a log10 probability");
    }
    return { probability, backOff };
  }

  _newWord(fields) {
    if (this._words.has(fields[1])) {
      throw this._error("a word a second time among the 1-grams up to here", "leave one of them out");
    }
    this._words.set(fields[1], this._words.size);
    return this._words.size - 1;
  }

  /** The parent of an n-gram and its last word: looks its words up from the root on. */
  _place(fields, order, trie) {
    let [parent, word] = [0, -1];
    for (let column = 1; column <= order; column += 1) {
      if (column > 1) parent = childOf(trie, parent, word);
      if (parent < 0) {
        throw this._badRow(fields, `its first ${column - 1} word(s) are not among the ${column - 1}-grams`);
      }
      if (!this._words.has(fields[column])) throw this._badRow(fields, "a word that is not among the 1-grams");
      word = this._words.get(fields[column]);
    }
    return { parent, word };
  }

  /** The next line; null at the end of the file. */
  _line() {
    if (this._number >= this._lines.length) return null;
    this._number += 1;
    return this._lines[this._number - 1];
  }

  /** The next line that is not empty, stripped. */
  _text() {
    let line = this._line();
    while (line !== null && !stripped(line)) line = this._line();
    return line === null ? null : stripped(line);
  }

  _expect(wanted) {
    const line = this._text() ?? "(the end of the file)";
    if (line !== wanted) {
      throw this._error(`${excerpt(line)} where ${wanted} belongs`, "do the counts in the header fit?");
    }
  }

  _badRow(fields, reason) {
    return this._error(`${excerpt(fields.join(" "))}: ${reason}`, "write the model anew");
  }

  _error(what, advice, line = this._number) {
    return refusal("lm_line", { path: this._name, line, what, advice });
  }
}

function stripped(line) {
  return line.replace(/^[ \t\r\v\f]+|[ \t\r\v\f]+$/g, "");
}

function excerpt(line) {
  return shown(line.slice(0, 60));
}

/** @param {string} written */
function toNumber(written) {
  const infinity = written.match(/^([+-]?)inf/i);
  return infinity ? (infinity[1] === "-" ? -Infinity : Infinity) : Number(written);
}
