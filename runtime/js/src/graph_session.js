/** One ONNX graph on one device: clips in, the outputs of each head out. */

import { outputsOf } from "./heads.js";
import { INPUT, MASK } from "./inputs.js";

/** @typedef {import("./ctc.js").Outputs} Outputs */
/** @typedef {import("./heads.js").Heads} Heads */
/** @typedef {{ data: any, dims: readonly number[] }} Tensor */
/**
 * A graph that is open on a back end.
 * @typedef {object} Session
 * @property {string} device where it runs
 * @property {{ name: string, type: string }[]} inputs
 * @property {{ name: string, width: number | null }[]} outputs and the length of their last axis, where that is fixed
 * @property {(feeds: { [name: string]: Tensor }) => Promise<{ [name: string]: Tensor }>} run what it gives for typed
 *   arrays with their dimensions; what it gave may be fed to it again as it is
 * @property {() => Promise<void>} release
 */
/**
 * What opens graphs.
 * @typedef {object} BackEnd
 * @property {string} version of ONNX Runtime
 * @property {(bytes: Uint8Array, options: { device: string, threads: number | null, dimensions?: object }) =>
 *   Promise<Session>} open `dimensions` are the lengths of dynamic axes that are known, by their names
 */

/**
 * Open a graph of a bundle.
 * @param {import("./bundle.js").Bundle} bundle
 * @param {string} file
 * @param {BackEnd} backEnd
 * @param {{ device: string, threads: number | null, verify: boolean, dimensions?: object }} options
 * @returns {Promise<Session>}
 */
export function openGraph(bundle, file, backEnd, options) {
  return bundle.using(file, (bytes) => openedGraph(bytes, bundle, file, backEnd, options));
}

async function openedGraph(bytes, bundle, file, backEnd, { verify, ...placement }) {
  // The digest takes as long as reading the file: it is computed while the session is built.
  const check = verify ? bundle.checkDigest(file, bytes) : Promise.resolve();
  const opening = backEnd.open(bytes, placement);
  const [digest, session] = await Promise.allSettled([check, opening]);
  if (digest.status === "rejected") {
    if (session.status === "fulfilled") await session.value.release();
    throw digest.reason;
  }
  if (session.status === "fulfilled") return session.value;
  const { openingFailure } = await import("./graph_faults.js");
  throw openingFailure(session.reason, bundle.source.pathOf(file), backEnd.version, placement.device);
}

/** Runs a graph on clips, one at a time. */
export class GraphSession {
  /**
   * @param {Session} session
   * @param {object} graph
   * @param {string} graph.path what messages call it
   * @param {Heads} graph.heads what the outputs mean
   * @param {import("./geometry.js").ConvGeometry} graph.geometry how samples become frames
   * @param {boolean} graph.batched it takes a mask as well
   */
  constructor(session, { path, heads, geometry, batched }) {
    this._session = session;
    this._path = path;
    this._geometry = geometry;
    this._batched = batched;
    this._outputs = outputsOf(heads);
    this._mask = session.inputs.find(({ name }) => name === MASK)?.type;
    this.device = session.device;
  }

  toString() {
    return `${this._path} on ${this.device}`;
  }

  /**
   * The graph must ask for the samples, for a mask if it is batched, and for nothing else; and it must give what the
   * heads say, as wide as they say.
   */
  async check() {
    const { inputs, outputs } = this._session;
    const wanted = this._batched ? [MASK, INPUT] : [INPUT];
    const isFed = inputs.length === wanted.length && inputs.every(({ name }) => wanted.includes(name));
    const gives = ({ output, width: expected }) =>
      outputs.some(({ name, width }) => name === output && (width ?? expected) === expected);
    if (isFed && this._outputs.every(gives)) return;
    const { graphFault } = await import("./graph_faults.js");
    throw graphFault(this._session, this._path, this._outputs, this._batched);
  }

  /**
   * Each head's output for a clip, without its batch axis.
   * @param {Float32Array} samples at 16 kHz, padded with zeros if they give no frame
   * @returns {Promise<Outputs>}
   */
  async outputs(samples) {
    const data = this._geometry.padToFrame(samples);
    let found;
    try {
      found = await this._run(data);
    } catch (error) {
      const { runningFailure } = await import("./graph_faults.js");
      throw runningFailure(error, data.length, this);
    }
    return Object.fromEntries(this._outputs.map(({ output }) => [output, withoutBatch(found[output])]));
  }

  async release() {
    this.isReleased = true;
    await this._session.release();
  }

  /** @param {Float32Array} data a frame or more */
  _run(data) {
    const dims = [1, data.length];
    const feeds = { [INPUT]: { data, dims } };
    if (this._batched) feeds[MASK] = { data: ones(this._mask, data.length), dims };
    return this._session.run(feeds);
  }
}

/** @param {Tensor} tensor */
function withoutBatch({ data, dims }) {
  return { data, dims: dims.slice(1) };
}

/** @param {string} type @param {number} length */
const ones = (type, length) => (type === "bool" ? new Uint8Array(length).fill(1) : new BigInt64Array(length).fill(1n));
