/** Files of a bundle that are not what its manifest says, or no manifest. */

import { failure } from "./errors.js";

/** What another copy may mend. */
const STALE = ["file_size", "file_digest"];

/**
 * A file that is not listed, is missing, or has another size.
 * @param {import("./bundle.js").Bundle} bundle
 * @param {string} name
 * @param {Uint8Array | null | undefined} bytes its content; undefined where it is not listed
 */
export function fileFault({ folder, source, manifest }, name, bytes) {
  if (bytes === undefined) return failure("file_unlisted", { folder, name });
  const path = source.pathOf(name);
  if (bytes === null) return failure("file_missing", { path });
  return failure("file_size", { path, bytes: bytes.length, expected: manifest.files.get(name).size_bytes });
}

/**
 * A manifest that is no JSON. Servers of single-page apps answer every address with their page.
 * @param {string} path
 * @param {Uint8Array} bytes its content
 * @param {Error} error
 */
export function notJson(path, bytes, { message: reason }) {
  const isMarkup = /^\s*</.test(new TextDecoder().decode(bytes.subarray(0, 99)));
  return isMarkup ? failure("manifest_markup", { path }) : failure("manifest_not_json", { path, reason });
}

/**
 * What is made of a file that is fetched anew, which browsers then keep, too; other errors are passed on.
 * @template Made
 * @param {import("./bundle.js").Bundle} bundle
 * @param {string} name
 * @param {(bytes: Uint8Array) => Promise<Made>} make
 * @param {any} error
 * @returns {Promise<Made>}
 */
export async function usingFresh(bundle, name, make, error) {
  if (!bundle.source.isRemote || !STALE.includes(error.id)) throw error;
  return make(await bundle.read(name, { cache: "reload" }));
}
