/** Results of recognition: plain values. For programs, `exports.js` gives them a `toJSON`. */

/** A stretch of sound with a confidence: `startS`, `endS`, `confidence`. */
class Stretch {
  /** @param {{ startS: number, endS: number, confidence: number }} fields */
  constructor(fields) {
    Object.assign(this, fields);
  }

  /** The same so many seconds later. @param {number} seconds */
  later(seconds) {
    return new this.constructor({ ...this, startS: this.startS + seconds, endS: this.endS + seconds });
  }
}

/** A word of the transcript: `text`, and how surely it is right, which is the product of its tokens' probabilities. */
export class Word extends Stretch {}

/** A `label` and a stretch of neighbouring frames that have it, with the mean probability of the label in them. */
export class FrameLabel extends Stretch {}

/**
 * What a clip and a segment have in common. Fields of heads that the model lacks are null.
 *
 * `words` are null, too, where the certificate does not bear out their times. `frameLabels` are in order of their
 * starts, and may overlap. What is `rejected` was not sure enough: its text is empty, it has no words, no label and no
 * labels of frames; scores and confidence stay. `labels` are those of the scores in the order of the classification
 * head.
 */
class Found {
  /** @type {string | null} */
  text = null;
  /** @type {Word[] | null} */
  words = null;
  /** @type {{ [label: string]: number } | null} */
  scores = null;
  /** @type {string[]} */
  labels = [];
  /** @type {FrameLabel[] | null} */
  frameLabels = null;
  /** @type {number[] | null} */
  embedding = null;
  confidence = 1;
  rejected = false;

  /** @param {object} fields some of those above */
  constructor(fields) {
    for (const name of Object.keys(this)) this[name] = fields[name] ?? this[name];
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
}
