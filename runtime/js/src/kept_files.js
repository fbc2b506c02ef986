/** Files in a browser's cache that no bundle has any more. */

/**
 * Forget the files of a bundle that its manifest does not list: they are of older versions.
 * @param {Cache} store
 * @param {string} key of a file that is listed: its digest, and the address of its bundle as the query
 * @param {import("./bundle.js").Files} files those that are listed
 */
export async function forgetOld(store, key, files) {
  const { search } = new URL(key);
  const listed = new Set([...files.values()].map(({ sha256 }) => sha256));
  for (const { url } of await store.keys()) {
    const { pathname, search: bundle } = new URL(url);
    if (bundle === search && !listed.has(pathname.split("/").at(-1))) await store.delete(url);
  }
}
