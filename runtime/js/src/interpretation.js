/** From the outputs of a model's heads to a result: transcript, class, labels of frames, embedding. */

import { bestColumns, bestPath, divided, joinWords, meanConfidence, softmax, tempered } from "./ctc.js";
import { FrameLabel, Result } from "./result.js";

/** @typedef {import("./ctc.js").Matrix} Matrix */
/** @typedef {import("./heads.js").CtcHead} CtcHead */

/**
 * The result of one clip.
 * @param {import("./ctc.js").Outputs} outputs
 * @param {object} model
 * @param {import("./heads.js").Heads} model.heads what the outputs mean
 * @param {import("./geometry.js").ConvGeometry} model.geometry the duration of a frame
 * @param {import("./hypothesis.js").Decoder | null} model.decoder turns the logits into a transcript; the best token of
 *   each frame where null
 * @param {{ [head: string]: number } | null} model.temperatures what each head's logits are divided by before they
 *   become confidences and scores; nothing is where null. Transcript and label do not depend on it
 * @param {number} durationS length of the clip
 * @param {string[]} warnings remarks about its audio
 */
export function interpret(outputs, { heads, geometry, decoder, temperatures }, durationS, warnings) {
  const found = { durationS, warnings };
  if (heads.frameClassification) {
    found.frameLabels = frameLabels(
      outputs[heads.frameClassification.output],
      heads.frameClassification,
      geometry.frameS,
    );
    found.confidence = meanOfStretches(found.frameLabels);
  }
  if (heads.embedding) found.embedding = Array.from(outputs[heads.embedding.output].data);
  if (heads.classification) {
    const { output, labels } = heads.classification;
    const probabilities = softmax(divided(outputs[output].data, temperatures?.classification ?? 1));
    found.labels = labels;
    found.scores = Object.fromEntries(labels.map((label, place) => [label, probabilities[place]]));
    found.confidence = Math.max(...probabilities);
  }
  if (heads.ctc) {
    Object.assign(
      found,
      transcript(outputs[heads.ctc.output], heads.ctc, geometry, decoder, temperatures?.ctc ?? null),
    );
  }
  return new Result(found);
}

/**
 * @param {Matrix} logits `[frames, vocabulary]`
 * @param {CtcHead} head
 */
function transcript(logits, head, geometry, decoder, temperature) {
  const none = { confidence: null, rejected: false };
  const best = decoder ? decoder.decode(logits, head)[0] : { ...none, tokens: bestPath(logits, head) };
  const tokens = temperature === null ? best.tokens : tempered(best.tokens, logits, temperature);
  const words = joinWords(tokens, head, geometry.frameS);
  return {
    words,
    text: words.map((word) => word.text).join(" "),
    confidence: best.confidence ?? meanConfidence(words),
    rejected: best.rejected,
  };
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
 * @param {import("./heads.js").FrameClassificationHead} head what the columns mean, and whether a frame has one label
 *   or any number of them
 * @param {number} frameS seconds from one frame to the next
 */
function frameLabels(logits, head, frameS) {
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
