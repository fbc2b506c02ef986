/** Files that a browser cannot decode, and WAV files of which it would read a part without a word. */

import { wavStructure } from "../src/wav_structure.js";

/** @param {string} name of the file */
export function undecodable(name) {
  return new Error(
    `${name}: this browser cannot decode it; it is damaged or not audio. Convert it to WAV and choose it again.`,
  );
}

/**
 * The rate of a WAV file, and whether it ends before its sound does; what has more sound than would be read is refused.
 * @param {DataView} view
 * @param {string} name of the file
 */
export function wavHeader(view, name) {
  const { format, truncated } = wavStructure(view, name);
  return { rateHz: format.rateHz, truncated };
}
