/** The package in pages and workers: bundles at addresses, WebGPU or WebAssembly. */

import { webBackEnd } from "./backend_web.js";
import { inWords } from "./errors.js";
import { LanguageModel } from "./language_model.js";
import { refusal } from "./refusals.js";
import { guarded } from "./reject_below.js";
import { openSilero } from "./silero.js";
import { load as loadUnguarded } from "./web_load.js";

export * from "./exports.js";
export { loadInWorker } from "./worker_client.js";

/**
 * Open a bundle and make an engine of it.
 * @param {string | URL} bundle address of the folder, relative to the page
 * @param {object} [options]
 * @returns {Promise<import("./engine.js").Engine>}
 */
export async function load(bundle, options = {}) {
  return guarded(await loadUnguarded(bundle, options));
}

/**
 * Read an n-gram language model in ARPA form; the address of one that is compressed with gzip ends in `.gz`.
 * @param {string | URL} address
 */
export async function readLanguageModel(address) {
  const response = await fetch(address);
  const path = String(address);
  if (!response.ok) throw refusal("lm_unreadable", { path, reason: `${response.status} ${response.statusText}` });
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
  const backEnd = await inWords(webBackEnd("wasm", { ...options, threads: 1 }));
  return openSilero(bytes, String(address), backEnd, "wasm");
}
