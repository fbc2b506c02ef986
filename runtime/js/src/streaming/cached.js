/** Cached streams: each chunk is computed once, with what earlier ones left behind. */

import { INPUT } from "../inputs.js";
import { joined } from "../joined.js";
import { SpeechLevel } from "./speech_level.js";

/** What a chunk says of a word hardly changes after so much more sound. */
const SETTLED_S = 0.3;

/** The input that says how many samples of the block are sound, `[1] int64`. */
const SAMPLES = "samples";
/** What the name of a state begins with as an output. */
const NEXT = "next.";

const STATE_ARRAYS = { float32: Float32Array, float64: Float64Array, int64: BigInt64Array };

/** @typedef {import("./windowed.js").Outputs} Outputs */
/** @typedef {import("../graph_session.js").Tensor} Tensor */
/**
 * A graph for chunks of one length, open on a back end.
 * @typedef {object} ChunkSession
 * @property {number} chunkFrames new frames in a chunk
 * @property {(feeds: { [name: string]: Tensor }) => Promise<{ [name: string]: Tensor }>} run what the graph gives; a
 *   tensor that it gave may be fed to it again
 */

/** What one stream keeps between two chunks. A session's outputs are its next inputs: nothing is copied. */
export class StreamMemory {
  /**
   * @param {ChunkSession} session
   * @param {object} bundle
   * @param {import("../manifest.js").StreamEntry} bundle.streams the manifest's entry `stream`
   * @param {import("../geometry.js").ConvGeometry} bundle.geometry how samples become frames
   * @param {import("../manifest.js").Heads} bundle.heads what the outputs mean
   */
  constructor(session, { streams, geometry, heads }) {
    this.session = session;
    this.streams = streams;
    this.geometry = geometry;
    this.heads = heads;
    this.blockSamples = geometry.hop * (session.chunkFrames + streams.look_ahead_frames - 1) + geometry.receptiveField;
    this._beginning = zeros(streams.states);
    this.clear();
  }

  /** Begin anew. */
  clear() {
    this._states = this._beginning; // a session only reads its inputs
  }

  /**
   * The outputs for a block.
   * @param {Float32Array} block `[blockSamples]`, zeros behind the end of the sound
   * @param {number} samples of the block are sound
   */
  async run(block, samples) {
    const outputs = await this.session.run({
      [INPUT]: { data: block, dims: [1, block.length] },
      [SAMPLES]: { data: BigInt64Array.of(BigInt(samples)), dims: [1] },
      ...this._states,
    });
    this._states = Object.fromEntries(Object.keys(this._states).map((name) => [name, outputs[`${NEXT}${name}`]]));
    return outputs;
  }
}

/** @param {{ [name: string]: { shape: number[], type: "float32" | "float64" | "int64" } }} states */
function zeros(states) {
  const tensor = ({ shape, type }) => {
    const length = shape.reduce((product, size) => product * size, 1);
    return { data: new STATE_ARRAYS[type](length), dims: shape };
  };
  return Object.fromEntries(Object.entries(states).map(([name, state]) => [name, tensor(state)]));
}

/**
 * One utterance, recognised chunk by chunk; see `Utterance`.
 *
 * A chunk that looks ahead also answers to the frames that it looks ahead to, as if the sound ended there: these are
 * the latest answers until the next chunk computes the same frames once more, with more of what comes after them.
 */
export class CachedUtterance {
  /**
   * @param {StreamMemory} memory of the stream; it is cleared, and belongs to this utterance from here on
   * @param {number} start sample of the stream at which the utterance begins
   * @param {SpeechLevel} [level] of the stream, which has begun with this utterance; without it its sound is recognised
   *   as it is
   */
  constructor(memory, start, level = new SpeechLevel()) {
    const { session, streams, geometry, heads } = memory;
    this.start = start;
    this.decides = true;
    this.settledS = SETTLED_S + streams.look_ahead_frames * geometry.frameS;
    this._memory = memory;
    this._level = level;
    this._ctc = heads.ctc;
    this._classification = heads.classification;
    this._origin = start;
    this._hop = geometry.hop;
    this._chunkFrames = session.chunkFrames;
    this._delay = streams.delay_frames;
    this._waiting = new Float32Array(memory.blockSamples);
    this._count = 0; // samples that wait
    this._frames = 0; // that were answered
    this._computed = 0; // and those that their answers are read from, and more of them
    /** @type {Float32Array[]} */
    this._chunks = [];
    this._provisional = new Float32Array(0); // of the frames that the last chunk looked ahead to
    this._pooled = heads.classification && new Float32Array(heads.classification.labels.length);
    memory.clear();
  }

  get taken() {
    return this._origin + this._computed * this._hop + this._count;
  }

  get heard() {
    return this.start + (this._frames + this._provisional.length / this._width) * this._hop;
  }

  /** @returns {Outputs} */
  get outputs() {
    /** @type {Outputs} */
    const found = {};
    if (this._ctc) {
      this._chunks = [joined(this._chunks)];
      const data = joined([...this._chunks, this._provisional]);
      found[this._ctc.output] = { data, dims: [data.length / this._width, this._width] };
    }
    if (this._classification) {
      found[this._classification.output] = { data: this._pooled, dims: [this._pooled.length] };
    }
    return found;
  }

  /** @param {Float32Array} samples */
  async feed(samples) {
    return this._add(this._level.apply(samples.subarray(0, this._waiting.length - this._count)));
  }

  /**
   * The last answers are read from what is behind the end, or from silence.
   * @param {number} end
   */
  async finish(end) {
    const { geometry } = this._memory;
    const sound = Math.max(geometry.receptiveField, Math.min(end, this.taken) - this._origin);
    const length = sound + this._delay * this._hop;
    for (let missing; (missing = length - (this.taken - this._origin)) > 0; ) {
      await this._add(new Float32Array(Math.min(missing, this._waiting.length - this._count)));
    }
    this._count = Math.max(0, Math.min(this._count, length - this._computed * this._hop));
    for (let left; (left = framesOf(geometry, this._count)) > 0; ) {
      await this._recognise(Math.min(left, this._chunkFrames));
    }
    this._provisional = new Float32Array(0);
  }

  /**
   * Leave out the frames before a sample of the stream; the transformer goes on to know them.
   * @param {number} position
   */
  async cut(position) {
    const frames = Math.min(this._frames, Math.max(0, Math.floor((position - this.start) / this._hop)));
    this._chunks = [joined(this._chunks).slice(frames * this._width)];
    this.start += frames * this._hop;
    this._frames -= frames;
  }

  async settle() {
    return null;
  }

  decideBy() {} // every chunk decides

  /** Numbers for a frame. */
  get _width() {
    return this._ctc ? this._ctc.vocabulary.length : 1;
  }

  /** Samples that fit into the next chunk, which is computed when it is complete. @param {Float32Array} samples */
  async _add(samples) {
    this._waiting.set(samples, this._count);
    this._count += samples.length;
    if (this._count < this._waiting.length) return false;
    await this._recognise(this._chunkFrames);
    return true;
  }

  /** Compute the next chunk, of which so many frames are new. @param {number} frames */
  async _recognise(frames) {
    const count = this._count;
    this._waiting.fill(0, count);
    const outputs = await this._memory.run(this._waiting, count);
    const unanswered = Math.max(0, this._delay - this._computed);
    const early = Math.min(frames, unanswered);
    if (this._ctc) {
      const { data } = outputs[this._ctc.output];
      const rows = (first, last) => data.slice(first * this._width, last * this._width);
      this._chunks.push(rows(early, frames));
      this._provisional = rows(Math.max(frames, unanswered), framesOf(this._memory.geometry, count));
    }
    if (this._classification) this._pooled = outputs[this._classification.output].data;
    this._computed += frames;
    this._frames += frames - early;
    const advance = this._hop * this._chunkFrames;
    this._waiting.copyWithin(0, advance, count);
    this._count = Math.max(0, count - advance);
  }
}

/**
 * Frames of so many samples; 0 where they are fewer than the receptive field.
 * @param {import("../geometry.js").ConvGeometry} geometry
 * @param {number} samples
 */
function framesOf({ kernels, strides }, samples) {
  return kernels.reduce(
    (count, kernel, layer) => Math.max(0, Math.floor((count - kernel) / strides[layer]) + 1),
    samples,
  );
}
