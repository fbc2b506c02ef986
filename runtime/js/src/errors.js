/**
 * All errors of this package: each has the words, and the exit code of a command, that the Python package has for it.
 */

import { MESSAGES } from "./messages.js";

/** Base class of all errors that wav2edge throws. `id` is the name of the message in `messages.js`. */
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

/**
 * The error with a message of the table.
 * @param {keyof typeof MESSAGES} id
 * @param {{ [placeholder: string]: unknown }} [values]
 * @returns {Wav2EdgeError}
 */
export function failure(id, values = {}) {
  return failureOf(MESSAGES[id][0], words(id, values), id);
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

/**
 * The words of a message of the table, such as a warning.
 * @param {keyof typeof MESSAGES} id
 * @param {{ [placeholder: string]: unknown }} [values]
 */
export function words(id, values = {}) {
  return MESSAGES[id][1].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}
