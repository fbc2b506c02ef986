/** What a page or a program has for ONNX Runtime, where it does not say so itself: the package, threads, WebGPU. */

import { failure } from "./errors.js";

const IS_NODE = typeof process === "object" && Boolean(process.versions?.node);
/** More threads hardly help with clips of seconds, and phones have slow cores beside the fast ones. */
const MOST_THREADS = 4;

/** Refuse WebGPU where there is none. @param {string} device */
export async function requireGpu(device) {
  if (await globalThis.navigator?.gpu?.requestAdapter()) return;
  throw failure("device_unusable", { device, reason: "there is no WebGPU" });
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
