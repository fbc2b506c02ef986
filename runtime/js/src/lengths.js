/** Clips of lengths that a model was not made for. */

import { failure, general } from "./errors.js";
import { SAMPLE_RATE_HZ } from "./inputs.js";
import { fixed } from "./numbers.js";

/** A clip that is answered whole, and so many times as long as any in training, gets a warning. */
const FAR_LONGER = 2;

/** @typedef {Pick<import("./manifest.js").Manifest, "heads" | "geometry" | "longestClipS" | "certifiedUpToS">} Model */

/**
 * Samples that a model needs; 0 for most, which answer to a single frame, made of silence if need be.
 * @param {Pick<Model, "heads" | "geometry">} model
 */
export function shortestSamples({ heads, geometry }) {
  const fewest = heads.embedding?.fewestFrames ?? 1;
  return fewest > 1 ? geometry.receptiveField + (fewest - 1) * geometry.hop : 0;
}

/**
 * Warnings of a length; a clip that is too short for the model is refused.
 * @param {number} samples
 * @param {number} durationS of the whole clip, its silence included
 * @param {Model} model
 * @returns {import("./samples.js").Warning[]}
 */
export function lengthWarnings(samples, durationS, { longestClipS, certifiedUpToS, ...model }) {
  if (samples < shortestSamples(model)) {
    const [duration, shortest] = [samples, shortestSamples(model)].map((each) => fixed(each / SAMPLE_RATE_HZ, 2));
    throw failure("audio_too_short_for_model", { name: "array", duration, shortest });
  }
  const warnings = [];
  if (samples < model.geometry.receptiveField) {
    warnings.push(["warning_short", { milliseconds: fixed(durationS * 1e3, 0) }]);
  }
  const limits = [
    ["warning_longer_than_training", longestClipS, FAR_LONGER],
    ["warning_longer_than_certified", certifiedUpToS, 1],
  ];
  const passed = limits.find(([, limitS, times]) => limitS !== null && durationS > times * limitS);
  if (passed) warnings.push([passed[0], { duration: fixed(durationS, 1), limit: general(passed[1]) }]);
  return warnings;
}
