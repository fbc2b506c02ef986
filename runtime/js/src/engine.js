/** The engine: one ONNX graph, recognising clip after clip. */

import { Bundle } from "./bundle.js";
import { failure, inWords } from "./errors.js";
import { GraphSession, openGraph } from "./graph_session.js";
import { outputsOf } from "./heads.js";
import { withDefaults } from "./options.js";
import { Recognizer, isConfidence } from "./recognizer.js";

/** Threads that can be had, as in Python: ONNX Runtime takes minutes to start many more. */
const MOST_THREADS = 4096;
/** Options of `load` that hold wherever it runs. */
export const LOAD_DEFAULTS = {
  device: "auto",
  threads: null,
  variant: null,
  language: null,
  decoder: null,
  verify: true,
  rejectBelow: 0,
  segmentation: null,
};

/** @typedef {import("./graph_session.js").BackEnd} BackEnd */

/** Recognises clips with one graph of a bundle. Make one with `load`. */
export class Engine extends Recognizer {
  /**
   * @param {Bundle} bundle
   * @param {object} parts
   * @param {GraphSession} parts.session
   * @param {import("./manifest.js").Variant} parts.variant
   * @param {import("./stream_graphs.js").StreamGraphs | null} parts.graphs those of cached streams
   * @param {import("./hypothesis.js").Decoder | null} parts.decoder
   * @param {number} parts.rejectBelow
   * @param {import("./segmentation.js").Segmentation | null} parts.segmentation
   */
  constructor(bundle, { session, variant, graphs, ...reading }) {
    super({ ...bundle.manifest, heads: variant.heads }, reading);
    this.bundle = bundle;
    /** The name of the variant in its bundle. */
    this.precision = variant.name;
    /** Where the graph runs. */
    this.device = session.device;
    this.graphs = graphs;
    /** @type {GraphSession | null} */
    this._session = session;
    this._name = String(session);
  }

  toString() {
    return this._name;
  }

  /**
   * Each head's output for one clip, without its batch axis.
   * @param {Float32Array} samples at 16 kHz, padded with zeros if they give no frame
   */
  async outputs(samples) {
    this.requireOpen();
    return this._session.outputs(samples);
  }

  requireOpen() {
    if (!this._session) throw failure("engine_closed");
  }

  /**
   * Recognise sound while it comes; several streams may be open at once.
   * @param {object} [options]
   * @param {number} [options.rateHz] sample rate of the source
   * @param {"auto" | "cached" | "two-pass" | "windowed"} [options.kind]
   * @param {number | null} [options.chunkMs] from one answer to the next
   * @param {object} [options.endpointing] where utterances begin and end
   */
  async stream(options = {}) {
    const { openStream } = await import("./streaming/open.js"); // most programs open no stream
    return inWords(openStream(this, this.graphs, options));
  }

  /** Compare the outputs for the golden input with those that the graphs gave when the bundle was exported. */
  async selfTest() {
    const { selfTest } = await import("./self_test.js");
    return inWords(selfTest(this));
  }

  /** Give the memory of the graphs back; the engine cannot be used after it. */
  async close() {
    const session = this._session;
    this._session = null;
    await session?.release();
    await this.graphs?.release();
  }
}

/**
 * Open a bundle and make an engine of it.
 * @param {import("./bundle.js").Source} source
 * @param {{ [device: string]: (options: object) => Promise<BackEnd> }} backEnds what runs graphs on each device, those
 *   that `auto` tries first in front
 * @param {object} options see `LOAD_DEFAULTS`; back ends have further ones
 * @param {object} defaults
 * @returns {Promise<Engine>}
 */
export function loadEngine(source, backEnds, options, defaults) {
  return inWords(openEngine(source, backEnds, options, defaults));
}

async function openEngine(source, backEnds, options, defaults) {
  const chosen = withDefaults(options, defaults);
  const { device, threads, verify, rejectBelow } = chosen;
  const devices = Object.keys(backEnds);
  const names = [...devices, "auto"];
  const isCount = threads === null || (Number.isInteger(threads) && threads > 0 && threads <= MOST_THREADS);
  const isDecoder = chosen.decoder === null || chosen.decoder.decode;
  if (!names.includes(device) || !isCount || !isDecoder || !isConfidence(rejectBelow)) {
    throw (await import("./load_faults.js")).loadFault(chosen, names, MOST_THREADS);
  }
  const bundle = await Bundle.open(source);
  const variant = await bundle.variant(chosen.variant, device, chosen.language);
  const { geometry, stream } = bundle.manifest;
  const { heads, batched, precision } = variant;
  const open = async (each) => {
    const backEnd = await backEnds[each](chosen);
    const session = await openGraph(bundle, variant.file, backEnd, { device: each, threads, verify });
    const graph = new GraphSession(session, { path: source.pathOf(variant.file), heads, geometry, batched });
    try {
      await graph.check();
      if (each === "webgpu") await (await import("./graph_faults.js")).tryOut(graph);
    } catch (error) {
      await session.release();
      throw error;
    }
    return { backEnd, graph };
  };
  const automatic = device === "auto" && (await import("./automatic_device.js"));
  const { backEnd, graph } = await (automatic ? automatic.firstThatWorks(devices, precision, open) : open(device));
  try {
    const openStream = (file, dimensions) =>
      openGraph(bundle, file, backEnd, { device: graph.device, threads, verify, dimensions });
    // What most bundles and programs do without is loaded where it is wanted.
    const streams = stream && graph.device !== "webgpu" && (await import("./stream_graphs.js"));
    const graphs = streams
      ? new streams.StreamGraphs(bundle, openStream, outputsOf(bundle.manifest.heads), precision)
      : null;
    const decoder = chosen.decoder ?? (await bundle.decoder());
    const segmentation = chosen.segmentation && (await import("./segmentation.js")).segmentation(chosen.segmentation);
    const isRare = heads.frameClassification ?? heads.embedding;
    const readRare = isRare && (await import("./rare_outputs.js")).readRare;
    return new Engine(bundle, { session: graph, variant, graphs, decoder, readRare, rejectBelow, segmentation });
  } catch (error) {
    await graph.release();
    throw error;
  }
}
