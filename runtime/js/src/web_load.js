/** Opening bundles in pages and workers; a worker needs nothing else of the package. */

import { webBackEnd } from "./backend_web.js";
import { LOAD_DEFAULTS, loadEngine } from "./engine.js";
import { addressSource } from "./sources.js";

const BACK_ENDS = {
  webgpu: (options) => webBackEnd("webgpu", options),
  wasm: (options) => webBackEnd("wasm", options),
};
export const WEB_DEFAULTS = { ...LOAD_DEFAULTS, runtime: null, wasmPaths: null, cache: true };

/**
 * Open a bundle and make an engine of it.
 * @param {string | URL} bundle address of the folder, relative to the page
 * @param {object} [options]
 * @returns {Promise<import("./engine.js").Engine>}
 */
export async function load(bundle, options = {}) {
  const address = new URL(bundle, globalThis.document?.baseURI ?? globalThis.location?.href);
  return loadEngine(addressSource(address, options?.cache), BACK_ENDS, options, WEB_DEFAULTS);
}
