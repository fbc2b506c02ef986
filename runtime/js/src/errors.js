/**
 * All errors of this package: each has the words, and the exit code of a command, that the Python package has for it.
 *
 * The words of most are loaded when the first of them is told to a program, since most programs see none: inside the
 * package a `Failure` stands for such an error. What programs call without a promise throws a `refusal` instead.
 */

/** Base class of all errors that wav2edge throws. `id` is the name of a message in `messages.json`. */
export class Wav2EdgeError extends Error {
  /** Exit code of a command that the error ends: 1 an input failed, 2 wrong usage, 3 the bundle or the device. */
  exitCode = 1;

  /**
   * @param {string} message
   * @param {string | null} [id]
   */
  constructor(message, id = null) {
    super(message);
    this.name = new.target.name;
    this.id = id;
  }
}

/** An argument or option is invalid, or does not go with the others. */
export class UsageError extends Wav2EdgeError {
  exitCode = 2;
}

/** A clip cannot be recognised: it is empty, silent, or not finite. */
export class AudioError extends Wav2EdgeError {}

/** A language model cannot be read; the message names the line. */
export class DataError extends Wav2EdgeError {}

/** A bundle is missing, damaged, newer than this version, or inconsistent. */
export class BundleError extends Wav2EdgeError {
  exitCode = 3;
}

/** The device or its execution provider cannot be used. */
export class DeviceError extends Wav2EdgeError {
  exitCode = 3;
}

const CLASSES = { UsageError, AudioError, DataError, BundleError, DeviceError };

/** @typedef {typeof import("./written.js")} Writing how values are written, loaded with the words */

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
 * @param {keyof typeof import("./failure_messages.js").MESSAGES} id
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

/**
 * An error of a class by its name, as it comes out of a worker.
 * @param {string} name
 * @param {string} message
 * @param {string | null} id
 */
export function failureOf(name, message, id = null) {
  return new CLASSES[name](message, id);
}
