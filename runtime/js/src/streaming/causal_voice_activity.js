/**
 * Voice activity in a live stream, from energy over a noise floor from the past.
 *
 * The noise in each band is the minimum of its smoothed power over the last seconds, found in sub-windows (Martin,
 * "Noise power spectral density estimation based on optimal smoothing and minimum statistics", IEEE Transactions on
 * Speech and Audio Processing 9, 2001). Where the past says nothing of the noise, at the beginning of a stream and in
 * digital silence, a level is assumed. A frame's score comes with the audio of its window, 12 ms after the frame ends.
 */

import { BANDS, HOP, WINDOW, bandPowers, likelihoodDb } from "./band_powers.js";
import { SoundBuffer } from "./sound_buffer.js";

/** Frames of a sub-window: five noise floors a second. */
const GROUP = 10;
/** How far the mean of noise lies above the minimum of its smoothed power. */
const BIAS = 1.5;
/** What lies so far below the loudest frame around it, 37 dB, counts as noise. */
const HEARD_SHARE = Math.fround(10 ** -3.7);
/** No floor is below the rounding of 16-bit samples. */
const LOWEST_POWER = Math.fround(1e-8);
/** A frame's power is averaged with those of the frames before it, so many in all: 60 ms. */
const SMOOTHED = 3;
/** The floor is the minimum over so many sub-windows before its own, 3 s: so long does louder noise pass for speech,
 * and so soon a held vowel for noise. */
const PAST = 15;
/** The power density of white noise of 50 dB below full scale. Speech is louder, the noise of most microphones is
 * not. */
const ASSUMED_POWER = Math.fround(4e-6);
/** Sub-windows for which a stream that has begun is held to the assumed floor, 1 s: by then speech has had a gap. */
const ASSUMED_FOR = 5;

/**
 * Scores the frames of a stream.
 * @typedef {object} Detector
 * @property {number} hop samples from one score to the next; score `i` is that of the samples from `i * hop`
 * @property {number} [ahead] samples behind those of a score that it waits for; 0 where left out
 * @property {number} startsAbove speech begins with a higher score
 * @property {number} endsBelow speech ends with a lower score
 * @property {(samples: Float32Array) => number[] | Promise<number[]>} feed the next scores, after more of the stream
 * @property {() => void} restart begin anew: another stream follows
 */

/** Scores each frame as soon as it is heard. Neither time nor memory grows with the length of the stream. */
export class CausalEnergyDetector {
  constructor() {
    this.hop = HOP;
    this.ahead = WINDOW - HOP;
    this.startsAbove = 5;
    this.endsBelow = 0;
    this.restart();
  }

  restart() {
    this._sound = new SoundBuffer();
    /** @type {Float32Array[]} */
    this._before = []; // the powers of the last frames
    this._floor = new NoiseFloor();
  }

  /** @param {Float32Array} samples */
  feed(samples) {
    this._sound.append(samples);
    const sound = this._sound.view(0, this._sound.length);
    const scores = [];
    let start = 0;
    for (; start + WINDOW <= sound.length; start += HOP) scores.push(this._scoreDb(bandPowers(sound, start)));
    this._sound.drop(start);
    return scores;
  }

  /** The score of the next frame. @param {Float32Array} powers `[BANDS]` */
  _scoreDb(powers) {
    const before = this._before.length ? this._before : Array(SMOOTHED - 1).fill(powers);
    const frames = [...before, powers];
    this._before = frames.slice(1);
    const smoothed = powers.map((_, band) => mean(frames.map((frame) => frame[band])));
    // A window half in digital silence has a power that is neither that of the silence nor that of the noise.
    const isSilent = Math.min(...frames.map(mean)) <= LOWEST_POWER;
    const floor = this._floor.under(smoothed, isSilent);
    return likelihoodDb(smoothed.map((power, band) => Math.max(power / floor[band], 1)));
  }
}

/** The noise under each frame, from that frame and those of the last seconds. */
class NoiseFloor {
  constructor() {
    // One row for each sub-window, used in turn; what has not been heard yet has no say.
    this._quietest = Array.from({ length: PAST + 1 }, (_, row) =>
      new Float32Array(BANDS).fill(row < ASSUMED_FOR ? ASSUMED_POWER : Infinity),
    );
    this._loudest = new Float32Array(PAST + 1);
    this._frame = 0; // the next one's place in the rows
  }

  /**
   * The noise under the next frame.
   * @param {Float32Array} powers `[BANDS]`
   * @param {boolean} isSilent
   */
  under(powers, isSilent) {
    const row = Math.floor(this._frame / GROUP);
    const own = this._quietest[row];
    if (this._frame % GROUP === 0) {
      own.fill(Infinity);
      this._loudest[row] = 0;
    }
    this._frame = (this._frame + 1) % ((PAST + 1) * GROUP);
    for (let band = 0; band < BANDS; band += 1) {
      own[band] = Math.min(own[band], isSilent ? ASSUMED_POWER : powers[band]);
    }
    this._loudest[row] = Math.max(this._loudest[row], mean(powers));
    const heard = Math.fround(HEARD_SHARE * Math.max(...this._loudest));
    return powers.map((_, band) => {
      const quietest = Math.min(...this._quietest.map((each) => each[band]));
      return Math.max(BIAS * quietest, heard, LOWEST_POWER);
    });
  }
}

/** @param {ArrayLike<number>} values */
function mean(values) {
  let sum = 0;
  for (let place = 0; place < values.length; place += 1) sum += values[place];
  return Math.fround(sum / values.length);
}
