/** One ONNX graph on one device: clips in, the outputs of each head out. */

import { failure } from "./errors.js";
import { SAMPLE_RATE_HZ } from "./geometry.js";
import { outputsOf } from "./heads.js";
import { fixed } from "./numbers.js";

/** The input for samples of every graph, `[batch, samples] float32`. */
export const INPUT = "input_values";
/** The input of a batched graph that tells clips from padding, `[batch, samples]`, 1 and 0. */
const MASK = "attention_mask";

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
export async function openGraph(bundle, file, backEnd, { verify, ...placement }) {
  const bytes = await bundle.read(file);
  // The digest takes as long as reading the file: it is computed while the session is built.
  const check = verify ? bundle.checkDigest(file, bytes) : Promise.resolve();
  const opening = backEnd.open(bytes, placement);
  const [digest, session] = await Promise.allSettled([check, opening]);
  if (digest.status === "rejected") {
    if (session.status === "fulfilled") await session.value.release();
    throw digest.reason;
  }
  if (session.status === "fulfilled") return session.value;
  const reason = oneLine(session.reason);
  if (placement.device === "webgpu") throw failure("device_unusable", { device: placement.device, reason });
  throw failure("graph_unloadable", { path: bundle.source.pathOf(file), version: backEnd.version, reason });
}

/** @param {unknown} error */
export function oneLine(error) {
  return String(error instanceof Error ? error.message : error)
    .split(/\s+/)
    .join(" ")
    .trim();
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
    this._heads = heads;
    this._geometry = geometry;
    this._mask = batched ? session.inputs.find(({ name }) => name === MASK)?.type : null;
    this.device = session.device;
    this._checkInputs(batched);
    this._checkOutputs();
  }

  toString() {
    return `${this._path} on ${this.device}`;
  }

  /**
   * Each head's output for a clip, without its batch axis.
   * @param {Float32Array} samples at 16 kHz, padded with zeros if they give no frame
   * @returns {Promise<Outputs>}
   */
  async outputs(samples) {
    const data = this._geometry.padToFrame(samples);
    const dims = [1, data.length];
    const feeds = { [INPUT]: { data, dims } };
    if (this._mask) feeds[MASK] = { data: ones(this._mask, data.length), dims };
    let found;
    try {
      found = await this._session.run(feeds);
    } catch (error) {
      const duration = fixed(data.length / SAMPLE_RATE_HZ, 1);
      throw failure("device_failed", { device: this.device, duration, reason: oneLine(error) });
    }
    const own = outputsOf(this._heads).map(({ output }) => [output, withoutBatch(found[output])]);
    return Object.fromEntries(own);
  }

  async release() {
    await this._session.release();
  }

  /** The graph must ask for the samples, for a mask if it is batched, and for nothing else. */
  _checkInputs(batched) {
    const names = this._session.inputs.map(({ name }) => name);
    const wanted = batched ? [MASK, INPUT] : [INPUT];
    if ([...names].sort().join() !== wanted.join()) {
      const id = batched ? "graph_inputs_batched" : "graph_inputs";
      throw failure(id, { path: this._path, names: names.join(", ") });
    }
  }

  /** The graph must give what the heads say, as wide as they say. */
  _checkOutputs() {
    const widths = new Map(this._session.outputs.map(({ name, width }) => [name, width]));
    for (const { output, width: expected } of outputsOf(this._heads)) {
      if (!widths.has(output)) {
        throw failure("graph_outputs", { path: this._path, names: [...widths.keys()].join(", "), name: output });
      }
      const width = widths.get(output);
      if (width !== null && width !== expected) {
        throw failure("graph_width", { path: this._path, name: output, width, expected });
      }
    }
  }
}

/** @param {Tensor} tensor */
function withoutBatch({ data, dims }) {
  return { data, dims: dims.slice(1) };
}

/** @param {string} type @param {number} length */
function ones(type, length) {
  return type === "bool" ? new Uint8Array(length).fill(1) : new BigInt64Array(length).fill(1n);
}
