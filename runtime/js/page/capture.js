/** The microphone's sound on the audio thread: blocks of 2048 samples, mono, at the rate of the audio context. */

const BLOCK = 2048;

class Capture extends AudioWorkletProcessor {
  #block = new Float32Array(BLOCK);
  #filled = 0;

  process([channels]) {
    const sound = channels[0];
    if (!sound) return true;
    this.#block.set(sound, this.#filled); // 128 at a time, which divides 2048; the browser uses its array again
    this.#filled += sound.length;
    if (this.#filled === BLOCK) {
      this.port.postMessage(this.#block, [this.#block.buffer]);
      this.#block = new Float32Array(BLOCK);
      this.#filled = 0;
    }
    return true;
  }
}

registerProcessor("capture", Capture);
