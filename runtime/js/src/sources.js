/** Bundles at an address: fetched, and kept in the browser's cache under their digests. */

import { sha256 } from "./bundle.js";
import { failure } from "./errors.js";

const CACHE = "wav2edge";

/**
 * @param {string | URL} address of the folder
 * @param {{ cache?: boolean }} [options] whether to keep files, where there is a cache
 * @returns {import("./bundle.js").Source}
 */
export function addressSource(address, { cache = true } = {}) {
  const base = String(address).replace(/\/+$/, "");
  const pathOf = (file) => `${base}/${file}`;
  return {
    name: base,
    pathOf,
    async read(file, digest) {
      const store = cache && digest ? await cacheStorage() : null;
      // The address of an entry is its digest: a bundle that was exported again is another entry.
      const key = `${globalThis.location?.origin}/.wav2edge/${digest}`;
      const kept = await store?.match(key);
      if (kept) return bytesOf(kept);
      const response = await fetched(pathOf(file));
      if (response === null) return null;
      const bytes = await bytesOf(response);
      if (store && (await sha256(bytes)) === digest) await keep(store, key, bytes);
      return bytes;
    },
    isCheckpoint: async () => false,
  };
}

/** The browser's cache; null where there is none, as on pages that are not secure. */
async function cacheStorage() {
  try {
    return (await globalThis.caches?.open(CACHE)) ?? null;
  } catch {
    return null; // a private window may forbid it
  }
}

async function keep(store, key, bytes) {
  try {
    await store.put(key, new Response(bytes));
  } catch {
    // There is no room: the next visit fetches it again.
  }
}

/** @param {string} path */
async function fetched(path) {
  let response;
  try {
    response = await fetch(path);
  } catch (error) {
    throw failure("bundle_unreachable", { path, reason: error.cause?.message ?? error.message });
  }
  if (response.status === 404) return null;
  if (!response.ok) throw failure("bundle_unreachable", { path, reason: `${response.status} ${response.statusText}` });
  return response;
}

/** @param {Response} response */
async function bytesOf(response) {
  return new Uint8Array(await response.arrayBuffer());
}
