/** What is no sound: channels of other kinds or lengths, and rates that no sound has. */

import { failure, shown } from "./errors.js";
import { MAX_RATE_HZ, MIN_RATE_HZ } from "./inputs.js";

/** @typedef {import("./samples.js").Samples} Samples */

/**
 * Refuse what is no sound.
 * @param {string} name what messages call it
 * @param {Samples[]} channels
 * @param {number} rateHz
 */
export function checkSound(name, channels, rateHz) {
  if (rateHz === undefined || rateHz === null) throw failure("audio_no_rate", { option: "rateHz" });
  if (typeof rateHz !== "number") throw failure("audio_rate_type", { option: "rateHz", rate: shown(rateHz) });
  channelsOf(name, channels);
  checkRate(name, rateHz);
}

/**
 * Samples as their channels.
 * @param {string} name what messages call them
 * @param {Samples | Samples[]} samples of one channel, or an array of channels
 * @returns {Samples[]} one or more, all of one length
 */
export function channelsOf(name, samples) {
  const channels = Array.isArray(samples) ? samples : [samples];
  if (!channels.length) throw failure("audio_shape", { name, shape: "(0, 0)" });
  for (const channel of channels) {
    if (!ArrayBuffer.isView(channel) || channel instanceof DataView) {
      throw failure("audio_kind", {
        type: typeName(channel),
        kinds: "a typed array of samples or an array of channels",
      });
    }
  }
  const lengths = channels.map((channel) => channel.length);
  if (lengths.some((length) => length !== lengths[0])) {
    throw failure("audio_channel_lengths", { name, lengths: lengths.join(", ") });
  }
  return channels;
}

/** @param {unknown} value */
function typeName(value) {
  return value === null ? "null" : typeof value === "object" ? value.constructor.name : typeof value;
}

/**
 * Refuse a sample rate that no sound has.
 * @param {string} name
 * @param {number} rateHz
 */
export function checkRate(name, rateHz) {
  if (!(rateHz >= MIN_RATE_HZ && rateHz <= MAX_RATE_HZ)) {
    throw failure("audio_rate_range", { name, rate: shown(rateHz) });
  }
}
