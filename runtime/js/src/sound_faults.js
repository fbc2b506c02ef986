/** What is no sound: channels of other kinds or lengths, and rates that no sound has. */

import { failure, shown } from "./errors.js";
import { MAX_RATE_HZ, MIN_RATE_HZ } from "./inputs.js";
import { fixed } from "./numbers.js";

/** @typedef {import("./samples.js").Samples} Samples */

/** @typedef {typeof failure} Fail makes the errors */

/**
 * Refuse what is no sound, or no whole clip.
 * @param {Pick<import("./clip.js").Recording, "name" | "channels" | "rateHz">
 *   & Partial<Pick<import("./clip.js").Recording, "durationS" | "truncated">>} recording
 */
export function checkSound({ name, channels, rateHz, durationS, truncated }) {
  requireRate(rateHz);
  channelsOf(name, channels);
  checkRate(name, rateHz);
  if (truncated) throw failure("wav_truncated", { name, seconds: fixed(durationS, 2) });
  if (!channels[0].length) throw failure("audio_empty", { name }); // or a worker has their memory
}

/**
 * Samples as their channels.
 * @param {string} name what messages call them
 * @param {Samples | Samples[]} samples of one channel, or an array of channels
 * @param {Fail} [fail]
 * @returns {Samples[]} one or more, all of one length
 */
export function channelsOf(name, samples, fail = failure) {
  const channels = Array.isArray(samples) ? samples : [samples];
  if (!channels.length) throw fail("audio_empty", { name });
  for (const channel of channels) {
    if (!ArrayBuffer.isView(channel) || channel instanceof DataView) {
      throw fail("audio_kind", {
        type: typeName(channel),
        kinds: "a typed array of samples or an array of channels",
      });
    }
  }
  const lengths = channels.map((channel) => channel.length);
  if (lengths.some((length) => length !== lengths[0])) {
    throw fail("audio_channel_lengths", { name, lengths: lengths.join(", ") });
  }
  return channels;
}

/** What messages call the type of a value. @param {unknown} value */
export function typeName(value) {
  return value === null ? "null" : typeof value === "object" ? (value.constructor?.name ?? "object") : typeof value;
}

/**
 * Refuse what is no number of Hz.
 * @param {unknown} rateHz
 * @param {Fail} [fail]
 */
function requireRate(rateHz, fail = failure) {
  if (rateHz === undefined || rateHz === null) throw fail("audio_no_rate", { option: "rateHz" });
  if (typeof rateHz !== "number") throw fail("audio_rate_type", { option: "rateHz", rate: shown(rateHz) });
}

/**
 * Refuse a sample rate that no sound has.
 * @param {string} name
 * @param {number} rateHz
 * @param {Fail} [fail]
 */
export function checkRate(name, rateHz, fail = failure) {
  requireRate(rateHz, fail);
  if (!(rateHz >= MIN_RATE_HZ && rateHz <= MAX_RATE_HZ)) {
    throw fail("audio_rate_range", { name, rate: shown(rateHz) });
  }
}
