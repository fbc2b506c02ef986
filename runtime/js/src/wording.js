/** Messages with what is written into them. */

import { failureOf } from "./errors.js";
import * as writing from "./written.js";

/** @typedef {{ [id: string]: string[] }} Messages the class of an error, and its words with placeholders */
/** @typedef {{ [placeholder: string]: unknown }} Values what is written into a message, as it is or by a function */

/**
 * @param {Messages} messages
 * @param {string} id
 * @param {Values} [values]
 */
export function wordsOf(messages, id, values = {}) {
  const written = (value) => String(typeof value === "function" ? value(writing) : value);
  return messages[id][1].replace(/\{(\w+)\}/g, (_, name) => written(values[name]));
}

/**
 * @param {Messages} messages
 * @param {string} id
 * @param {Values} values
 */
export function errorOf(messages, id, values) {
  return failureOf(messages[id][0], wordsOf(messages, id, values), id);
}
