/** The engine in a worker: the same calls, and the page stays responsive meanwhile. */

import { failure, told } from "./errors.js";
import { FrameLabel, Result, Segment, Word } from "./result.js";

/** What an engine in a worker has for `Engine`. */
export class WorkerEngine {
  device = "";
  precision = "";
  comfortableS = 0;
  rejectBelow = 0;

  /**
   * @param {Worker | MessagePort} port
   */
  constructor(port) {
    this._port = port;
    this._calls = 0;
    /** @type {Map<number, { resolve: Function, reject: Function, onSegment?: Function }>} */
    this._waiting = new Map();
    port.addEventListener("message", ({ data }) => this._settle(data));
    port.addEventListener("error", ({ message: reason }) =>
      this._fail(failure(reason ? "worker_failed" : "worker_not_there", { reason })),
    );
  }

  toString() {
    return this._name ?? "a worker";
  }

  /** @see Engine.run */
  async run(samples, rateHz, options = {}) {
    const { onSegment, ...others } = options ?? {};
    const listens = typeof onSegment === "function"; // whatever else it is, the engine refuses
    const args = [samples, rateHz, listens ? others : options, listens];
    return revivedResult(await this._call("run", args, { onSegment }));
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
  close() {
    return (this._closing ??= this._close());
  }

  async _close() {
    const closing = this._call("close");
    this._isClosed = true; // what is called from here on is refused
    try {
      await closing;
    } finally {
      this._port.terminate?.();
      await this._fail(failure("engine_closed")); // what was called before, and has no answer
    }
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
    const answer = new Promise((resolve, reject) => this._waiting.set(id, { resolve, reject, ...listeners }));
    try {
      this._port.postMessage({ id, call, args, rejectBelow: this.rejectBelow });
    } catch {
      this._waiting.delete(id);
      throw await told((await import("./worker_faults.js")).unsent(call, args));
    }
    return answer;
  }

  async _settle({ id, result, segment, error }) {
    const call = this._waiting.get(id);
    if (!call) return;
    try {
      if (segment) return call.onSegment(revivedSegment(segment));
    } catch (thrown) {
      call.reject(thrown); // as where the engine itself calls it; what follows is of no interest
    }
    this._waiting.delete(id);
    if (!error) call.resolve(result);
    else call.reject(await errorOf(error));
  }

  /** No call that waits is answered any more. @param {Error} reason */
  async _fail(reason) {
    const waiting = [...this._waiting.values()];
    this._waiting.clear();
    const error = await told(reason);
    for (const { reject } of waiting) reject(error);
  }
}

/**
 * Open a bundle in a worker.
 * @param {string | URL} bundle address of the folder, relative to the page
 * @param {object} options those of `load`, and `worker`, which was made of `worker.js`
 * @returns {Promise<WorkerEngine>}
 */
export async function loadInWorker(bundle, { worker, decoder = null, ...options }) {
  const plain = decoder === null ? null : (await import("./decoders.js")).plainDecoder(decoder);
  // A worker has another base address than the page, or the worker, that starts it.
  const base = globalThis.document?.baseURI ?? location.href;
  const absolute = (address) => (address === null ? null : String(new URL(address, base)));
  const { runtime = null, wasmPaths = null } = options;
  const sent = {
    ...options,
    decoder: plain,
    runtime: absolute(runtime),
    wasmPaths: typeof wasmPaths === "string" ? absolute(wasmPaths) : wasmPaths,
  };
  const engine = new WorkerEngine(worker);
  await engine._load(absolute(bundle), sent);
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
