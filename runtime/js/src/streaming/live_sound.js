/** Sound as it comes, block by block: checked, mixed down, and resampled to 16 kHz without a click between blocks. */

import { failure } from "../errors.js";
import { SAMPLE_RATE_HZ } from "../inputs.js";
import { Resampler } from "../resampler.js";
import { toFloats, toMono } from "../samples.js";
import { checkRate } from "../sound_faults.js";
import { channelsOfBlock } from "./blocks.js";

const NAME = "stream";
/** The level of digital silence. */
const SILENT_DBFS = -120;

/** @typedef {import("./blocks.js").Block} Block */

/** Blocks of one stream, all of one sample rate and number of channels. */
export class LiveSound {
  /** @param {number} rateHz samples per second and channel */
  constructor(rateHz) {
    checkRate(NAME, rateHz);
    this.rateHz = rateHz;
    this.levelDbfs = SILENT_DBFS;
    this._channels = 0; // how many, once it is known
    this._resampler = rateHz === SAMPLE_RATE_HZ ? null : new Resampler(rateHz);
  }

  /**
   * More sound at 16 kHz, in memory of its own; a resampler holds the last milliseconds back. A block that is refused
   * leaves the stream as it was.
   * @param {Block} pcm
   * @param {number | null} [rateHz] sample rate of the block, where the source knows it
   */
  take(pcm, rateHz = null) {
    if (rateHz !== null && rateHz !== this.rateHz) {
      throw failure("stream_rate_changed", { before: this.rateHz, now: rateHz });
    }
    const channels = channelsOfBlock(NAME, pcm).map(toFloats);
    if (this._channels && channels.length !== this._channels) {
      throw failure("stream_channels_changed", { before: this._channels, now: channels.length });
    }
    if (!channels[0].length) return new Float32Array(0);
    const mono = Float32Array.from(toMono(NAME, channels).mono);
    this._channels = channels.length;
    const power = mono.reduce((sum, sample) => sum + sample ** 2, 0) / mono.length;
    this.levelDbfs = Math.max(SILENT_DBFS, 10 * Math.log10(power));
    return this._resampler ? this._resampler.process(mono) : mono;
  }

  /** What the resampler held back; new sound may follow, as after a pause. */
  finish() {
    return this._resampler ? this._resampler.flush() : new Float32Array(0);
  }
}
