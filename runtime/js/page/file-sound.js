/** Sound of a file, which can be drawn and played. */

import { Pyramid } from "./pyramid.js";

const PIECE = 1 << 16;
/** After so much work the page answers the keys and clicks that wait. */
const SLICE_MS = 8;
const OTHER_RATE_HZ = 48_000;

/** Gives way to everything that waits. */
const pause = () => globalThis.scheduler?.yield?.() ?? new Promise((resume) => setTimeout(resume));

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
    const copies = [];
    while (copies.length < buffer.numberOfChannels) {
      copies.push(new Float32Array(new Memory(4 * buffer.length))); // of zeros, which takes its time
      await pause();
    }
    const [piece, mean] = [new Float32Array(PIECE), new Float32Array(PIECE)];
    let began = performance.now();
    for (let start = 0; start < buffer.length; start += PIECE) {
      const length = Math.min(PIECE, buffer.length - start);
      mean.fill(0);
      for (const [channel, copy] of copies.entries()) {
        buffer.copyFromChannel(piece, channel, start);
        copy.set(piece.subarray(0, length), start);
        for (let at = 0; at < length; at++) mean[at] += piece[at] / copies.length;
      }
      pyramid.append(mean.subarray(0, length));
      if (performance.now() - began < SLICE_MS) continue;
      await pause();
      began = performance.now();
    }
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
