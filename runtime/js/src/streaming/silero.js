/** Voice activity by Silero's neural network, in place of energy: https://github.com/snakers4/silero-vad (MIT). */

import { SAMPLE_RATE_HZ } from "../inputs.js";
import { SoundBuffer } from "./sound_buffer.js";

/** Samples before a step that the network sees with it. */
const CONTEXT = 64;
const STEP = 512;
const STATE_DIMS = [2, 1, 128];

/**
 * Probabilities of speech, one for every 512 samples: a detector for the option `vad` of end points, of one stream at a
 * time.
 */
export class SileroDetector {
  /**
   * @param {{ run: (feeds: object) => Promise<{ [name: string]: { data: Float32Array } }> }} session `silero_vad.onnx`,
   *   versions 5 and 6, opened on a back end
   */
  constructor(session) {
    this.hop = STEP;
    this.startsAbove = 0.5;
    this.endsBelow = 0.35;
    this._session = session;
    this.restart();
  }

  restart() {
    this._state = { data: new Float32Array(STATE_DIMS.reduce((product, size) => product * size)), dims: STATE_DIMS };
    this._waiting = new SoundBuffer();
    this._waiting.append(new Float32Array(CONTEXT));
  }

  /** @param {Float32Array} samples */
  async feed(samples) {
    this._waiting.append(samples);
    const scores = [];
    while (this._waiting.length >= CONTEXT + STEP) {
      scores.push(await this._score(this._waiting.view(0, CONTEXT + STEP).slice()));
      this._waiting.drop(STEP);
    }
    return scores;
  }

  /** @param {Float32Array} window */
  async _score(window) {
    const { output, stateN } = await this._session.run({
      input: { data: window, dims: [1, window.length] },
      state: this._state,
      sr: { data: BigInt64Array.of(BigInt(SAMPLE_RATE_HZ)), dims: [] },
    });
    this._state = stateN;
    return output.data[0];
  }
}
