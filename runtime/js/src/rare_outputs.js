/** What heads give that few models have: labels of frames, such as who speaks when, and an embedding. */

import { bestColumns, softmax } from "./ctc.js";
import { FrameLabel } from "./result.js";

/** @typedef {import("./ctc.js").Matrix} Matrix */
/** @typedef {import("./heads.js").FrameClassificationHead} FrameClassificationHead */

/**
 * The fields of a result: an embedding; labels, and their mean confidence, weighted by duration.
 * @param {import("./ctc.js").Outputs} outputs
 * @param {import("./heads.js").Heads} heads
 * @param {number} frameS seconds from one frame to the next
 */
export function readRare(outputs, { frameClassification, embedding }, frameS) {
  const found = embedding ? { embedding: Array.from(outputs[embedding.output].data) } : {};
  if (!frameClassification) return found;
  const frameLabels = stretchesOf(outputs[frameClassification.output], frameClassification, frameS);
  return { ...found, frameLabels, confidence: meanOfStretches(frameLabels) };
}

/** @param {FrameLabel[]} stretches */
function meanOfStretches(stretches) {
  const length = ({ startS, endS }) => endS - startS;
  const totalS = stretches.reduce((sum, each) => sum + length(each), 0);
  return stretches.length ? stretches.reduce((sum, each) => sum + length(each) * each.confidence, 0) / totalS : 1;
}

/**
 * The stretches of frames that have a label, in order of their starts; those of several labels may overlap.
 * @param {Matrix} logits `[frames, labels]`
 * @param {FrameClassificationHead} head what the columns mean, and whether a frame has one label
 *   or any number of them
 * @param {number} frameS seconds from one frame to the next
 */
function stretchesOf(logits, head, frameS) {
  const { probabilities, isPresent } = head.exclusive ? likeliest(logits) : independent(logits);
  const frames = logits.dims[0];
  const found = head.labels.flatMap((label, column) => {
    const stretches = [];
    for (let start = 0, end; start < frames; start = end + 1) {
      for (end = start; end < frames && isPresent(end, column);) end += 1;
      if (end === start) continue;
      let sum = 0;
      for (let frame = start; frame < end; frame += 1) sum += probabilities(frame, column);
      const times = { startS: start * frameS, endS: end * frameS };
      stretches.push(new FrameLabel({ label, ...times, confidence: sum / (end - start) }));
    }
    return stretches;
  });
  return found.sort((one, other) => one.startS - other.startS);
}

/** Each frame has one label. @param {Matrix} logits */
function likeliest(logits) {
  const width = logits.dims[1];
  const columns = bestColumns(logits);
  const rows = Array.from(columns, (_, frame) => softmax(logits.data.subarray(frame * width, (frame + 1) * width)));
  return {
    probabilities: (frame, column) => rows[frame][column],
    isPresent: (frame, column) => columns[frame] === column,
  };
}

/** Each label is there or not by itself. @param {Matrix} logits */
function independent({ data, dims: [, width] }) {
  return {
    probabilities: (frame, column) => (1 + Math.tanh(data[frame * width + column] / 2)) / 2,
    isPresent: (frame, column) => data[frame * width + column] > 0,
  };
}
