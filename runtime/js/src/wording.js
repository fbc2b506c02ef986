/** Messages with what is written into them. */

import { failureOf } from "./error_classes.js";
import { KINDS, general, shown } from "./written.js";

/** @typedef {{ [error: string]: { [id: string]: string } }} Messages by the class of an error, then by their names */
/** @typedef {{ [placeholder: string]: unknown }} Values what is written into a message, as it is or by a function */

/**
 * @param {string} message with placeholders
 * @param {Values} [values]
 */
export function wordsOf(message, values = {}) {
  const written = (value) => String(typeof value === "function" ? value({ KINDS, shown, general }) : value);
  return message.replace(/\{(\w+)\}/g, (_, name) => written(values[name]));
}

/**
 * @param {Messages} messages
 * @param {string} id
 * @param {Values} values
 */
export function errorOf(messages, id, values) {
  const [error, own] = Object.entries(messages).find(([, each]) => id in each);
  return failureOf(error, wordsOf(own[id], values), id);
}
