/** What every recogniser does: clips in, their outputs interpreted, results out. */

import { Recording, withoutSilence } from "./clip.js";
import { failure, inWords, warningsInWords } from "./errors.js";
import { interpret } from "./interpretation.js";
import { withDefaults } from "./options.js";

/** What is answered whole where nothing is known of the training: what most models for speech were trained on. */
const UNKNOWN_COMFORT_S = 30;

const RUN_DEFAULTS = { segments: null, onSegment: null };
const RUN_KINDS = { kinds: { segments: "boolean", onSegment: "function" } };

/** @typedef {import("./clip.js").Clip} Clip */
/** @typedef {import("./ctc.js").Outputs} Outputs */
/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {import("./samples.js").Samples} Samples */
/** @typedef {import("./segmentation.js").Segmentation} Segmentation */

/**
 * Recognises clips one at a time, without padding. What derives from this has `outputs`, which runs the model: from
 * samples at 16 kHz to each head's output, without its batch axis.
 */
export class Recognizer {
  /**
   * @param {Manifest} manifest what the outputs mean, and what training and certificate say
   * @param {object} options
   * @param {import("./hypothesis.js").Decoder | null} options.decoder the best token of each frame where null
   * @param {typeof import("./rare_outputs.js").readRare | null} options.readRare that of a model with heads
   *   that few have
   * @param {number} options.rejectBelow
   * @param {Segmentation | null} options.segmentation how longer recordings are cut; where null, into segments of up
   *   to `comfortableS`, otherwise by default
   */
  constructor(manifest, { decoder, readRare, rejectBelow, segmentation }) {
    this.heads = manifest.heads;
    this.geometry = manifest.geometry;
    /** Whether the certificate bears out the times of words; if not, results have no words. null: it is not known. */
    this.wordTimes = manifest.wordTimes;
    /** What logits are divided by before they become confidences. */
    this.temperatures = manifest.confidenceTemperature;
    this.decoder = decoder;
    this.readRare = readRare;
    /** Answers, and segments of recordings, with less confidence are rejected; from 0, for none of them, to 1. */
    this.rejectBelow = rejectBelow;
    this.segmentation = segmentation;
    this._manifest = manifest;
  }

  /** Longest audio that is answered whole, and longest segment, in seconds. */
  get comfortableS() {
    if (this.segmentation) return this.segmentation.longestS;
    return this._manifest.longestClipS ?? this._manifest.certifiedUpToS ?? UNKNOWN_COMFORT_S;
  }

  /**
   * Recognise a clip, or a recording of any length segment by segment. The samples are copied at once: their memory may
   * be used again.
   * @param {Samples | Samples[]} samples floats in [-1, 1] or integers; an array of channels where there are several
   * @param {number} rateHz
   * @param {object} [options]
   * @param {boolean | null} [options.segments] answer segment by segment, or as a whole; where null, what is longer
   *   than `comfortableS` is answered segment by segment
   * @param {((segment: import("./result.js").Segment) => void) | null} [options.onSegment] is given each segment of a
   *   recording as soon as it is known; what it throws, the call is rejected with
   * @returns {Promise<Result>} rejected with an AudioError where the clip cannot be used, and with a DeviceError where
   *   the device failed, or its output is not finite
   */
  run(samples, rateHz, options = {}) {
    return inWords(this._run(samples, rateHz, options));
  }

  async _run(samples, rateHz, options) {
    const { segments, onSegment } = withDefaults(options, RUN_DEFAULTS, RUN_KINDS);
    const recording = new Recording(samples, rateHz);
    if (!recording.isSound) await recording.refuse();
    recording.copy();
    const isLong = segments ?? recording.durationS > this.comfortableS;
    if (isLong) {
      const { recogniseRecording } = await import("./recordings.js");
      return recogniseRecording(this, recording, onSegment);
    }
    const whole = await recording.clip();
    const clip = this._manifest.trimsSilence ? withoutSilence(whole) : whole;
    const ids = [...clip.warnings, ...(await this._lengthWarnings(clip))];
    const outputs = await this.outputs(clip.samples);
    const result = this.judge(this.read(outputs, clip.durationS, await warningsInWords(ids)));
    if (!clip.beginsS || !result.words) return result;
    return result.with({ words: result.words.map((word) => word.later(clip.beginsS)) });
  }

  /**
   * What outputs say, before it is judged.
   * @param {Outputs} outputs
   * @param {number} durationS
   * @param {string[]} [warnings]
   * @param {Pick<Recognizer, "heads" | "geometry" | "decoder" | "temperatures" | "readRare">} [model] reads them
   */
  read(outputs, durationS, warnings = [], model = this) {
    for (const { data } of Object.values(outputs)) {
      if (!data.every(Number.isFinite)) throw failure("output_not_finite", { engine: String(this) });
    }
    return interpret(outputs, model, durationS, warnings);
  }

  /**
   * A result without its answer where that is not sure enough, and without word times that are not borne out.
   * @param {Result} result
   * @returns {Result}
   */
  judge(result) {
    const judged = result.rejected || result.confidence < this.rejectBelow ? result.asRejected() : result;
    return this.wordTimes === false ? judged.with({ words: null }) : judged;
  }

  /** Warnings of a length that is not usual; what is too short for the model is refused. @param {Clip} clip */
  async _lengthWarnings({ samples, durationS }) {
    const { heads, geometry, longestClipS, certifiedUpToS } = this._manifest;
    const isLong = durationS > (longestClipS ?? Infinity) || durationS > (certifiedUpToS ?? Infinity);
    if (!isLong && !heads.embedding && samples.length >= geometry.receptiveField) return [];
    const { lengthWarnings } = await import("./lengths.js");
    return lengthWarnings(samples.length, durationS, this._manifest);
  }
}

/** @param {number} value */
export const isConfidence = (value) => value >= 0 && value <= 1;
