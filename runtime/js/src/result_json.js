/** Results in JSON: the fields of the Python package, rounded as there. */

import { rounded } from "./numbers.js";

/** Decimals of a confidence or a score, and of times in seconds. */
const OF_CONFIDENCE = 6;
const OF_SECONDS = 4;
/** Digits of a number of an embedding. */
const OF_EMBEDDING = 7;

/** The fields of a result, a segment, a word or a label; those of absent heads are left out. As a method of those. */
export function toJSON() {
  const { labels, scores, embedding, ...others } = this;
  const found = {};
  for (const [name, value] of Object.entries(others)) {
    if (value === null || value === false) continue;
    const key = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const decimals = name === "confidence" ? OF_CONFIDENCE : OF_SECONDS;
    found[key] = typeof value === "number" ? rounded(value, decimals) : value;
  }
  if (scores) {
    found.label = this.label;
    found.scores = Object.fromEntries(labels.map((label) => [label, rounded(scores[label], OF_CONFIDENCE)]));
  }
  if (embedding) found.embedding = embedding.map((each) => Number(each.toPrecision(OF_EMBEDDING)));
  return found;
}
