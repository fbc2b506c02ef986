/** Options by name: what was given, over what holds otherwise. */

import { failure } from "./errors.js";

/**
 * @template {object} Defaults
 * @param {Partial<Defaults>} given
 * @param {Defaults} defaults every option that there is
 * @returns {Defaults}
 */
export function withDefaults(given, defaults) {
  for (const option of Object.keys(given)) {
    if (!Object.hasOwn(defaults, option)) {
      throw failure("option_unknown", { option, options: Object.keys(defaults).join(", ") });
    }
  }
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(set) };
}
