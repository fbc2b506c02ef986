/** Bundles at an address: fetched, and kept in the browser's cache under their digests. */

import { sha256 } from "./digest.js";
import { failure } from "./errors.js";

const CACHE = "wav2edge";

/**
 * @param {string | URL} address of the folder; its query, if it has one, is that of each file
 * @param {boolean} [cache] whether to keep files, where there is a cache
 * @returns {import("./bundle.js").Source}
 */
export function addressSource(address, cache = true) {
  const [, base, query = ""] = /^([^?#]*?)\/*(\?[^#]*)?(#.*)?$/.exec(address);
  const pathOf = (file) => `${base}/${file}${query}`;
  return {
    name: base,
    pathOf,
    isRemote: true,
    async read(file, files, fetching) {
      // A manifest from a cache may be older than the files: the server is asked whether it has another.
      if (!files) return fetched(pathOf(file), { cache: "no-cache" });
      const { sha256: digest } = files.get(file);
      const store = cache ? await cacheStorage() : null;
      // The address of an entry is its digest: a bundle that was exported again is another entry.
      const key = `${globalThis.location?.origin}/.wav2edge/${digest}?${encodeURIComponent(base)}`;
      const kept = !fetching && (await store?.match(key, { ignoreSearch: true }));
      if (kept) return bytesOf(kept);
      const bytes = await fetched(pathOf(file), fetching);
      if (bytes && store && (await sha256(bytes)) === digest) {
        await store.put(key, new Response(bytes)).catch(noRoom);
        if ((await store.keys()).length > 1) await (await import("./kept_files.js")).forgetOld(store, key, files);
      }
      return bytes;
    },
  };
}

/** What is not kept is fetched again by the next visit. */
const noRoom = () => {};

/** The browser's cache; null where there is none, as on pages that are not secure. */
async function cacheStorage() {
  try {
    return (await globalThis.caches?.open(CACHE)) ?? null;
  } catch {
    return null; // a private window may forbid it
  }
}

/** The content at an address; null: there is no such file. @param {string} path @param {RequestInit} [fetching] */
async function fetched(path, fetching) {
  let reason;
  try {
    const response = await fetch(path, fetching);
    const { ok, status, statusText } = response;
    if (ok || status === 404) return ok ? await bytesOf(response) : null;
    reason = `${status} ${statusText}`;
  } catch (error) {
    reason = error.cause?.message ?? error.message;
  }
  throw failure("bundle_unreachable", { path, reason });
}

/** @param {Response} response */
async function bytesOf(response) {
  return new Uint8Array(await response.arrayBuffer());
}
