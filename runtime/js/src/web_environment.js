/** What a page or a program has for ONNX Runtime, where it does not say so itself: the package, threads, the GPU. */

const IS_NODE = typeof process === "object" && Boolean(process.versions?.node);
/** More threads hardly help with clips of seconds, and phones have slow cores beside the fast ones. */
const MOST_THREADS = 4;

/**
 * Precisions that the GPU of this browser computes with, the best first; none where there is no WebGPU. Half precision is
 * a feature of its own (`shader-f16`, https://www.w3.org/TR/webgpu/#shader-f16).
 * @returns {Promise<string[]>}
 */
export async function gpuPrecisions() {
  const adapter = await globalThis.navigator?.gpu?.requestAdapter();
  if (!adapter) return [];
  return adapter.features.has("shader-f16") ? ["fp16", "fp32"] : ["fp32"];
}

/** The package; each of its builds has its own `.wasm` file. @param {string} device */
export function runtimePackage(device) {
  if (IS_NODE) return import("onnxruntime-web");
  return device === "webgpu" ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm");
}

/** Threads share memory, which browsers give to pages that are cross-origin isolated only. */
export function usualThreads() {
  if (IS_NODE || !globalThis.crossOriginIsolated) return 1;
  return Math.max(1, Math.min(MOST_THREADS, Math.floor(navigator.hardwareConcurrency / 2)));
}
