/** Plays stretches of a sound, and says where it is. */

export class Player {
  #source = null;
  #frame = 0;

  /**
   * @param {() => AudioContext} context
   * @param {(atS: number | null) => void} onPlace where it plays, each frame; null once it has ended
   */
  constructor(context, onPlace) {
    this.context = context;
    this.onPlace = onPlace;
  }

  get playing() {
    return this.#source !== null;
  }

  async play(sound, startS, endS) {
    this.stop();
    const context = this.context();
    await context.resume();
    const stretch = sound.stretch(context, startS, endS);
    if (!stretch) return false;
    const source = context.createBufferSource();
    source.buffer = stretch.buffer;
    source.connect(context.destination);
    source.onended = () => this.stop();
    const began = context.currentTime;
    source.start(0, stretch.offsetS, endS - startS);
    this.#source = source;
    const follow = () => {
      this.onPlace(Math.min(endS, startS + context.currentTime - began));
      this.#frame = requestAnimationFrame(follow);
    };
    follow();
    return true;
  }

  stop() {
    if (!this.#source) return;
    cancelAnimationFrame(this.#frame);
    this.#source.onended = null;
    this.#source.stop();
    this.#source.disconnect();
    this.#source = null;
    this.onPlace(null);
  }
}
