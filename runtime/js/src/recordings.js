/** Recordings of any length: spans of speech, recognised one after the other, and joined where speech had to be cut. */

import { bestColumns, logSoftmax } from "./ctc.js";
import { failure, warningsInWords } from "./errors.js";
import { SAMPLE_RATE_HZ, isConstant } from "./inputs.js";
import { shortestSamples } from "./lengths.js";
import { fixed } from "./numbers.js";
import { resultOfSegments } from "./recording_result.js";
import { Resampler } from "./resampler.js";
import { Mixdown, toFloats } from "./samples.js";
import { SHORTEST_S, Segmenter, segmentation } from "./segmentation.js";

/** Samples per channel of a block of a long recording. */
const BLOCK_FRAMES = 1 << 18;

/** @typedef {import("./ctc.js").Matrix} Matrix */
/** @typedef {import("./ctc.js").Outputs} Outputs */
/** @typedef {import("./heads.js").CtcHead} CtcHead */
/** @typedef {import("./clip.js").Recording} Recording */
/** @typedef {import("./recognizer.js").Recognizer} Recognizer */
/** @typedef {import("./samples.js").Warning} Warning */
/** @typedef {{ start: number, end: number, outputs: Outputs }} Piece the outputs of these samples of a recording */

/**
 * Recognise a recording segment by segment.
 * @param {Recognizer} recognizer
 * @param {Recording} recording
 * @param {((segment: import("./result.js").Segment) => void) | null} onSegment is given each as soon as it is known
 */
export async function recogniseRecording(recognizer, recording, onSegment) {
  const found = [];
  /** @type {Warning[]} */
  const warnings = [];
  const segments = recogniseSpans(longEnough(recognizer, recording, warnings), {
    outputs: (samples) => recognizer.outputs(samples),
    interpret: (outputs, durationS) => recognizer.judge(recognizer.read(outputs, durationS)),
    head: recognizer.heads.ctc,
    hop: recognizer.geometry.hop,
  });
  for await (const segment of segments) {
    onSegment?.(segment);
    found.push(segment);
  }
  if (!found.length) warnings.push(["warning_no_speech"]);
  return resultOfSegments(found, recording.durationS, await warningsInWords(warnings));
}

/**
 * The spans that are long enough for the model; a warning says that there were others.
 * @param {Recognizer} recognizer
 * @param {Recording} recording
 * @param {Warning[]} warnings to which further ones are added
 */
function* longEnough(recognizer, recording, warnings) {
  const { comfortableS, geometry } = recognizer;
  const shortest = shortestSamples(recognizer);
  const options = recognizer.segmentation ?? segmentation({ longestS: Math.max(comfortableS, SHORTEST_S) });
  for (const span of spans(new Segmenter(options, geometry.hop), blocks(recording, warnings))) {
    if (span.samples.length >= shortest) yield span;
    else warnings.push(["warning_left_out", { shortest: fixed(shortest / SAMPLE_RATE_HZ, 2) }]);
  }
}

/** @param {Segmenter} segmenter @param {Iterable<Float32Array>} sound */
function* spans(segmenter, sound) {
  for (const block of sound) yield* segmenter.feed(block);
  yield* segmenter.finish();
}

/**
 * A recording of any length block by block: checked, mixed down and resampled.
 * @param {Recording} recording
 * @param {Warning[]} warnings
 * @returns {Generator<Float32Array>}
 */
function* blocks({ name, channels, rateHz, length, durationS, truncated }, warnings) {
  const resampler = rateHz === SAMPLE_RATE_HZ ? null : new Resampler(rateHz);
  const mixdown = new Mixdown(name);
  const given = floats(channels, length);
  let silent = true;
  for (const block of given) {
    const mono = mixdown.add(block, given);
    silent &&= isConstant(mono);
    yield resampler ? resampler.process(mono) : Float32Array.from(mono);
  }
  warnings.unshift(...mixdown.warnings);
  if (resampler) yield resampler.flush();
  if (silent) throw failure("audio_silent_recording", { name });
  if (truncated) warnings.push(["warning_truncated", { seconds: fixed(durationS, 2) }]);
}

/** The samples of a recording as floats, block by block. */
function* floats(channels, length) {
  for (let start = 0; start < length; start += BLOCK_FRAMES) {
    yield channels.map((channel) => toFloats(channel.subarray(start, start + BLOCK_FRAMES)));
  }
}

/**
 * The segment of each span, as soon as the span after it has begun.
 * @param {Iterable<import("./segmentation.js").Span>} spans stretches of one recording, in order
 * @param {object} model
 * @param {(samples: Float32Array) => Promise<Outputs>} model.outputs the output of each head for samples
 * @param {(outputs: Outputs, durationS: number) => import("./result.js").Result} model.interpret
 * @param {CtcHead | null} model.head the CTC head. Of two spans that overlap, each keeps its own side of a frame
 *   between two words, or else of a blank, in the middle of what they share
 * @param {number} model.hop samples of a frame
 */
async function* recogniseSpans(spans, { outputs, interpret, head, hop }) {
  const segment = ({ start, end, outputs }) =>
    interpret(outputs, (end - start) / SAMPLE_RATE_HZ).asSegment(start / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ);
  /** @type {Piece | null} */
  let waiting = null;
  for (const { start, samples, overlap } of spans) {
    let piece = { start, end: start + samples.length, outputs: await outputs(samples) };
    if (waiting) {
      if (overlap && head) [waiting, piece] = part(waiting, piece, head, hop);
      yield segment(waiting);
    }
    waiting = piece;
  }
  if (waiting) yield segment(waiting);
}

/**
 * Two pieces that overlap, each without the other's side of the seam.
 * @param {Piece} first
 * @param {Piece} second
 * @param {CtcHead} head
 * @param {number} hop
 * @returns {[Piece, Piece]}
 */
function part(first, second, head, hop) {
  const [logits, others] = [first.outputs[head.output], second.outputs[head.output]];
  const ahead = Math.floor((second.start - first.start) / hop);
  const shared = Math.min(logits.dims[0] - ahead, others.dims[0]);
  const at = seam(rows(logits, 0, ahead + shared), rows(others, 0, shared), head);
  const border = second.start + at * hop;
  return [
    { ...first, end: border, outputs: { ...first.outputs, [head.output]: rows(logits, 0, ahead + at) } },
    { ...second, start: border, outputs: { ...second.outputs, [head.output]: rows(others, at, others.dims[0]) } },
  ];
}

/** @param {Matrix} matrix @param {number} first @param {number} end @returns {Matrix} */
function rows({ data, dims: [, width] }, first, end) {
  return { data: data.subarray(first * width, end * width), dims: [end - first, width] };
}

/**
 * The frame of an overlap that the second piece begins with: in its middle half, surely blank, between words.
 * @param {Matrix} first the logits of the first piece up to the end of the overlap
 * @param {Matrix} second those of the second piece in the overlap
 * @param {CtcHead} head
 */
function seam(first, second, head) {
  const [frames, width] = second.dims;
  const before = first.dims[0] - frames;
  const blanks = (matrix, from) => {
    const scores = logSoftmax(matrix.data.subarray(from * width), width);
    return (frame) => scores[frame * width + head.blankId];
  };
  const [ours, theirs] = [blanks(first, before), blanks(second, 0)];
  const between = betweenWords(bestColumns(first), head);
  const from = Math.floor(frames / 4);
  const middle = Array.from({ length: Math.max(1, frames - 2 * from) }, (_, place) => from + place);
  const free = middle.filter((frame) => between[before + frame]);
  const blank = (frame) => ours(frame) + theirs(frame);
  return (free.length ? free : middle).reduce((best, frame) => (blank(frame) > blank(best) ? frame : best));
}

/** Whether no word is open at each frame of a path: the last token that is no blank was the delimiter. */
function betweenWords(ids, head) {
  let spoken = null;
  return Array.from(ids, (id) => {
    if (id !== head.blankId) spoken = id;
    return spoken !== null && spoken === head.delimiterId;
  });
}
