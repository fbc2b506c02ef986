/** The package in pages and workers: bundles at addresses, WebGPU or WebAssembly. */

import { LOAD_DEFAULTS, loadEngine } from "./engine.js";
import { failure } from "./errors.js";
import { LanguageModel } from "./language_model.js";
import { openSilero } from "./silero.js";
import { addressSource } from "./sources.js";
import { webBackEnd } from "./backend_web.js";

export * from "./exports.js";
export { loadInWorker } from "./worker_client.js";

const BACK_ENDS = {
  webgpu: (options) => webBackEnd("webgpu", options),
  wasm: (options) => webBackEnd("wasm", options),
};
const DEFAULTS = { ...LOAD_DEFAULTS, runtime: null, wasmPaths: null, cache: true };

/**
 * Open a bundle and make an engine of it.
 * @param {string | URL} bundle address of the folder, relative to the page
 * @param {object} [options]
 * @returns {Promise<import("./engine.js").Engine>}
 */
export async function load(bundle, options = {}) {
  const address = new URL(bundle, globalThis.document?.baseURI ?? globalThis.location?.href);
  return loadEngine(addressSource(address, options), BACK_ENDS, options, DEFAULTS);
}

/**
 * Read an n-gram language model in ARPA form; the address of one that is compressed with gzip ends in `.gz`.
 * @param {string | URL} address
 */
export async function readLanguageModel(address) {
  const response = await fetch(address);
  const path = String(address);
  if (!response.ok) throw failure("lm_unreadable", { path, reason: `${response.status} ${response.statusText}` });
  return LanguageModel.read(new Uint8Array(await response.arrayBuffer()), path);
}

/**
 * Silero's voice activity for the end points of one stream at a time, in place of energy.
 * @param {string | URL} address of `silero_vad.onnx`, versions 5 and 6
 * @param {{ runtime?: string, wasmPaths?: string | object }} [options] those of `load`
 */
export async function loadSilero(address, options = {}) {
  const response = await fetch(address);
  const bytes = response.ok ? new Uint8Array(await response.arrayBuffer()) : null;
  return openSilero(bytes, String(address), await BACK_ENDS.wasm({ ...options, threads: 1 }), "wasm");
}
