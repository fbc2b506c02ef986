/** Options by name: what was given, over what holds otherwise. */

import { failure, shown } from "./errors.js";

/**
 * The options, each of the kind of its default. Texts are choices, which are checked where they are made.
 * @template {object} Defaults
 * @param {Partial<Defaults>} given
 * @param {Defaults} defaults every option that there is
 * @param {object} [how]
 * @param {{ [option: string]: string }} [how.kinds] of options that are null by default
 * @param {typeof failure} [how.fail] makes the errors
 * @returns {Defaults}
 */
export function withDefaults(given, defaults, { kinds = {}, fail = failure } = {}) {
  requireKind("options", given, "object", fail);
  const chosen = { ...defaults };
  for (const [option, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaults, option)) {
      throw fail("option_unknown", { option, options: Object.keys(defaults).join(", ") });
    }
    const usual = defaults[option];
    if (value === undefined || value === usual) continue;
    const kind = usual === null ? kinds[option] : typeof usual;
    if (kind && kind !== "string") requireKind(option, value, kind, fail);
    chosen[option] = value;
  }
  return chosen;
}

/**
 * Refuse what is of another kind. Arrays, maps and promises are no objects of options.
 * @param {string} option
 * @param {unknown} value
 * @param {string} kind as `typeof` says it
 * @param {typeof failure} [fail]
 */
export function requireKind(option, value, kind, fail = failure) {
  const isPlain = kind !== "object" || {}.toString.call(value) === "[object Object]";
  if (typeof value === kind && isPlain) return;
  throw fail("option_kind", { option, value: shown(value), kind: ({ KINDS }) => KINDS[kind] });
}
