/**
 * Numbers rounded and written as the Python package rounds and writes them, so that answers and messages are the same.
 */

/**
 * Rounded to an integer; a half goes to the even one.
 * @param {number} value
 */
export function roundHalfEven(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * Rounded to so many decimals; what lies exactly between two goes to the even one.
 * @param {number} value
 * @param {number} decimals
 */
export function rounded(value, decimals) {
  // A binary fraction lies exactly between two decimals only if it is an odd multiple of half of the last one, where
  // toFixed, which is exact otherwise, takes the upper one.
  const halves = Math.abs(value) * 2 ** (decimals + 1);
  if (halves % 2 !== 1) return Number(value.toFixed(decimals));
  return roundHalfEven(value * 10 ** decimals) / 10 ** decimals;
}

/**
 * With so many decimals, as Python's format `.2f`.
 * @param {number} value
 * @param {number} decimals
 */
export function fixed(value, decimals) {
  return rounded(value, decimals).toFixed(decimals);
}
