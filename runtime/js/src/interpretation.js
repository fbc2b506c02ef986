/** From the outputs of a model's heads to a result: transcript, class, labels of frames, embedding. */

import { bestPath, divided, joinWords, meanConfidence, softmax, tempered } from "./ctc.js";
import { Result } from "./result.js";

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
 * @param {typeof import("./frame_labels.js").readFrames | null} [model.readFrames] that of a model which labels frames
 * @param {number} durationS length of the clip
 * @param {string[]} warnings remarks about its audio
 */
export function interpret(outputs, { heads, geometry, decoder, temperatures, readFrames }, durationS, warnings) {
  const found = { durationS, warnings };
  if (heads.frameClassification) {
    const { output } = heads.frameClassification;
    Object.assign(found, readFrames(outputs[output], heads.frameClassification, geometry.frameS));
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
