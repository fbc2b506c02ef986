/** The golden self-test: does this browser give the outputs that the export gave? */

import { secondsText } from "./words.js";

/** @returns {Promise<string>} what a person reads of it */
export async function selfTest(engine) {
  const began = performance.now();
  const found = await engine.selfTest();
  const verdict = found.passed ? "Passed" : "Failed: other outputs than at the export";
  const lines = [`${verdict}, in ${secondsText((performance.now() - began) / 1e3)}`, lineOf(found.variant, found)];
  for (const stream of found.streams) lines.push(lineOf(`Stream of ${stream.chunkMs} ms`, stream));
  return lines.join("\n");
}

function lineOf(name, { differences, tolerance }) {
  const largest = Math.max(...Object.values(differences));
  return `${name}: outputs within ${largest.toPrecision(2)}, ${tolerance} allowed`;
}
