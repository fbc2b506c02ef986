/** The resampler as programs have it: what it is given is checked. */

import { refusal } from "./refusals.js";
import { Resampler as Unchecked } from "./resampler.js";
import { checkRate, typeName } from "./sound_faults.js";

export class Resampler extends Unchecked {
  /** @param {number} rateHz of what comes in */
  constructor(rateHz) {
    checkRate("resampler", rateHz, refusal);
    super(rateHz);
  }

  /** @param {ArrayLike<number>} samples */
  process(samples) {
    if (!ArrayBuffer.isView(samples) && !Array.isArray(samples)) {
      throw refusal("audio_kind", { type: typeName(samples), kinds: "an array of samples" });
    }
    return super.process(samples);
  }
}
