/** What a stream says: partial answers while somebody speaks, and a final one when they stop. */

import { Segment } from "../result.js";

/** @typedef {Partial | Final} Event */

/**
 * The answer so far to an utterance that goes on. Times are on the stream's clock: seconds of sound since it began.
 *
 * The first `stableWords` words of the text do not change any more. `latencyS` is how long after `endS`, up to where
 * the sound was recognised, the event came: the sound that was waited for and the time to compute.
 */
export class Partial extends Segment {
  /** @param {object} fields those of a segment, and `stableWords` and `latencyS` */
  constructor({ stableWords, latencyS, ...segment }) {
    super(segment);
    this.type = "partial";
    this.stableWords = stableWords;
    this.latencyS = latencyS;
  }
}

/**
 * The answer to an utterance that has ended; it does not change any more.
 *
 * `reason` is what ended it: `silence` (voice activity ended), `blank` (sound went on, and nothing was recognised in
 * it), `length` (it went on too long; what follows is another), `gap` (sound was lost behind it) or `finish` (the
 * stream ended). `latencyS` is how long after `endS`, the end of the speech, the event came: the silence that was
 * waited for and the time to compute.
 */
export class Final extends Segment {
  /** @param {object} fields those of a segment, and `reason` and `latencyS` */
  constructor({ reason, latencyS, ...segment }) {
    super(segment);
    this.type = "final";
    this.reason = reason;
    this.latencyS = latencyS;
  }
}
