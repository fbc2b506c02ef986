/** Options that count something. */

import { refusal } from "./refusals.js";
import { shown } from "./written.js";

/**
 * Refuse what is no whole number from 1.
 * @param {{ [option: string]: number }} counts
 */
export function requireCounts(counts) {
  for (const [option, count] of Object.entries(counts)) {
    const value = shown(count);
    if (!(count >= 1)) throw refusal("at_least_one", { option, value });
    if (!Number.isInteger(count)) throw refusal("option_kind", { option, value, kind: "a whole number" });
  }
}
