/** Smallest and largest sample of blocks, of blocks of blocks, and so on: any stretch of sound is drawn in a moment. */

const BLOCK = 64;
const FACTOR = 4;
const FULL_SCALE = 32767;

export class Pyramid {
  /** Level n holds a pair of integers, smallest and largest, for each 64 * 4^n samples. */
  #levels = [];
  #count = 0;
  #low = Infinity;
  #high = -Infinity;

  /** Takes further samples, in [-1, 1]. */
  append(samples) {
    for (let at = 0; at < samples.length; at++) {
      const value = samples[at];
      if (value < this.#low) this.#low = value;
      if (value > this.#high) this.#high = value;
      if (++this.#count === BLOCK) this.#close();
    }
  }

  /**
   * Writes smallest and largest of each column into `out`, in turns, in [-1, 1]; columns without sound are 0.
   * @param {number} start sample in the middle of the first column; may be a fraction
   * @param {number} step samples from one column to the next
   * @param {number} span samples that a column shows
   * @param {Float32Array} out
   */
  columns(start, step, span, out) {
    let number = 0;
    while (number + 1 < this.#levels.length && BLOCK * FACTOR ** (number + 1) <= span) number++;
    const level = this.#levels[number];
    const size = BLOCK * FACTOR ** number;
    for (let column = 0; 2 * column < out.length; column++) {
      const first = Math.max(0, Math.floor((start + column * step - span / 2) / size));
      const end = Math.min(level?.count ?? 0, Math.ceil((start + column * step + span / 2) / size));
      let low = first < end ? FULL_SCALE : 0;
      let high = first < end ? -FULL_SCALE : 0;
      for (let block = first; block < end; block++) {
        low = Math.min(low, level.pairs[2 * block]);
        high = Math.max(high, level.pairs[2 * block + 1]);
      }
      out[2 * column] = low / FULL_SCALE;
      out[2 * column + 1] = high / FULL_SCALE;
    }
  }

  #close() {
    this.#push(0, integer(this.#low), integer(this.#high));
    this.#count = 0;
    this.#low = Infinity;
    this.#high = -Infinity;
  }

  #push(number, low, high) {
    const level = (this.#levels[number] ??= { pairs: new Int16Array(1024), count: 0 });
    if (2 * level.count === level.pairs.length) {
      const grown = new Int16Array(2 * level.pairs.length);
      grown.set(level.pairs);
      level.pairs = grown;
    }
    level.pairs[2 * level.count] = low;
    level.pairs[2 * level.count + 1] = high;
    if (++level.count % FACTOR) return;
    const last = level.pairs.subarray(2 * (level.count - FACTOR), 2 * level.count);
    this.#push(number + 1, Math.min(last[0], last[2], last[4], last[6]), Math.max(last[1], last[3], last[5], last[7]));
  }
}

const integer = (value) => Math.max(-FULL_SCALE, Math.min(FULL_SCALE, Math.round(value * FULL_SCALE)));
