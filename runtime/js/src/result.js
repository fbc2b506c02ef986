/** Results of recognition: plain values; `toJSON` gives the fields of the Python package. */

import { rounded } from "./numbers.js";

/** A stretch of sound with a confidence. */
class Stretch {
  /** @param {{ startS: number, endS: number, confidence: number }} fields */
  constructor({ startS, endS, confidence }) {
    this.startS = startS;
    this.endS = endS;
    this.confidence = confidence;
  }

  /** The same so many seconds later. @param {number} seconds */
  later(seconds) {
    return new this.constructor({ ...this, startS: this.startS + seconds, endS: this.endS + seconds });
  }

  toJSON() {
    const times = { start_s: rounded(this.startS, 4), end_s: rounded(this.endS, 4) };
    return { ...times, confidence: rounded(this.confidence, 6) };
  }
}

/** A word of the transcript, its times, and how surely it is right: the product of its tokens' probabilities. */
export class Word extends Stretch {
  /** @param {{ text: string, startS: number, endS: number, confidence: number }} fields */
  constructor(fields) {
    super(fields);
    this.text = fields.text;
  }

  toJSON() {
    return { text: this.text, ...super.toJSON() };
  }
}

/** A label and a stretch of neighbouring frames that have it, with the mean probability of the label in them. */
export class FrameLabel extends Stretch {
  /** @param {{ label: string, startS: number, endS: number, confidence: number }} fields */
  constructor(fields) {
    super(fields);
    this.label = fields.label;
  }

  toJSON() {
    return { label: this.label, ...super.toJSON() };
  }
}

/**
 * What a clip and a segment have in common. Fields of heads that the model lacks are null.
 *
 * `words` are null, too, where the certificate does not bear out their times. `frameLabels` are in order of their
 * starts, and may overlap. What is `rejected` was not sure enough: its text is empty, it has no words, no label and no
 * labels of frames; scores and confidence stay. `labels` are those of the scores in the order of the classification
 * head.
 */
class Found {
  constructor(fields) {
    const { text = null, words = null, scores = null, labels = [], confidence = 1, rejected = false } = fields;
    const { frameLabels = null, embedding = null } = fields;
    /** @type {string | null} */
    this.text = text;
    /** @type {Word[] | null} */
    this.words = words;
    /** @type {{ [label: string]: number } | null} */
    this.scores = scores;
    /** @type {string[]} */
    this.labels = labels;
    /** @type {FrameLabel[] | null} */
    this.frameLabels = frameLabels;
    /** @type {number[] | null} */
    this.embedding = embedding;
    /** @type {number} */
    this.confidence = confidence;
    /** @type {boolean} */
    this.rejected = rejected;
  }

  /** The most probable label; null where the answer is rejected. */
  get label() {
    const { scores } = this;
    if (this.rejected || !scores || !this.labels.length) return null;
    return this.labels.reduce((best, label) => (scores[label] > scores[best] ? label : best));
  }

  /** The same with other values in some fields. @param {object} fields */
  with(fields) {
    return new this.constructor({ ...this, ...fields });
  }

  /** The same without its answer. */
  asRejected() {
    const text = this.text === null ? null : "";
    return this.with({ text, words: this.words && [], frameLabels: this.frameLabels && [], rejected: true });
  }

  /** The fields as the Python package writes them; those of absent heads are left out. */
  _document() {
    const document = { confidence: rounded(this.confidence, 6) };
    if (this.rejected) document.rejected = true;
    if (this.text !== null) document.text = this.text;
    if (this.words !== null) document.words = this.words.map((word) => word.toJSON());
    if (this.scores !== null) {
      document.label = this.label;
      document.scores = Object.fromEntries(this.labels.map((label) => [label, rounded(this.scores[label], 6)]));
    }
    if (this.frameLabels !== null) document.frame_labels = this.frameLabels.map((each) => each.toJSON());
    if (this.embedding !== null) document.embedding = this.embedding.map((each) => Number(each.toPrecision(7)));
    return document;
  }
}

/** A stretch of a recording with speech in it. Its times, and those of its words, are from the recording's start. */
export class Segment extends Found {
  constructor({ startS, endS, ...found }) {
    super(found);
    /** @type {number} */
    this.startS = startS;
    /** @type {number} */
    this.endS = endS;
  }

  /** Length in seconds. */
  get durationS() {
    return this.endS - this.startS;
  }

  toJSON() {
    return { start_s: rounded(this.startS, 4), end_s: rounded(this.endS, 4), ...this._document() };
  }
}

/**
 * The result of one clip or recording. Fields of heads that the model lacks are null.
 *
 * `confidence` is the share of the transcript's words that are right, as far as their confidences tell: the mean of
 * them (1 for an empty transcript). Without a CTC head it is the probability of the label, or the mean of those of the
 * labels of frames, weighted by duration; an embedding has none (1).
 *
 * `segments` are those of a recording that was answered in segments, and null for a clip that was answered whole.
 */
export class Result extends Found {
  constructor({ durationS, segments = null, warnings = [], ...found }) {
    super(found);
    /** @type {number} */
    this.durationS = durationS;
    /** @type {Segment[] | null} */
    this.segments = segments;
    /** @type {string[]} */
    this.warnings = warnings;
  }

  /**
   * The result of a piece of a recording as its segment: words are timed from the recording's start.
   * @param {number} startS
   * @param {number} endS
   */
  asSegment(startS, endS) {
    const words = this.words && this.words.map((word) => word.later(startS));
    const frameLabels = this.frameLabels && this.frameLabels.map((each) => each.later(startS));
    return new Segment({ ...this, startS, endS, words, frameLabels });
  }

  toJSON() {
    const document = { duration_s: rounded(this.durationS, 4), ...this._document() };
    if (this.segments !== null) document.segments = this.segments.map((segment) => segment.toJSON());
    document.warnings = this.warnings;
    return document;
  }
}
