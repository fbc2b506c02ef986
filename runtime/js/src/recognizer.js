/** What every recogniser does: clips in, their outputs interpreted, results out. */

import { Recording, withoutSilence } from "./clip.js";
import { failure, general, inWords, shown, warningsInWords } from "./errors.js";
import { SAMPLE_RATE_HZ } from "./geometry.js";
import { interpret } from "./interpretation.js";
import { fixed } from "./numbers.js";
import { withDefaults } from "./options.js";

/** What is answered whole where nothing is known of the training: what most models for speech were trained on. */
const UNKNOWN_COMFORT_S = 30;
/** A clip that is answered whole, and so many times as long as any in training, gets a warning. */
const FAR_LONGER = 2;

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
   * @param {typeof import("./frame_labels.js").readFrames | null} [options.readFrames] that of a model which labels
   *   frames
   * @param {number} [options.rejectBelow]
   * @param {Segmentation | null} [options.segmentation] how longer recordings are cut; where null, into segments of up
   *   to `comfortableS`, otherwise by default
   */
  constructor(manifest, { decoder, readFrames = null, rejectBelow = 0, segmentation = null }) {
    this.heads = manifest.heads;
    this.geometry = manifest.geometry;
    /** Whether the certificate bears out the times of words; if not, results have no words. null: it is not known. */
    this.wordTimes = manifest.wordTimes;
    this.decoder = decoder;
    this.readFrames = readFrames;
    /** Answers, and segments of recordings, with less confidence are rejected; from 0, for none of them, to 1. */
    this.rejectBelow = rejectBelow;
    this.segmentation = segmentation;
    this._manifest = manifest;
    this._checkRejectBelow();
  }

  /** Longest audio that is answered whole, and longest segment, in seconds. */
  get comfortableS() {
    if (this.segmentation) return this.segmentation.longestS;
    return this._manifest.longestClipS ?? this._manifest.certifiedUpToS ?? UNKNOWN_COMFORT_S;
  }

  /**
   * Recognise a clip, or a recording of any length segment by segment.
   * @param {Samples | Samples[]} samples floats in [-1, 1] or integers; an array of channels where there are several
   * @param {number} rateHz
   * @param {object} [options]
   * @param {boolean | null} [options.segments] answer segment by segment, or as a whole; where null, what is longer
   *   than `comfortableS` is answered segment by segment
   * @param {((segment: import("./result.js").Segment) => void) | null} [options.onSegment] is given each segment of a
   *   recording as soon as it is known
   * @returns {Promise<Result>} rejected with an AudioError where the clip cannot be used, and with a DeviceError where
   *   the device failed, or its output is not finite
   */
  run(samples, rateHz, options = {}) {
    return inWords(this._run(samples, rateHz, options));
  }

  async _run(samples, rateHz, options) {
    const { segments, onSegment } = withDefaults(options, { segments: null, onSegment: null });
    const recording = new Recording(samples, rateHz);
    const isLong = segments ?? recording.durationS > this.comfortableS;
    if (isLong) {
      const { recogniseRecording } = await import("./recordings.js");
      return recogniseRecording(this, recording, onSegment);
    }
    const whole = await recording.clip();
    const clip = this._manifest.trimsSilence ? withoutSilence(whole) : whole;
    this._requireLength(clip.samples);
    return this._result(clip, await this.outputs(clip.samples));
  }

  /**
   * What outputs say, before it is judged.
   * @param {Outputs} outputs
   * @param {number} durationS
   * @param {string[]} [warnings]
   */
  read(outputs, durationS, warnings = []) {
    for (const { data } of Object.values(outputs)) {
      if (!data.every(Number.isFinite)) throw failure("output_not_finite", { engine: String(this) });
    }
    const { heads, geometry, decoder, readFrames } = this;
    const temperatures = this._manifest.confidenceTemperature;
    return interpret(outputs, { heads, geometry, decoder, temperatures, readFrames }, durationS, warnings);
  }

  /**
   * A result without its answer where that is not sure enough, and without word times that are not borne out.
   * @param {Result} result
   * @returns {Result}
   */
  judge(result) {
    this._checkRejectBelow();
    const judged = result.rejected || result.confidence < this.rejectBelow ? result.asRejected() : result;
    return this.wordTimes === false ? judged.with({ words: null }) : judged;
  }

  _checkRejectBelow() {
    const { rejectBelow } = this;
    if (!(rejectBelow >= 0 && rejectBelow <= 1)) throw failure("reject_below", { confidence: shown(rejectBelow) });
  }

  /**
   * @param {import("./clip.js").Clip} clip
   * @param {Outputs} outputs
   */
  async _result(clip, outputs) {
    const warnings = await warningsInWords([...clip.warnings, ...this._lengthWarnings(clip)]);
    const result = this.judge(this.read(outputs, clip.durationS, warnings));
    if (!clip.beginsS || !result.words) return result;
    return result.with({ words: result.words.map((word) => word.later(clip.beginsS)) });
  }

  /** Samples that the model needs; 0 for most, which answer to a single frame, made of silence if need be. */
  get shortest() {
    const fewest = this.heads.embedding?.fewestFrames ?? 1;
    return fewest > 1 ? this.geometry.shortest(fewest) : 0;
  }

  /** Refuse a clip that is too short for the model. @param {Float32Array} samples */
  _requireLength(samples) {
    if (samples.length >= this.shortest) return;
    const [duration, shortest] = [samples.length, this.shortest].map((count) => fixed(count / SAMPLE_RATE_HZ, 2));
    throw failure("audio_too_short_for_model", { name: "array", duration, shortest });
  }

  /** @param {import("./clip.js").Clip} clip */
  _lengthWarnings({ samples, durationS }) {
    const warnings = [];
    const { longestClipS, certifiedUpToS } = this._manifest;
    if (samples.length < this.geometry.receptiveField) {
      warnings.push(["warning_short", { milliseconds: fixed(durationS * 1e3, 0) }]);
    }
    const limits = [
      ["warning_longer_than_training", longestClipS, FAR_LONGER],
      ["warning_longer_than_certified", certifiedUpToS, 1],
    ];
    for (const [warning, limitS, times] of limits) {
      if (limitS !== null && durationS > times * limitS) {
        warnings.push([warning, { duration: fixed(durationS, 1), limit: general(limitS) }]);
        break;
      }
    }
    return warnings;
  }
}
