/** Errors that are thrown at once, with their words: those of what programs call without a promise. */

import { MESSAGES } from "./refusal_messages.js";
import { errorOf } from "./wording.js";

/**
 * The error with a message of the table.
 * @param {string} id
 * @param {{ [placeholder: string]: unknown }} [values]
 */
export function refusal(id, values = {}) {
  return errorOf(MESSAGES, id, values);
}
