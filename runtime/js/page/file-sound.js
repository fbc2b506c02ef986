/** Sound of a file, which can be drawn and played. */

import { Pyramid } from "./pyramid.js";
import { inSlices } from "./slices.js";

const PIECE = 1 << 16;
const OTHER_RATE_HZ = 48_000;

/** A decoded file. */
export class FileSound {
  constructor(buffer) {
    this.buffer = buffer;
    this.rateHz = buffer.sampleRate;
    this.durationS = buffer.duration;
    this.firstS = 0;
    this.pyramid = new Pyramid();
  }

  /** Copies of the channels for the engine; draws the pyramid from their mean on the way. */
  async channels() {
    const { buffer, pyramid } = this;
    const Memory = globalThis.crossOriginIsolated ? SharedArrayBuffer : ArrayBuffer; // shared: the worker needs no copy
    const copies = Array.from(
      { length: buffer.numberOfChannels },
      () => new Float32Array(new Memory(4 * buffer.length)),
    );
    await inSlices(buffer.length, PIECE, (start, end) => {
      const [piece, mean] = [new Float32Array(end - start), new Float32Array(end - start)];
      copies.forEach((copy, channel) => {
        buffer.copyFromChannel(piece, channel, start);
        copy.set(piece, start);
        for (let at = 0; at < piece.length; at++) mean[at] += piece[at] / copies.length;
      });
      pyramid.append(mean);
    });
    return copies;
  }

  /** What an audio context plays for a stretch: a buffer, and where the stretch begins in it. */
  stretch(context, startS) {
    return { buffer: this.buffer, offsetS: startS };
  }
}

/**
 * Decodes a file with what the browser has, at the file's own rate where its header tells it: the engine's resampler,
 * which is that of every binding, then does the rest.
 * @param {File} file
 */
export async function decodeFile(file) {
  const bytes = await file.arrayBuffer();
  const context = new OfflineAudioContext(1, 1, storedRateHz(new DataView(bytes)) ?? OTHER_RATE_HZ);
  try {
    return new FileSound(await context.decodeAudioData(bytes));
  } catch {
    throw new Error(
      `${file.name}: this browser cannot decode it; it is damaged or not audio. Convert it to WAV and choose it again.`,
    );
  }
}

/** The sample rate in the header of a WAV or FLAC file, where an audio context takes it. */
function storedRateHz(view) {
  const word = (at) => (at + 4 <= view.byteLength ? view.getUint32(at) : 0);
  let rate = null;
  if (word(0) === 0x664c6143) rate = word(18) >>> 12; // fLaC, then STREAMINFO: 20 bits at byte 18
  if (word(0) === 0x52494646 && word(8) === 0x57415645) {
    let at = 12; // RIFF, WAVE: to the chunk "fmt "
    while (at + 16 <= view.byteLength && word(at) !== 0x666d7420)
      at += 8 + view.getUint32(at + 4, true) + (view.getUint8(at + 4) & 1);
    if (at + 16 <= view.byteLength) rate = view.getUint32(at + 12, true);
  }
  return rate >= 8000 && rate <= 96_000 ? rate : null;
}
