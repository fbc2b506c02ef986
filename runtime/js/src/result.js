/** Results of recognition: plain values; `toJSON` gives the fields of the Python package. */

import { rounded } from "./numbers.js";

export { rounded };

/** A word of the transcript, its times, and how surely it is right: the product of its tokens' probabilities. */
export class Word {
  /** @param {{ text: string, startS: number, endS: number, confidence: number }} fields */
  constructor({ text, startS, endS, confidence }) {
    this.text = text;
    this.startS = startS;
    this.endS = endS;
    this.confidence = confidence;
  }

  /** The same word so many seconds later. @param {number} seconds */
  later(seconds) {
    return new Word({ ...this, startS: this.startS + seconds, endS: this.endS + seconds });
  }

  toJSON() {
    return {
      text: this.text,
      start_s: rounded(this.startS, 4),
      end_s: rounded(this.endS, 4),
      confidence: rounded(this.confidence, 6),
    };
  }
}

/** A label and a stretch of neighbouring frames that have it, with the mean probability of the label in them. */
export class FrameLabel {
  /** @param {{ label: string, startS: number, endS: number, confidence: number }} fields */
  constructor({ label, startS, endS, confidence }) {
    this.label = label;
    this.startS = startS;
    this.endS = endS;
    this.confidence = confidence;
  }

  /** The same so many seconds later. @param {number} seconds */
  later(seconds) {
    return new FrameLabel({ ...this, startS: this.startS + seconds, endS: this.endS + seconds });
  }

  toJSON() {
    return {
      label: this.label,
      start_s: rounded(this.startS, 4),
      end_s: rounded(this.endS, 4),
      confidence: rounded(this.confidence, 6),
    };
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
   * The result of a recording, from the results of its segments.
   *
   * Its text, words and labels of frames are those of its segments one after the other; its scores and its embedding
   * are their mean, weighted by duration, and its confidence is their mean, weighted by the number of words. Rejected
   * segments count for nothing, unless all are rejected: then the recording is.
   * @param {Segment[]} segments
   * @param {number} durationS
   * @param {string[]} warnings
   */
  static ofSegments(segments, durationS, warnings) {
    const kept = segments.filter((segment) => !segment.rejected);
    const counted = kept.length ? kept : segments;
    const texts = segments.map((segment) => segment.text).filter((text) => text !== null);
    const timed = segments.map((segment) => segment.words).filter((words) => words !== null);
    const labelled = segments.map((segment) => segment.frameLabels).filter((labels) => labels !== null);
    const weights = counted.map((segment) => wordCount(segment.text) || segment.durationS);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return new Result({
      durationS,
      text: texts.length || !segments.length ? texts.filter(Boolean).join(" ") : null,
      words: timed.length ? timed.flat() : null,
      scores: meanScores(counted),
      labels: segments[0]?.labels,
      frameLabels: labelled.length ? labelled.flat() : null,
      embedding: meanEmbedding(counted),
      confidence: total ? counted.reduce((sum, each, i) => sum + weights[i] * each.confidence, 0) / total : 1,
      rejected: segments.length > 0 && !kept.length,
      segments,
      warnings,
    });
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

/** @param {string | null} text */
function wordCount(text) {
  return (text ?? "").split(/\s+/).filter(Boolean).length;
}

/** @param {Segment[]} segments */
function meanScores(segments) {
  const scored = segments.filter((segment) => segment.scores !== null);
  const labels = scored[0]?.labels ?? [];
  const mean = weighedMean(scored, (segment) => labels.map((label) => segment.scores[label]));
  return mean && Object.fromEntries(labels.map((label, place) => [label, mean[place]]));
}

/** @param {Segment[]} segments */
function meanEmbedding(segments) {
  return weighedMean(
    segments.filter((segment) => segment.embedding !== null),
    (segment) => segment.embedding,
  );
}

/**
 * The mean of numbers of segments, weighted by duration; null where nothing weighs anything.
 * @param {Segment[]} segments
 * @param {(segment: Segment) => number[]} numbersOf
 */
function weighedMean(segments, numbersOf) {
  const total = segments.reduce((sum, segment) => sum + segment.durationS, 0);
  if (!total) return null;
  const rows = segments.map(numbersOf);
  return rows[0].map((_, column) => rows.reduce((sum, row, i) => sum + row[column] * segments[i].durationS, 0) / total);
}
