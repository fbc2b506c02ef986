/** Sound in pieces, as one. */

/**
 * Arrays one after the other.
 * @param {Float32Array[]} parts
 */
export function joined(parts) {
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
