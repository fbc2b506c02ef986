/** What some tokenizers do to a transcript: small letters, and no spaces in front of punctuation. */

import { shown } from "./errors.js";

/** What loses its spaces where a head cleans up, one after the other (`clean_up_tokenization` of transformers,
 * `tokenization_utils_base.py`). */
const TIGHT = [" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"];

/** @typedef {import("./ctc.js").Letter} Letter */

/** Each rule with what most tokenizers have. */
const RULES = { delimiter_text: " ", token_separator: "", clean_up_spaces: false };
const KIND_NAMES = { string: "str", boolean: "bool" };

/**
 * The rules of a CTC head.
 * @param {object} head as it is in a manifest
 * @param {boolean} lowerCase
 * @param {import("./manifest.js").ManifestReader} reader
 */
export function readTextRules(head, lowerCase, reader) {
  const [delimiterText, tokenSeparator, cleanUpSpaces] = Object.entries(RULES).map(([key, usual]) => {
    const value = Object.hasOwn(head, key) ? head[key] : usual;
    const kind = KIND_NAMES[typeof usual];
    reader.need("manifest_text_rule", typeof value === typeof usual, { key, value: shown(value), kind });
    return value;
  });
  const rewritten = (text) => {
    const lower = lowerCase ? lowered(text) : text;
    return cleanUpSpaces ? TIGHT.reduce(tightened, trimmed(lower)) : lower;
  };
  return { delimiterText, tokenSeparator, cleanUpSpaces, rewritten };
}

/** @param {Letter[]} text */
function lowered(text) {
  const owners = text.flatMap(([letter, owner]) => Array.from(letter.toLowerCase(), () => owner));
  const whole = text.map(([letter]) => letter).join("");
  // As a whole, since a sigma at the end of a word has a form of its own.
  return [...whole.toLowerCase()].map((letter, place) => [letter, owners[place]]);
}

/** The text without white space at its ends. @param {Letter[]} text */
function trimmed(text) {
  const isWritten = ([letter]) => !/\s/.test(letter);
  return text.slice(Math.max(0, text.findIndex(isWritten)), text.findLastIndex(isWritten) + 1);
}

/** The text without the spaces of a pattern. @param {Letter[]} text @param {string} pattern */
function tightened(text, pattern) {
  const stands = (place) => [...pattern].every((letter, at) => text[place + at]?.[0] === letter);
  const spaces = new Set();
  for (let place = 0; place < text.length; place += 1) {
    if (!stands(place)) continue;
    [...pattern].forEach((letter, at) => letter === " " && spaces.add(place + at));
    place += pattern.length - 1;
  }
  return text.filter((_, place) => !spaces.has(place));
}
