/** WAV files: "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft, 1991). */

import { fixed } from "./numbers.js";
import { refusal } from "./refusals.js";
import { typeName } from "./sound_faults.js";

const PCM = 1;
const FLOAT = 3;
/** The format stands in a longer header, with more than two channels or 16 bits. */
const EXTENSIBLE = 0xfffe;
/** A writer that does not know how long its sound gets, such as one into a pipe, writes a size of this or more. */
const UNKNOWN_SIZE = 0x7fffff00;

/** How a sample is read, by its format and bits. */
const READERS = {
  // Not as bytes, which streams take for halves of 16-bit samples.
  [`${PCM} 8`]: [Int16Array, (view, at) => (view.getUint8(at) - 128) << 8],
  [`${PCM} 16`]: [Int16Array, (view, at) => view.getInt16(at, true)],
  [`${PCM} 24`]: [Int32Array, (view, at) => (view.getUint16(at, true) << 8) | (view.getInt8(at + 2) << 24)],
  [`${PCM} 32`]: [Int32Array, (view, at) => view.getInt32(at, true)],
  [`${FLOAT} 32`]: [Float32Array, (view, at) => view.getFloat32(at, true)],
  [`${FLOAT} 64`]: [Float64Array, (view, at) => view.getFloat64(at, true)],
};

/**
 * The sound of a WAV file, ready for `engine.run`.
 * @param {Uint8Array | ArrayBuffer} content
 * @param {string} [name] what messages call the file
 * @returns {{ channels: import("./samples.js").Samples[], rateHz: number }}
 */
export function parseWav(content, name = "WAV") {
  const bytes = content instanceof ArrayBuffer ? new Uint8Array(content) : content;
  if (!ArrayBuffer.isView(bytes)) {
    throw refusal("audio_kind", { type: typeName(content), kinds: "the content of a WAV file in a Uint8Array" });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { format, sound } = chunks(view, name);
  const width = format.bits / 8;
  const stored = Math.min(sound.size, view.byteLength - sound.at);
  const frames = Math.floor(stored / (width * format.channels));
  if (sound.size < UNKNOWN_SIZE && stored < sound.size) {
    throw refusal("wav_truncated", { name, seconds: fixed(frames / format.rateHz, 2) });
  }
  const [type, read] = READERS[`${format.code} ${format.bits}`];
  const channels = Array.from({ length: format.channels }, (_, channel) => {
    const at = (frame) => sound.at + (frame * format.channels + channel) * width;
    return type.from({ length: frames }, (_, frame) => read(view, at(frame)));
  });
  return { channels, rateHz: format.rateHz };
}

/** The format and the place of the sound. @param {DataView} view @param {string} name */
function chunks(view, name) {
  const unreadable = (reason) => refusal("wav_unreadable", { name, reason });
  if (view.byteLength < 12 || letters(view, 0) !== "RIFF" || letters(view, 8) !== "WAVE") {
    throw unreadable("Format not recognised");
  }
  let format = null;
  for (let at = 12; at + 8 <= view.byteLength;) {
    const size = view.getUint32(at + 4, true);
    const start = at + 8;
    if (letters(view, at) === "fmt " && start + 16 <= view.byteLength) {
      const code = view.getUint16(start, true);
      format = {
        code: code === EXTENSIBLE && start + 26 <= view.byteLength ? view.getUint16(start + 24, true) : code,
        channels: view.getUint16(start + 2, true),
        rateHz: view.getUint32(start + 4, true),
        bits: view.getUint16(start + 14, true),
      };
    }
    if (letters(view, at) === "data" && format) {
      if (!READERS[`${format.code} ${format.bits}`] || !format.channels) throw unreadable("an encoding other than PCM");
      return { format, sound: { at: start, size } };
    }
    at = start + size + (size % 2);
  }
  throw unreadable("no sound in it");
}

/** @param {DataView} view @param {number} at */
function letters(view, at) {
  return String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at, 4));
}
