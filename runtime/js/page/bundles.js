/** The bundles that the page offers, and the engine of the one that is chosen. */

import { loadInWorker } from "../src/worker_client.js";

/**
 * The list of bundles: that of the server, with the one of the address (`?bundle=NAME` or `?bundle=URL`) first.
 * @returns {Promise<{name: string, url: string}[]>} addresses relative to the page
 */
export async function offeredBundles() {
  const wanted = new URLSearchParams(location.search).get("bundle");
  const response = await fetch("bundles.json").catch(() => null);
  const listed = response?.ok ? await response.json() : [];
  if (!wanted) return listed;
  const known = listed.find((each) => each.name === wanted);
  return [known ?? { name: wanted, url: wanted }, ...listed.filter((each) => each !== known)];
}

/** Keeps the choice in the address, so that the page can be opened with it again. */
export function rememberBundle(name) {
  const address = new URL(location.href);
  address.searchParams.set("bundle", name);
  history.replaceState(null, "", address);
}

/**
 * Loads a bundle in a worker.
 * @param {{name: string, url: string}} bundle
 * @param {URLSearchParams} parameters of the page's address: `device`, `threads` and `variant` of `load`
 * @returns {Promise<{engine: object, worker: Worker, threads: number, readyS: number}>} `readyS` is from the call to an
 *     engine that answers
 */
export async function loadBundle(bundle, parameters) {
  const began = performance.now();
  const worker = new Worker(new URL("engine-worker.js", import.meta.url), { type: "module" });
  const options = optionsOf(parameters);
  try {
    const engine = await loadInWorker(bundle.url, { ...options, worker });
    return { engine, worker, threads: options.threads, readyS: (performance.now() - began) / 1e3 };
  } catch (error) {
    worker.terminate();
    throw error;
  }
}

function optionsOf(parameters) {
  const device = parameters.get("device") ?? "wasm";
  const build = device === "wasm" ? "ort.wasm.bundle.min.mjs" : "ort.webgpu.bundle.min.mjs";
  return {
    device,
    runtime: new URL(`../node_modules/onnxruntime-web/dist/${build}`, import.meta.url),
    threads: parameters.has("threads") ? Number(parameters.get("threads")) : usualThreads(),
    variant: parameters.get("variant"),
  };
}

/** Threads share memory, which a browser allows on isolated pages alone; one core is left to the page. */
function usualThreads() {
  return globalThis.crossOriginIsolated ? Math.max(1, Math.min(4, navigator.hardwareConcurrency - 1)) : 1;
}
