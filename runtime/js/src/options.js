/** Options by name: what was given, over what holds otherwise. */

import { failure } from "./errors.js";

/**
 * @template {object} Defaults
 * @param {Partial<Defaults>} given
 * @param {Defaults} defaults every option that there is
 * @param {typeof failure} [fail] makes the error where there is no such option
 * @returns {Defaults}
 */
export function withDefaults(given, defaults, fail = failure) {
  for (const option of Object.keys(given)) {
    if (!Object.hasOwn(defaults, option)) {
      throw fail("option_unknown", { option, options: Object.keys(defaults).join(", ") });
    }
  }
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(set) };
}
