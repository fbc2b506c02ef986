/** The result of a recording that was answered in segments. */

import { Result } from "./result.js";

/** @typedef {import("./result.js").Segment} Segment */

/**
 * The result of a recording, from the results of its segments.
 *
 * Its text, words and labels of frames are those of its segments one after the other; its scores and its embedding
 * are their mean, weighted by duration, and its confidence is their mean, weighted by the number of words. Rejected
 * segments count for nothing, unless all are rejected: then the recording is.
 * @param {Segment[]} segments
 * @param {number} durationS
 * @param {string[]} warnings
 */
export function resultOfSegments(segments, durationS, warnings) {
  const kept = segments.filter((segment) => !segment.rejected);
  const counted = kept.length ? kept : segments;
  const texts = segments.map((segment) => segment.text).filter((text) => text !== null);
  const timed = segments.map((segment) => segment.words).filter((words) => words !== null);
  const labelled = segments.map((segment) => segment.frameLabels).filter((labels) => labels !== null);
  const weights = counted.map((segment) => wordCount(segment.text) || segment.durationS);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return new Result({
    durationS,
    text: texts.length || !segments.length ? texts.filter(Boolean).join(" ") : null,
    words: timed.length ? timed.flat() : null,
    scores: meanScores(counted),
    labels: segments[0]?.labels,
    frameLabels: labelled.length ? labelled.flat() : null,
    embedding: meanEmbedding(counted),
    confidence: total ? counted.reduce((sum, each, i) => sum + weights[i] * each.confidence, 0) / total : 1,
    rejected: segments.length > 0 && !kept.length,
    segments,
    warnings,
  });
}

/** @param {string | null} text */
function wordCount(text) {
  return (text ?? "").split(/\s+/).filter(Boolean).length;
}

/** @param {Segment[]} segments */
function meanScores(segments) {
  const scored = segments.filter((segment) => segment.scores !== null);
  const labels = scored[0]?.labels ?? [];
  const mean = weighedMean(scored, (segment) => labels.map((label) => segment.scores[label]));
  return mean && Object.fromEntries(labels.map((label, place) => [label, mean[place]]));
}

/** @param {Segment[]} segments */
function meanEmbedding(segments) {
  return weighedMean(
    segments.filter((segment) => segment.embedding !== null),
    (segment) => segment.embedding,
  );
}

/**
 * The mean of numbers of segments, weighted by duration; null where nothing weighs anything.
 * @param {Segment[]} segments
 * @param {(segment: Segment) => number[]} numbersOf
 */
function weighedMean(segments, numbersOf) {
  const total = segments.reduce((sum, segment) => sum + segment.durationS, 0);
  if (!total) return null;
  const rows = segments.map(numbersOf);
  return rows[0].map((_, column) => rows.reduce((sum, row, i) => sum + row[column] * segments[i].durationS, 0) / total);
}
