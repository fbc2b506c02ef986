/** The engine in a worker: the same calls, and the page stays responsive meanwhile. */

import { failure, told } from "./errors.js";
import { FrameLabel, Result, Segment, Word } from "./result.js";

/** What an engine in a worker has for `Engine`. */
export class WorkerEngine {
  device = "";
  precision = "";
  comfortableS = 0;

  /**
   * @param {Worker | MessagePort} port
   */
  constructor(port) {
    this._port = port;
    this._calls = 0;
    /** @type {Map<number, { resolve: Function, reject: Function, onSegment?: Function }>} */
    this._waiting = new Map();
    port.addEventListener("message", ({ data }) => this._settle(data));
    port.addEventListener("error", (event) => this._fail(new Error(event.message ?? "the worker cannot start")));
  }

  toString() {
    return this._name ?? "a worker";
  }

  /** @see Engine.run */
  async run(samples, rateHz, options = {}) {
    const { onSegment, ...others } = options;
    return revivedResult(await this._call("run", [samples, rateHz, others], { onSegment }));
  }

  /** @see Engine.selfTest */
  async selfTest() {
    return this._call("selfTest");
  }

  /** @see Engine.stream */
  async stream(options = {}) {
    const { openWorkerStream } = await import("./worker_stream.js");
    return openWorkerStream((call, args) => this._call(call, args), revived, options);
  }

  /** @see Engine.close */
  async close() {
    await this._call("close");
    this._port.terminate?.();
    this._isClosed = true;
  }

  /** @param {string} bundle @param {object} options */
  async _load(bundle, options) {
    const { name, ...found } = await this._call("load", [bundle, options]);
    Object.assign(this, found);
    this._name = name;
  }

  /**
   * @param {string} call
   * @param {any[]} [args]
   * @param {object} [listeners]
   */
  async _call(call, args = [], listeners = {}) {
    if (this._isClosed) throw await told(failure("engine_closed"));
    this._calls += 1;
    const id = this._calls;
    return new Promise((resolve, reject) => {
      this._waiting.set(id, { resolve, reject, ...listeners });
      this._port.postMessage({ id, call, args });
    });
  }

  async _settle({ id, result, segment, error }) {
    const call = this._waiting.get(id);
    if (!call) return;
    if (segment) {
      call.onSegment?.(revivedSegment(segment));
      return;
    }
    this._waiting.delete(id);
    if (!error) call.resolve(result);
    else call.reject(await errorOf(error));
  }

  /** The worker itself failed: no call is answered any more. @param {Error} error */
  _fail(error) {
    for (const { reject } of this._waiting.values()) reject(error);
    this._waiting.clear();
  }
}

/**
 * Open a bundle in a worker.
 * @param {string | URL} bundle address of the folder, relative to the page
 * @param {object} [options] those of `load`, and `worker`: one that was made of `wav2edge/worker`, for bundlers that do
 *   not find it by themselves
 * @returns {Promise<WorkerEngine>}
 */
export async function loadInWorker(bundle, { worker, decoder = null, ...options } = {}) {
  const started = worker ?? new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const engine = new WorkerEngine(started);
  // A worker has another base address than the page.
  const absolute = (address) => (address === null ? null : String(new URL(address, document.baseURI)));
  const { runtime = null, wasmPaths = null } = options;
  await engine._load(absolute(bundle), {
    ...options,
    decoder: decoder && (await import("./decoders.js")).plainDecoder(decoder),
    runtime: absolute(runtime),
    wasmPaths: typeof wasmPaths === "string" ? absolute(wasmPaths) : wasmPaths,
  });
  return engine;
}

async function errorOf({ name, message, id }) {
  if (!id) return new Error(message);
  const { failureOf } = await import("./error_classes.js");
  return failureOf(name, message, id);
}

/** The values in the fields of a result or a segment, made anew: what comes out of a worker has lost its classes. */
function revived({ words, frameLabels, ...fields }) {
  return {
    ...fields,
    words: words && words.map((word) => new Word(word)),
    frameLabels: frameLabels && frameLabels.map((each) => new FrameLabel(each)),
  };
}

function revivedSegment(fields) {
  return new Segment(revived(fields));
}

function revivedResult(fields) {
  return new Result({ ...revived(fields), segments: fields.segments && fields.segments.map(revivedSegment) });
}
