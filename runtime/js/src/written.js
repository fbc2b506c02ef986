/** Values as the Python package writes them in messages. */

/**
 * With so many significant digits, as Python's format `g`.
 * @param {number} value
 * @param {number} [digits]
 */
export function general(value, digits = 6) {
  if (!Number.isFinite(value)) return shown(value);
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < digits) return withoutZeros(value.toFixed(digits - 1 - exponent));
  const size = String(Math.abs(exponent)).padStart(2, "0");
  return `${withoutZeros(mantissa)}e${exponent < 0 ? "-" : "+"}${size}`;
}

/** @param {string} decimal */
function withoutZeros(decimal) {
  return decimal.includes(".") ? decimal.replace(/\.?0+$/, "") : decimal;
}

/** The kinds of values that `typeof` tells apart. */
export const KINDS = {
  number: "a number",
  boolean: "true or false",
  function: "a function",
  object: "an object of options",
};

const CONSTANTS = { null: "None", undefined: "None", true: "True", false: "False" };
const NON_FINITE = { NaN: "nan", Infinity: "inf", "-Infinity": "-inf" };

/**
 * A value as messages show it: texts in quotes.
 * @param {unknown} value
 * @returns {string}
 */
export function shown(value) {
  if (typeof value === "number") return NON_FINITE[value] ?? String(value);
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value)) return `[${value.map(shown).join(", ")}]`;
  if (typeof value === "function") return value.name || "a function";
  if (value !== null && typeof value === "object") {
    if (Object.prototype.toString.call(value) !== "[object Object]") return value.constructor.name;
    return `{${Object.entries(value)
      .map((entry) => entry.map(shown).join(": "))
      .join(", ")}}`;
  }
  return CONSTANTS[value] ?? String(value);
}

/** @param {string} text */
function quoted(text) {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(
    /[\\\n\r\t]/g,
    (each) => ({ "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" })[each],
  );
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote;
}
