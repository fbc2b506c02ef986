/** ONNX Runtime as WebAssembly, and on WebGPU, through onnxruntime-web: in pages and workers, and under Node. */

import { feedsOf, session } from "./ort_session.js";

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
  const ort = await imported(device, runtime);
  if (wasmPaths !== null) ort.env.wasm.wasmPaths = wasmPaths;
  ort.env.wasm.numThreads = threads ?? (await environment()).usualThreads();
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

/** Most pages say where ONNX Runtime is, and how many threads it has. */
const environment = () => import("./web_environment.js");

/** The module at an address, or the package. */
async function imported(device, runtime) {
  try {
    if (runtime !== null) return await import(/* @vite-ignore */ /* webpackIgnore: true */ runtime);
    return await (await environment()).runtimePackage(device);
  } catch (error) {
    throw (await import("./graph_faults.js")).missingRuntime(runtime, error);
  }
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
