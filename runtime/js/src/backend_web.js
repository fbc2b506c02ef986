/** ONNX Runtime as WebAssembly, and on WebGPU, through onnxruntime-web: in pages and workers, and under Node. */

import { failure } from "./errors.js";
import { feedsOf, session } from "./ort_session.js";

const IS_NODE = typeof process === "object" && Boolean(process.versions?.node);
/** More threads hardly help with clips of seconds, and phones have slow cores beside the fast ones. */
const MOST_THREADS = 4;

/**
 * @param {"wasm" | "webgpu"} device
 * @param {object} options
 * @param {string | null} [options.runtime] address of onnxruntime-web's module; where null, what the import of that
 *   package gives
 * @param {string | object | null} [options.wasmPaths] where its `.wasm` files are; where null, next to its module
 * @param {number | null} [options.threads]
 * @returns {Promise<import("./graph_session.js").BackEnd>}
 */
export async function webBackEnd(device, { runtime = null, wasmPaths = null, threads = null }) {
  if (device === "webgpu" && !(await globalThis.navigator?.gpu?.requestAdapter())) {
    throw failure("device_unusable", { device, reason: "there is no WebGPU" });
  }
  const ort = await imported(device, runtime);
  if (wasmPaths !== null) ort.env.wasm.wasmPaths = wasmPaths;
  ort.env.wasm.numThreads = threads ?? usualThreads();
  ort.env.logLevel = "fatal"; // an error is thrown as well
  return {
    version: ort.env.versions.web ?? ort.env.versions.common,
    async open(bytes, { device: wanted, dimensions = {} }) {
      const opened = await ort.InferenceSession.create(bytes, {
        executionProviders: [wanted],
        enableMemPattern: false,
        freeDimensionOverrides: dimensions,
        logSeverityLevel: 4,
      });
      return session(
        opened,
        wanted,
        inTurn((feeds) => opened.run(feedsOf(ort, feeds))),
      );
    },
  };
}

/** The package, or the module at an address; each of its builds has its own `.wasm` file. */
async function imported(device, runtime) {
  try {
    if (runtime !== null) return await import(/* @vite-ignore */ /* webpackIgnore: true */ runtime);
    if (IS_NODE) return await import("onnxruntime-web");
    return await (device === "webgpu" ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm"));
  } catch {
    throw failure("runtime_missing", { install: "npm install onnxruntime-web" });
  }
}

/** Threads share memory, which browsers give to pages that are cross-origin isolated only. */
function usualThreads() {
  if (IS_NODE || !globalThis.crossOriginIsolated) return 1;
  return Math.max(1, Math.min(MOST_THREADS, Math.floor(navigator.hardwareConcurrency / 2)));
}

/** One call after the other: a session takes no second one before the first is done. */
function inTurn(run) {
  let before = Promise.resolve();
  return (feeds) => {
    const done = before.then(() => run(feeds));
    before = done.catch(() => {});
    return done;
  };
}
