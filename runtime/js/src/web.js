/** The package in pages and workers: bundles at addresses, WebGPU or WebAssembly. */

import { webBackEnd } from "./backend_web.js";
import { inWords } from "./errors.js";
import { LanguageModel } from "./language_model.js";
import { requireKind, withDefaults } from "./options.js";
import { refusal } from "./refusals.js";
import { guarded } from "./reject_below.js";
import { openSilero } from "./silero.js";
import { WEB_DEFAULTS, load as loadUnguarded } from "./web_load.js";
import { loadInWorker as loadInWorkerUnguarded } from "./worker_client.js";
import { shown } from "./written.js";

export * from "./exports.js";

/**
 * Open a bundle and make an engine of it.
 * @param {string | URL} bundle address of the folder, relative to the page
 * @param {object} [options]
 * @returns {Promise<import("./engine.js").Engine>}
 */
export async function load(bundle, options = {}) {
  requireAddress("bundle", bundle);
  return guarded(await loadUnguarded(bundle, options));
}

/**
 * Open a bundle in a worker.
 * @param {string | URL} bundle address of the folder, relative to the page
 * @param {object} [options] those of `load`, and `worker`: one that was made of `wav2edge/worker`, for bundlers that do
 *   not find it by themselves
 * @returns {Promise<import("./worker_client.js").WorkerEngine>}
 */
export async function loadInWorker(bundle, options = {}) {
  requireAddress("bundle", bundle);
  withDefaults(options, { ...WEB_DEFAULTS, worker: null }, { fail: refusal }); // the worker knows all but the last
  const { runtime = null, wasmPaths = null, worker = null, ...others } = options;
  if (runtime !== null) requireAddress("runtime", runtime);
  if (typeof wasmPaths === "string") requireAddress("wasmPaths", wasmPaths);
  if (worker !== null && !worker.postMessage) {
    throw refusal("option_kind", { option: "worker", value: shown(worker), kind: "a Worker" });
  }
  const own = worker ?? startedWorker();
  try {
    return guarded(await loadInWorkerUnguarded(bundle, { ...others, runtime, wasmPaths, worker: own }));
  } catch (error) {
    if (!worker) own.terminate(); // nobody else has it
    throw error;
  }
}

/** A worker of our own; the policy of a page may forbid it. */
function startedWorker() {
  try {
    return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  } catch ({ message: reason }) {
    throw refusal("worker_forbidden", { reason });
  }
}

/**
 * Read an n-gram language model in ARPA form; the address of one that is compressed with gzip ends in `.gz`.
 * @param {string | URL} address
 */
export async function readLanguageModel(address) {
  return LanguageModel.read(await contentOf(address, "lm_unreadable"), String(address));
}

/**
 * Silero's voice activity for the end points of one stream at a time, in place of energy.
 * @param {string | URL} address of `silero_vad.onnx`, versions 5 and 6
 * @param {{ runtime?: string, wasmPaths?: string | object }} [options] those of `load`
 */
export async function loadSilero(address, options = {}) {
  requireKind("options", options, "object", refusal);
  const bytes = await contentOf(address, "silero_unreadable");
  const backEnd = await inWords(webBackEnd("wasm", { ...options, threads: 1 }));
  return openSilero(bytes, String(address), backEnd, "wasm");
}

/** @param {string} option @param {unknown} address absolute, or relative to the page */
function requireAddress(option, address) {
  try {
    if (typeof address === "string" || address instanceof URL) return void new URL(address, globalThis.location?.href);
  } catch {} // no address: as what is no text
  throw refusal("option_kind", { option, value: shown(address), kind: "an address" });
}

/**
 * The content at an address.
 * @param {string | URL} address
 * @param {string} unreadable the message where there is none
 */
async function contentOf(address, unreadable) {
  let reason;
  try {
    const response = await fetch(address);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    reason = `${response.status} ${response.statusText}`;
  } catch (error) {
    reason = error.message;
  }
  throw refusal(unreadable, { path: String(address), reason });
}
