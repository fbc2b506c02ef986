/** What is wrong with the options of `load`. */

import { failure, shown } from "./errors.js";

/**
 * @param {object} options of which one is wrong
 * @param {unknown} options.threads
 * @param {unknown} options.decoder
 */
export function loadFault({ threads, decoder }) {
  if (typeof threads === "number" && !(threads >= 1)) return failure("threads", { threads: shown(threads) });
  if (threads !== null && !Number.isInteger(threads)) {
    return failure("option_kind", { option: "threads", value: shown(threads), kind: "a whole number" });
  }
  return failure("decoder_kind", { got: shown(decoder) });
}
