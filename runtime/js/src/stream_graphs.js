/** The graphs of a bundle's cached streams, each of which is loaded once. */

import { failure } from "./errors.js";
import { oneLine } from "./graph_faults.js";
import { INPUT } from "./inputs.js";
import { roundHalfEven } from "./numbers.js";

/** The input that says how many samples of a block are sound, and the name of the dynamic axis. */
const SAMPLES = "samples";
/** What the name of a state begins with as an output. */
const NEXT = "next.";

/** @typedef {import("./graph_session.js").Session} Session */
/** @typedef {import("./graph_session.js").Tensor} Tensor */

/** The graphs of one precision: `session` gives that for chunks of a length. */
export class StreamGraphs {
  /**
   * @param {import("./bundle.js").Bundle} bundle whose manifest describes streams
   * @param {(file: string, dimensions: object) => Promise<Session>} open opens one of its graphs with lengths of axes
   * @param {{ output: string }[]} outputs those of the heads
   * @param {string} precision whose graph to take, where the bundle has it; otherwise the first
   */
  constructor(bundle, open, outputs, precision) {
    /** The manifest's entry `stream`. */
    this.streams = bundle.manifest.stream;
    this.precision = Object.hasOwn(this.streams.files, precision) ? precision : Object.keys(this.streams.files)[0];
    this._bundle = bundle;
    this._openGraph = open;
    this._outputs = outputs.map(({ output }) => output);
    /** @type {Map<number, Promise<ChunkSession>>} */
    this._sessions = new Map();
  }

  /** Lengths of chunks that the bundle is certified for, in milliseconds. */
  get chunksMs() {
    const { frameS } = this._bundle.manifest.geometry;
    return this.streams.chunk_frames.map((frames) => roundHalfEven(frames * frameS * 1e3));
  }

  /**
   * The session for chunks of a length.
   * @param {number | null} [chunkMs] the first of the manifest where null
   * @returns {Promise<ChunkSession>}
   */
  async session(chunkMs = null) {
    const place = chunkMs === null ? 0 : this.chunksMs.indexOf(chunkMs);
    if (place < 0) {
      const { folder } = this._bundle;
      throw failure("stream_chunk", { folder, chunk: chunkMs, chunks: this.chunksMs.join(", ") });
    }
    const frames = this.streams.chunk_frames[place];
    if (!this._sessions.has(frames)) this._sessions.set(frames, this._open(frames));
    return this._sessions.get(frames);
  }

  async release() {
    const opened = await Promise.allSettled(this._sessions.values()); // of one that failed there is nothing to release
    for (const { value } of opened) await value?.release();
    this._sessions.clear();
  }

  /** @param {number} chunkFrames */
  async _open(chunkFrames) {
    const { geometry } = this._bundle.manifest;
    const file = this.streams.files[this.precision];
    const length = geometry.hop * (chunkFrames + this.streams.look_ahead_frames - 1) + geometry.receptiveField;
    const session = await this._openGraph(file, { [SAMPLES]: length });
    checkStates(session, this.streams, this._outputs, this._bundle.source.pathOf(file));
    return new ChunkSession(session, chunkFrames);
  }
}

/** Runs the chunks of many streams. */
class ChunkSession {
  /**
   * @param {Session} session
   * @param {number} chunkFrames new frames in a chunk
   */
  constructor(session, chunkFrames) {
    this._session = session;
    this.chunkFrames = chunkFrames;
  }

  /**
   * What the graph gives for a block of sound and the states of its stream; a state may be what it gave before.
   * @param {{ [name: string]: Tensor }} feeds
   * @returns {Promise<{ [name: string]: Tensor }>}
   */
  async run(feeds) {
    try {
      return await this._session.run(feeds);
    } catch (error) {
      if (this._isReleased) throw failure("engine_closed"); // while the chunk was waiting
      throw failure("device_failed_chunk", { reason: oneLine(error) });
    }
  }

  async release() {
    this._isReleased = true;
    await this._session.release();
  }
}

/**
 * @param {Session} session
 * @param {import("./manifest.js").StreamEntry} streams
 * @param {string[]} own outputs of the heads
 * @param {string} path
 */
function checkStates(session, streams, own, path) {
  const states = Object.keys(streams.states);
  const inputs = session.inputs.map(({ name }) => name);
  const outputs = session.outputs.map(({ name }) => name);
  const wantedInputs = [INPUT, SAMPLES, ...states];
  const wantedOutputs = [...own, ...states.map((name) => NEXT + name)];
  const odd = [
    ...inputs.filter((name) => !wantedInputs.includes(name)),
    ...wantedInputs.filter((name) => !inputs.includes(name)),
    ...wantedOutputs.filter((name) => !outputs.includes(name)),
  ];
  if (odd.length) throw failure("graph_stream", { path, names: [...new Set(odd)].sort().slice(0, 4).join(", ") });
}
