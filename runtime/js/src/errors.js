/**
 * Errors before they have words: those, and the classes, are loaded when the first error is told to a program, since
 * most programs see none. Inside the package a `Failure` stands for such an error. What programs call without a promise
 * throws a `refusal` instead.
 */

/** @typedef {Pick<typeof import("./written.js"), "KINDS" | "shown" | "general">} Writing how values are written */

/** A value as Python shows it: texts in quotes. @param {unknown} value */
export const shown = (value) => (/** @type {Writing} */ writing) => writing.shown(value);

/**
 * A number with so many significant digits.
 * @param {number} value
 * @param {number} [digits]
 */
export const general = (value, digits) => (/** @type {Writing} */ writing) => writing.general(value, digits);

/** An error whose words are not loaded. */
class Failure extends Error {
  /**
   * @param {string} id
   * @param {{ [placeholder: string]: unknown }} values
   */
  constructor(id, values) {
    super(id);
    this.id = id;
    this.values = values;
  }
}

/**
 * The error with a message of the table, for code whose caller `inWords` is.
 * @param {string} id
 * @param {{ [placeholder: string]: unknown }} [values]
 */
export function failure(id, values = {}) {
  return new Failure(id, values);
}

/**
 * An error as a program is told it, with its words.
 * @param {any} error
 */
export async function told(error) {
  if (!(error instanceof Failure)) return error;
  const { withWords } = await import("./failures.js");
  return withWords(error);
}

/**
 * What a call gives; where it fails, the error is told with its words.
 * @template Answer
 * @param {Promise<Answer>} call
 * @returns {Promise<Answer>}
 */
export async function inWords(call) {
  try {
    return await call;
  } catch (error) {
    throw await told(error);
  }
}

/**
 * Warnings in words, each once.
 * @param {import("./samples.js").Warning[]} warnings
 */
export async function warningsInWords(warnings) {
  if (!warnings.length) return [];
  const { allInWords } = await import("./failures.js");
  return allInWords(warnings);
}
