/** The kind of stream in the page's address. */

const KINDS = ["auto", "cached", "two-pass", "windowed"];

/** Says at once, and not only when somebody records, that there is no such kind. @param {string} kind */
export function checkKind(kind) {
  if (KINDS.includes(kind)) return;
  const error = new Error(`stream=${kind}: no kind of stream; choose ${KINDS.join(", ")}.`);
  throw Object.assign(error, { title: "This address cannot be used" });
}
