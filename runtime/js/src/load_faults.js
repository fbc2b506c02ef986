/** What is wrong with the options of `load`. */

import { failure, shown } from "./errors.js";

/**
 * @param {object} options of which one is wrong
 * @param {string} options.device
 * @param {unknown} options.threads
 * @param {unknown} options.decoder
 * @param {number} options.rejectBelow
 * @param {string[]} devices that there are
 * @param {number} most threads that can be had
 */
export function loadFault({ device, threads, decoder, rejectBelow }, devices, most) {
  if (!devices.includes(device)) return failure("device_unknown", { device, devices: devices.join(", ") });
  if (typeof threads === "number" && !(threads >= 1)) return failure("threads", { threads: shown(threads) });
  if (threads !== null && !Number.isInteger(threads)) {
    return failure("option_kind", { option: "threads", value: shown(threads), kind: "a whole number" });
  }
  if (threads > most) return failure("threads_most", { threads, most });
  if (decoder !== null && !decoder.decode) return failure("decoder_kind", { got: shown(decoder) });
  return failure("reject_below", { confidence: shown(rejectBelow) });
}
