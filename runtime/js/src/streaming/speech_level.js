/** The level of the speech in a stream, and what brings it to one that chunks are recognised at. */

import { SAMPLE_RATE_HZ } from "../inputs.js";

/** Speech below the one root mean square is brought to the other, where cached streams err least. */
const QUIET_RMS = 0.015;
const USUAL_RMS = 0.035;
/** The loudest 20 ms of the sound by which speech is found, and how much louder the whole utterance is: the median. */
const ONSET_FRAME = SAMPLE_RATE_HZ / 50;
const ONSET_TO_SPEECH = 1.6;
/** Of the level of the speech: what is more is taken away. */
const LARGEST_OFFSET = 0.05;

/**
 * Brings the sound of utterances to a level that chunks are recognised at.
 *
 * A whole clip is normalised by its own mean and variance; the chunks of a stream by those of what was heard so far, as
 * if a second of sound at a usual level had come before it. Beside that second, speech from a microphone that is far
 * too quiet stays quiet, and a constant offset stays an offset: they are mended by what the beginning of an utterance
 * shows, and the one before it. Sound at a usual level is not touched.
 */
export class SpeechLevel {
  constructor() {
    this._offset = 0;
    this._gain = 1;
    this._count = 0;
    this._sum = 0;
    this._squares = 0;
  }

  /**
   * Choose what is done to the next utterance.
   * @param {Float32Array} onset samples of it that are known by now, up to where it was found to be speech
   */
  begin(onset) {
    let mean = this._sum / Math.max(1, this._count);
    let rms = Math.sqrt(Math.max(0, this._squares / Math.max(1, this._count) - mean * mean));
    if (onset.length >= ONSET_FRAME) {
      mean = onset.reduce((sum, sample) => sum + sample, 0) / onset.length;
      rms = Math.max(rms, ONSET_TO_SPEECH * loudest(onset, mean));
    }
    this._offset = Math.abs(mean) > LARGEST_OFFSET * rms ? Math.fround(mean) : 0;
    this._gain = rms > 0 && rms < QUIET_RMS ? Math.fround(USUAL_RMS / rms) : 1;
    this._count = this._sum = this._squares = 0;
  }

  /**
   * The samples of the utterance as they are to be recognised.
   * @param {Float32Array} samples
   */
  apply(samples) {
    this._count += samples.length;
    for (let place = 0; place < samples.length; place += 1) {
      this._sum += samples[place];
      this._squares += samples[place] ** 2;
    }
    return samples.map((sample) => Math.fround(sample - this._offset) * this._gain);
  }
}

/** Root mean square of the loudest of the frames that end with the samples. @param {Float32Array} samples */
function loudest(samples, mean) {
  let most = 0;
  for (let end = samples.length; end >= ONSET_FRAME; end -= ONSET_FRAME) {
    let power = 0;
    for (let place = end - ONSET_FRAME; place < end; place += 1) power += (samples[place] - mean) ** 2;
    most = Math.max(most, power / ONSET_FRAME);
  }
  return Math.sqrt(most);
}
