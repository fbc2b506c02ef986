/** Files that are no WAV files: what they are instead, by their first bytes. */

import { refusal } from "./refusals.js";

const GIT_LFS = "version https://git-lfs";
const HEAD_BYTES = 512;
/** By what they start with, files of sound that only Python reads. */
const OTHERS = {
  fLaC: "FLAC",
  OggS: "Ogg",
  ID3: "MP3",
  FORM: "AIFF",
  caff: "CAF",
  ".snd": "AU",
  riff: "W64",
  RIFX: "RIFX",
};
/** Of Matroska and WebM. */
const EBML = 0x1a45dfa3;

/**
 * The error of a file that is no WAV file; null where nothing is known of it.
 * @param {DataView} view
 * @param {string} name what messages call it
 */
export function otherKind(view, name) {
  const { byteLength } = view;
  if (!byteLength) return refusal("audio_file_empty", { name });
  const head = new Uint8Array(view.buffer, view.byteOffset, Math.min(HEAD_BYTES, byteLength));
  const letters = String.fromCharCode(...head);
  if (letters.startsWith(GIT_LFS)) return refusal("audio_file_git_lfs", { name });
  const isContainer = letters.slice(4, 8) === "ftyp" || (byteLength >= 4 && view.getUint32(0) === EBML);
  if (isContainer) return refusal("audio_file_container", { name });
  const kind = Object.keys(OTHERS).find((mark) => letters.startsWith(mark));
  if (kind) return refusal("wav_only", { name, kind: OTHERS[kind] });
  return isText(head) ? refusal("audio_file_text", { name }) : null;
}

/** Whether these are printable letters. @param {Uint8Array} head */
function isText(head) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: true }); // one may be cut at the end
    return /^[\P{C}\t\n\r]*$/u.test(text);
  } catch {
    return false;
  }
}
