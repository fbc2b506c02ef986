/**
 * How a WAV file is built: where its sound lies, and what is wrong with it. A chunk is four letters, a size, and that
 * many bytes, padded to an even count: "Multimedia Programming Interface and Data Specifications 1.0" (IBM and
 * Microsoft, 1991). RF64 (EBU Tech 3306) keeps the size of its sound in the chunk `ds64`.
 */

import { refusal } from "./refusals.js";

/** The format stands in a longer header, with more than two channels or 16 bits. */
const EXTENSIBLE = 0xfffe;
/** From here on a size means "not known yet": a writer into a pipe does not know how long its sound gets. */
const LEAST_UNKNOWN_SIZE = 0x7ffff000;
/** What libsndfile, which reads files for the Python package, says of them. */
const REASONS = {
  unknown: "Format not recognised",
  noSamples: "Error in WAV file. No 'data' chunk marker",
  shortFormat: "Error in WAV/W64/RF64 file. Short 'fmt ' chunk",
  noChannels: "Channel count is zero",
  noLongSize: "Unspecified internal error",
};
/** The same of chunks behind the sound of which it would be read alone. */
const MORE_SOUND = {
  data: "Internal error : SF_INFO struct incomplete",
  RIFF: "Error in WAV file. No 'RIFF' chunk marker",
  RF64: "Error in WAV file. No 'RIFF' chunk marker",
  RIFX: "Error in WAV file. No 'RIFF' chunk marker",
};

/**
 * @typedef {object} WavStructure
 * @property {{ code: number, channels: number, rateHz: number, bits: number }} format
 * @property {number} start of the sound
 * @property {number} size of the sound that is there, in bytes
 * @property {boolean} truncated the file ends before its sound does
 */

/**
 * Where the sound of a WAV file lies; what would be answered in part, or in one of two formats, is refused.
 * @param {DataView} view
 * @param {string} name what messages call the file
 * @returns {WavStructure}
 */
export function wavStructure(view, name) {
  const unreadable = (reason) => refusal("wav_unreadable", { name, reason });
  const { format, start, promised } = header(view, unreadable);
  const left = view.byteLength - start;
  // Sound that follows a size of 0 comes from a recorder that was ended before it knew the size.
  const isKnown = promised < Infinity && (promised > 0 || isChunk(view, start));
  const size = isKnown ? Math.min(promised, left) : left;
  const more = MORE_SOUND[soundBehind(view, start + size)];
  if (more) throw unreadable(more);
  return { format, start, size, truncated: isKnown && promised > left };
}

/** @param {DataView} view @param {(reason: string) => Error} unreadable */
function header(view, unreadable) {
  const form = letters(view, 0, 4);
  const isLong = form === "RF64";
  if ((form !== "RIFF" && !isLong) || letters(view, 8, 4) !== "WAVE") throw unreadable(REASONS.unknown);
  let [format, longSize] = [null, null];
  for (let at = 12, name; (name = letters(view, at)) !== null; ) {
    const [size, start] = [view.getUint32(at + 4, true), at + 8];
    if (name === "data" && format) {
      if (isLong && longSize === null && size === 0xffffffff) throw unreadable(REASONS.noLongSize);
      return { format, start, promised: longSize || (size < LEAST_UNKNOWN_SIZE ? size : Infinity) };
    }
    if (name === "data" || (name === "fmt " && format)) break; // which of two formats holds nobody knows
    if (name === "fmt ") format = formatOf(view, start, size, unreadable);
    if (name === "ds64" && isLong && start + 16 <= view.byteLength) {
      longSize = Number(view.getBigUint64(start + 8, true));
    }
    at = start + size + (size % 2);
  }
  throw unreadable(REASONS.noSamples);
}

/** @param {DataView} view @param {number} start @param {number} size @param {(reason: string) => Error} unreadable */
function formatOf(view, start, size, unreadable) {
  if (size < 16 || start + 16 > view.byteLength) throw unreadable(REASONS.shortFormat);
  const code = view.getUint16(start, true);
  const isExtensible = code === EXTENSIBLE && size >= 26 && start + 26 <= view.byteLength;
  const channels = view.getUint16(start + 2, true);
  if (!channels) throw unreadable(REASONS.noChannels);
  return {
    code: isExtensible ? view.getUint16(start + 24, true) : code,
    channels,
    rateHz: view.getUint32(start + 4, true),
    bits: view.getUint16(start + 14, true),
  };
}

/** The first chunk behind a place that holds sound. Titles, and what is no chunk, do no harm. */
function soundBehind(view, at) {
  while (at < view.byteLength) {
    if (at % 2 && !view.getUint8(at)) at += 1; // the padding, which some programs leave out
    const name = letters(view, at);
    if (name === null || name in MORE_SOUND) return name;
    at += 8 + view.getUint32(at + 4, true);
  }
  return null;
}

/** Whether a chunk begins here, and no sound without one, or the file ends. @param {DataView} view @param {number} at */
function isChunk(view, at) {
  if (at === view.byteLength) return true;
  const name = letters(view, at);
  return name in MORE_SOUND || (name !== null && at + 8 + view.getUint32(at + 4, true) <= view.byteLength);
}

/**
 * The name of a chunk; null where none begins here.
 * @param {DataView} view
 * @param {number} at
 * @param {number} [length] of the name and the size
 */
function letters(view, at, length = 8) {
  if (at + length > view.byteLength) return null;
  const name = String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at, 4));
  return /^[ -~]{4}$/.test(name) ? name : null;
}
