/** From a recording of any length to spans of speech, none longer than a model takes well. */

import { failure, shown } from "./errors.js";
import { SAMPLE_RATE_HZ } from "./inputs.js";
import { roundHalfEven } from "./numbers.js";
import { withDefaults } from "./options.js";
import { joined } from "./joined.js";
import { EnergyDetector } from "./voice_activity.js";

/** A limit below this would cut words apart. */
export const SHORTEST_S = 0.5;
/** A pause of this length may be in a word, and is a better place to cut than none. */
const SHORT_PAUSE = 0.08 * SAMPLE_RATE_HZ;

/**
 * How a recording is cut; all in seconds.
 * @typedef {object} Segmentation
 * @property {number} longestS no span is longer. Speech that goes on is cut in its longest short pause, or else goes on
 *   in a span that overlaps
 * @property {number} overlapS what two such spans share, at most a quarter of the longest
 * @property {number} minSilenceS a shorter silence does not end a span
 * @property {number} minSpeechS a sound with less that is surely speech, such as a click, is none
 * @property {number} paddingS audio before and after the speech that goes with it
 */

/** @type {Segmentation} */
const DEFAULTS = { longestS: 30, overlapS: 4, minSilenceS: 0.4, minSpeechS: 0.18, paddingS: 0.1 };

/**
 * The options with what was not given, checked.
 * @param {Partial<Segmentation>} given
 */
export function segmentation(given) {
  const options = withDefaults(given, DEFAULTS);
  const { longestS, ...others } = options;
  if (!(longestS >= SHORTEST_S)) throw failure("segmentation_longest", { option: "longestS", value: shown(longestS) });
  for (const [option, value] of Object.entries(others)) {
    if (!(value >= 0 && value < Infinity)) throw failure("option_seconds", { option, value: shown(value) });
  }
  return options;
}

/**
 * A stretch of a recording with speech in it: its first sample in the recording, and how many of its samples are also
 * the last ones of the span before, where speech had to be cut without a pause.
 * @typedef {{ start: number, samples: Float32Array, overlap: number }} Span
 */

/** Cuts one recording into spans, block by block; holds no more audio than a span and the detector's delay. */
export class Segmenter {
  /**
   * @param {Segmentation} options where to cut
   * @param {number} hop samples of one frame of the model; overlapping spans begin whole frames apart
   */
  constructor(options, hop) {
    this._detector = new EnergyDetector();
    this._longest = inSteps(options.longestS, hop);
    this._overlap = inSteps(Math.min(options.overlapS, options.longestS / 4), hop);
    this._padding = roundHalfEven(options.paddingS * SAMPLE_RATE_HZ);
    this._minSilence = options.minSilenceS * SAMPLE_RATE_HZ;
    this._minSpeech = options.minSpeechS * SAMPLE_RATE_HZ;
    this._audio = new Float32Array(0);
    this._audioStart = 0;
    this._position = 0; // of the next score
    /** @type {Region | null} */
    this._region = null;
    this._freeFrom = 0; // where the last span without an overlap ended
  }

  /**
   * The spans that are complete, after more of the recording.
   * @param {Float32Array} samples at 16 kHz
   * @returns {Generator<Span>}
   */
  *feed(samples) {
    this._audio = joined([this._audio, samples]);
    yield* this._follow(this._detector.feed(samples));
    const needed = this._region ? this._region.start : this._position - this._padding;
    const unneeded = Math.max(0, needed - this._audioStart);
    this._audio = this._audio.subarray(unneeded);
    this._audioStart += unneeded;
  }

  /**
   * The spans that are left at the end of the recording.
   * @returns {Generator<Span>}
   */
  *finish() {
    yield* this._follow(this._detector.finish());
    if (this._region) yield* this._close(this._region);
  }

  /** @param {number[]} scores */
  *_follow(scores) {
    const { hop, startsAbove, endsBelow } = this._detector;
    for (const score of scores) {
      const [region, here] = [this._region, this._position];
      this._position = here + hop;
      if (!region) {
        if (score > startsAbove) {
          const start = Math.max(this._freeFrom, here - this._padding);
          this._region = new Region({ start, speechEnd: this._position, sure: hop });
        }
        continue;
      }
      if (score >= endsBelow) {
        region.add(here, this._position, score > startsAbove);
      } else if (this._position - region.speechEnd >= this._minSilence) {
        yield* this._close(region);
        continue;
      }
      if (region.speechEnd + this._padding - region.start > this._longest) yield this._cut(region);
    }
  }

  /** The end of speech: a span, unless it was a click. @param {Region} region */
  *_close(region) {
    this._region = null;
    if (region.continued || region.sure >= this._minSpeech) {
      const span = this._span(region, region.speechEnd + this._padding);
      this._freeFrom = span.start + span.samples.length;
      yield span;
    }
  }

  /**
   * A span of speech that goes on: up to the longest short pause in its second half, or with an overlap.
   * @param {Region} region
   */
  _cut(region) {
    const pause = region.longestPause(region.start + Math.floor(this._longest / 2));
    if (pause) {
      const [start, end] = pause;
      const span = this._span(region, Math.min(start + this._padding, Math.floor((start + end) / 2)));
      this._freeFrom = span.start + span.samples.length;
      this._region = region.after(end, { start: Math.max(this._freeFrom, end - this._padding) });
      return span;
    }
    const span = this._span(region, region.start + this._longest);
    const start = span.start + span.samples.length - this._overlap;
    this._region = region.after(start, { start, overlap: this._overlap });
    return span;
  }

  /** @param {Region} region @param {number} end */
  _span(region, end) {
    const samples = this._audio.slice(region.start - this._audioStart, end - this._audioStart);
    return { start: region.start, samples, overlap: region.overlap };
  }
}

/**
 * Speech that has not ended yet. All positions are samples of the recording.
 *
 * `start` is where its span begins, `speechEnd` where the speech ends so far, of which `sure` samples surely are
 * speech; `pauses` are the silences inside it. `continued` tells that it began with an earlier span.
 */
class Region {
  constructor({ start, speechEnd, sure = 0, overlap = 0, continued = false, pauses = [] }) {
    this.start = start;
    this.speechEnd = speechEnd;
    this.sure = sure;
    this.overlap = overlap;
    this.continued = continued;
    /** @type {[number, number][]} */
    this.pauses = pauses;
  }

  /** Add speech; a silence before it is a pause. */
  add(start, end, isSure) {
    if (start > this.speechEnd) this.pauses.push([this.speechEnd, start]);
    this.speechEnd = end;
    if (isSure) this.sure += end - start;
  }

  /** The longest pause that begins after a position; of equal ones the last. @param {number} after */
  longestPause(after) {
    let longest = null;
    for (const [start, end] of this.pauses) {
      if (start < after || end - start < SHORT_PAUSE) continue;
      if (!longest || end - start >= longest[1] - longest[0]) longest = [start, end];
    }
    return longest;
  }

  /** What of this speech comes after a position. */
  after(position, { start, overlap = 0 }) {
    const pauses = this.pauses.filter(([begin]) => begin >= position);
    return new Region({ start, speechEnd: Math.max(position, this.speechEnd), overlap, continued: true, pauses });
  }
}

/** @param {number} durationS @param {number} hop */
function inSteps(durationS, hop) {
  return Math.max(1, roundHalfEven((durationS * SAMPLE_RATE_HZ) / hop)) * hop;
}
