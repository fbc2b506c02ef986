/** What is wrong with the page's address. */

const KINDS = ["auto", "cached", "two-pass", "windowed"];

/** Says at once, and not only when somebody records, that there is no such kind of stream. @param {string} kind */
export function checkKind(kind) {
  if (KINDS.includes(kind)) return;
  const error = new Error(`stream=${kind}: no kind of stream; choose ${KINDS.join(", ")}.`);
  throw Object.assign(error, { title: "This address cannot be used" });
}

/** The notice on a page without bundles. */
export const NO_BUNDLE = [
  "No bundle to load",
  "Name one in the address, as ?bundle=URL, or list some in bundles.json next to this page.",
];
