/** What cannot be sent to a worker, and the error that says so. */

import { failure } from "./errors.js";
import { NAME } from "./inputs.js";
import { channelsOf, checkSound } from "./sound_faults.js";

/** By their names, calls whose first argument is sound: throw where it is none. */
const CHECKS = {
  run: ([samples, rateHz]) => checkSound({ name: NAME, channels: [samples].flat(), rateHz }),
  stream: ([, method, pcm]) => method === "feed" && channelsOf(NAME, pcm),
};

/**
 * The error of a call with something that cannot be sent: that of an engine in this thread where it is sound.
 * @param {string} call
 * @param {any[]} args
 */
export function unsent(call, args) {
  try {
    CHECKS[call]?.(args);
  } catch (error) {
    return error;
  }
  return failure("worker_option", { option: args.flatMap((each) => unsendable(each, "")).join(", ") });
}

/** The paths of what cannot be cloned in a value. @param {unknown} value @param {string} path @returns {string[]} */
function unsendable(value, path) {
  try {
    structuredClone(value);
    return [];
  } catch {
    // What is deeper than an option of an option, such as the methods of a detector, is not named.
    const entries = typeof value === "object" && !path.includes(".") ? Object.entries(value) : [];
    const within = entries.flatMap(([name, each]) => unsendable(each, path ? `${path}.${name}` : name));
    return within.length ? within : [path || "an argument"];
  }
}
