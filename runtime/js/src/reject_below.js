/** The threshold of an engine that a program holds: a value that cannot be one is refused at once. */

import { isConfidence } from "./recognizer.js";
import { refusal } from "./refusals.js";
import { shown } from "./written.js";

/**
 * @template {import("./engine.js").Engine} Guarded
 * @param {Guarded} engine
 * @returns {Guarded}
 */
export function guarded(engine) {
  let { rejectBelow } = engine;
  return Object.defineProperty(engine, "rejectBelow", {
    get: () => rejectBelow,
    set(confidence) {
      if (typeof confidence !== "number" || !isConfidence(confidence))
        throw refusal("reject_below", { confidence: shown(confidence) });
      rejectBelow = confidence;
    },
    enumerable: true,
  });
}
