/** Where in a stream utterances begin and end, by voice activity. */

import { failure, shown } from "../errors.js";
import { SAMPLE_RATE_HZ } from "../inputs.js";
import { withDefaults } from "../options.js";
import { CausalEnergyDetector } from "./causal_voice_activity.js";

/** @typedef {import("./causal_voice_activity.js").Detector} Detector */

/**
 * Where utterances begin and end; all in seconds.
 * @typedef {object} Endpointing
 * @property {number} startS sound that is surely speech before an utterance begins; less is a click
 * @property {number | null} paddingS sound before and after the speech that goes with it; where null, what the kind
 *   of stream does best with
 * @property {number} silenceS silence that ends an utterance
 * @property {number} blankS sound in which nothing is recognised, after something was, and which ends it as well
 * @property {number} longestS an utterance that goes on longer is parted between two words
 * @property {string | Detector} vad what tells speech from noise: `energy`, a detector, or `none`: everything is
 *   speech, and blanks alone end it
 */

/** @type {Endpointing} */
const DEFAULTS = { startS: 0.06, paddingS: null, silenceS: 0.7, blankS: 1.5, longestS: 20, vad: "energy" };
const KINDS = { paddingS: "number" };
/** Of which any number from 0 will do. */
const SECONDS = ["startS", "paddingS", "silenceS", "blankS"];

/** @type {{ [name: string]: () => Detector | null }} */
const DETECTORS = { energy: () => new CausalEnergyDetector(), none: () => null };

/**
 * The options with what was not given, checked.
 * @param {Partial<Endpointing>} given
 * @returns {Endpointing}
 */
export function endpointing(given) {
  const options = withDefaults(given, DEFAULTS, { kinds: KINDS });
  for (const option of SECONDS) {
    const value = options[option];
    const isSeconds = value === null || (value >= 0 && value < Infinity);
    if (!isSeconds) throw failure("option_seconds", { option, value: shown(value) });
  }
  const { longestS } = options;
  if (!(longestS >= 1)) throw failure("endpointing_longest", { option: "longestS", value: shown(longestS) });
  return options;
}

/**
 * A detector that scores sound as it comes; null where everything is speech.
 * @param {string | Detector} vad
 */
export function liveDetector(vad) {
  if (isDetector(vad)) return vad;
  if (typeof vad !== "string") {
    throw failure("option_kind", { option: "vad", value: shown(vad), kind: "energy, none or a detector" });
  }
  if (!Object.hasOwn(DETECTORS, vad)) {
    throw failure("endpointing_vad", { vad, choices: Object.keys(DETECTORS).join(", ") });
  }
  return DETECTORS[vad]();
}

/** @param {any} vad */
function isDetector(vad) {
  const numbers = [vad?.hop, vad?.ahead ?? 0, vad?.startsAbove, vad?.endsBelow];
  const isNumbered = numbers.every(Number.isFinite) && vad.hop > 0;
  return isNumbered && [vad.feed, vad.restart].every((method) => typeof method === "function");
}

/**
 * At the sample `at` of the stream speech began, or ended: it is known by the sample `known`.
 * @typedef {{ speaks: boolean, at: number, known: number }} Change
 */

/** Follows the scores of a detector. */
export class Endpointer {
  /**
   * @param {Endpointing} options
   * @param {Detector | null} detector tells speech from noise; null: everything is speech
   */
  constructor(options, detector) {
    this._options = options;
    this._detector = detector;
    this.restart(0);
  }

  /** Begin anew at a sample of the stream: sound before it is not known. @param {number} position */
  restart(position) {
    this._detector?.restart();
    this._position = position; // of the next score
    this._speaks = false;
    /** @type {number | null} */
    this._sureFrom = null;
    this._speechEnd = position;
  }

  /** Sample of the stream before which no speech begins that is not known yet. */
  get unsettledFrom() {
    return this._speaks || this._sureFrom === null ? this._position : this._sureFrom;
  }

  /**
   * What changed with more sound.
   * @param {Float32Array} samples at 16 kHz
   * @returns {Promise<Change[]>}
   */
  async feed(samples) {
    if (!this._detector) {
      const at = this._position;
      const begins = !this._speaks && samples.length > 0;
      this._speaks ||= begins;
      this._position += samples.length;
      return begins ? [{ speaks: true, at, known: 0 }] : [];
    }
    const scores = await this._detector.feed(samples);
    if (!Array.isArray(scores) || !scores.every(Number.isFinite)) {
      throw failure("option_kind", { option: "what vad.feed gives", value: shown(scores), kind: "an array of scores" });
    }
    return scores.map((score) => this._follow(score, this._detector)).filter((change) => change !== null);
  }

  /**
   * @param {number} score
   * @param {Detector} detector
   * @returns {Change | null}
   */
  _follow(score, { hop, ahead = 0, startsAbove, endsBelow }) {
    const here = this._position;
    this._position += hop;
    const known = this._position + ahead;
    if (this._speaks) {
      if (score >= endsBelow) {
        this._speechEnd = this._position;
      } else if (this._position - this._speechEnd >= this._options.silenceS * SAMPLE_RATE_HZ) {
        this._speaks = false;
        this._sureFrom = null;
        return { speaks: false, at: this._speechEnd, known };
      }
      return null;
    }
    if (score <= startsAbove) {
      this._sureFrom = null;
      return null;
    }
    this._sureFrom ??= here;
    if (this._position - this._sureFrom < this._options.startS * SAMPLE_RATE_HZ) return null;
    this._speaks = true;
    this._speechEnd = this._position;
    return { speaks: true, at: this._sureFrom, known };
  }
}
