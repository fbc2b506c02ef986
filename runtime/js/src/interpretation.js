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
 * @param {typeof import("./rare_outputs.js").readRare | null} [model.readRare] that of a model with heads that few have
 * @param {number} durationS length of the clip
 * @param {string[]} warnings remarks about its audio
 */
export function interpret(outputs, { heads, geometry, decoder, temperatures, readRare }, durationS, warnings) {
  const found = { durationS, warnings, ...readRare?.(outputs, heads, geometry.frameS) };
  if (heads.classification) {
    const { output, labels } = heads.classification;
    const probabilities = softmax(divided(outputs[output].data, temperatures?.classification ?? 1));
    found.labels = labels;
    found.scores = Object.fromEntries(labels.map((label, place) => [label, probabilities[place]]));
    found.confidence = Math.max(...probabilities);
  }
  if (heads.ctc) {
    Object.assign(found, transcript(outputs[heads.ctc.output], heads.ctc, geometry, decoder, temperatures?.ctc));
  }
  return new Result(found);
}

/**
 * @param {Matrix} logits `[frames, vocabulary]`
 * @param {CtcHead} head
 */
function transcript(logits, head, geometry, decoder, temperature) {
  const best = decoder?.decode(logits, head)[0] ?? { tokens: bestPath(logits, head) };
  const { tokens, confidence, rejected } = best;
  const words = joinWords(temperature ? tempered(tokens, logits, temperature) : tokens, head, geometry.frameS);
  const text = words.map((word) => word.text).join(" ");
  return { words, text, confidence: confidence ?? meanConfidence(words), rejected };
}
