/** All errors of this package: each has the exit code of a command that the Python package has for it. */

/** Base class of all errors that wav2edge throws. `id` is the name of a message in `messages.json`. */
export class Wav2EdgeError extends Error {
  name = "Wav2EdgeError"; // not that of the class, which changes where a program is minified
  /** Exit code of a command that the error ends: 1 an input failed, 2 wrong usage, 3 the bundle or the device. */
  exitCode = 1;

  /**
   * @param {string} message
   * @param {string | null} [id]
   */
  constructor(message, id = null) {
    super(message);
    this.id = id;
  }
}

/** An argument or option is invalid, or does not go with the others. */
export class UsageError extends Wav2EdgeError {
  name = "UsageError";
  exitCode = 2;
}

/** A clip cannot be recognised: it is empty, silent, or not finite. */
export class AudioError extends Wav2EdgeError {
  name = "AudioError";
}

/** A language model cannot be read; the message names the line. */
export class DataError extends Wav2EdgeError {
  name = "DataError";
}

/** A bundle is missing, damaged, newer than this version, or inconsistent. */
export class BundleError extends Wav2EdgeError {
  name = "BundleError";
  exitCode = 3;
}

/** The device or its execution provider cannot be used. */
export class DeviceError extends Wav2EdgeError {
  name = "DeviceError";
  exitCode = 3;
}

const CLASSES = { UsageError, AudioError, DataError, BundleError, DeviceError };

/**
 * An error of a class by its name.
 * @param {string} name
 * @param {string} message
 * @param {string | null} id
 */
export function failureOf(name, message, id = null) {
  return new CLASSES[name](message, id);
}
