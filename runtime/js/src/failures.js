/** The words of errors and warnings that most programs do not see. */

import { MESSAGES } from "./failure_messages.js";
import { errorOf, wordsOf } from "./wording.js";

/** @param {{ id: string, values: import("./wording.js").Values }} failure */
export function withWords({ id, values }) {
  return errorOf(MESSAGES, id, values);
}

/**
 * Warnings in words, each once.
 * @param {import("./samples.js").Warning[]} warnings
 */
export function allInWords(warnings) {
  return [...new Set(warnings.map(([id, values]) => wordsOf(MESSAGES.Warning[id], values)))];
}
