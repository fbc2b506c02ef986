/** The sound of WAV files for programs; pages have the browser's decoders. */

import { otherKind } from "./other_files.js";
import { refusal } from "./refusals.js";
import { typeName } from "./sound_faults.js";
import { wavStructure } from "./wav_structure.js";

const PCM = 1;
const FLOAT = 3;

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
 * The sound of a WAV file, ready for `engine.run`. Its channels know their file: messages call it by its name, and where
 * it ends before its sound does, a clip is refused, and a recording answered with a warning.
 * @param {Uint8Array | ArrayBuffer} content
 * @param {string} [name] what messages call the file
 * @returns {{ channels: import("./clip.js").FileChannels, rateHz: number }}
 */
export function parseWav(content, name = "WAV") {
  const bytes = content instanceof ArrayBuffer ? new Uint8Array(content) : content;
  if (!ArrayBuffer.isView(bytes)) {
    throw refusal("audio_kind", { type: typeName(content), kinds: "the content of a WAV file in a Uint8Array" });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const other = otherKind(view, name);
  if (other) throw other;
  const { format, start, size, truncated } = wavStructure(view, name);
  const reader = READERS[`${format.code} ${format.bits}`];
  if (!reader) throw refusal("wav_only", { name, kind: `WAV of format ${format.code} with ${format.bits} bits` });
  const [type, read] = reader;
  const width = format.bits / 8;
  const frames = Math.floor(size / (width * format.channels));
  const channels = Array.from({ length: format.channels }, (_, channel) => {
    const at = (frame) => start + (frame * format.channels + channel) * width;
    return type.from({ length: frames }, (_, frame) => read(view, at(frame)));
  });
  return { channels: Object.assign(channels, { name, truncated }), rateHz: format.rateHz };
}
