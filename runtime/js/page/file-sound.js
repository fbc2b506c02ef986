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
  /**
   * @param {AudioBuffer} buffer
   * @param {{ name: string, truncated: boolean }} file what messages call it, and whether it ends before its sound does
   */
  constructor(buffer, file) {
    this.buffer = buffer;
    this.file = file;
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
    return Object.assign(copies, this.file);
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
  const { name } = file;
  const bytes = await file.arrayBuffer();
  const { rateHz, frames, truncated } = await header(new DataView(bytes), name);
  const isUsual = rateHz >= 8000 && rateHz <= 96_000; // others no audio context takes
  const context = new OfflineAudioContext(1, 1, isUsual ? rateHz : OTHER_RATE_HZ);
  try {
    const buffer = await context.decodeAudioData(bytes);
    return new FileSound(buffer, { name, truncated: truncated || (isUsual && buffer.length < frames) });
  } catch {
    throw (await import("./file-faults.js")).undecodable(name);
  }
}

/** What the header of a WAV or FLAC file tells: browsers do not say what is missing, or not read. */
async function header(view, name) {
  const word = (at) => (at + 4 <= view.byteLength ? view.getUint32(at) : 0);
  // fLaC, then STREAMINFO: the rate is 20 bits at byte 18, and the length the 36 before byte 26, all but 4 for our use.
  if (word(0) === 0x664c6143) return { rateHz: word(18) >>> 12, frames: word(22) };
  if (word(8) !== 0x57415645) return {}; // WAVE
  const isPlain = word(36) === 0x64617461 && view.getUint32(40, true) + 44 === view.byteLength; // data, to the end
  if (isPlain) return { rateHz: view.getUint32(24, true) };
  return (await import("./file-faults.js")).wavHeader(view, name);
}
