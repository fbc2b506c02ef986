/** Recognises a microphone as it is heard: a queue between it and the engine's stream. */

import { Gap, LiveQueue } from "../src/streaming/queue.js";

/** So much sound may wait for the engine; beyond that all that waits is dropped. */
const LONGEST_WAIT_S = 10;

export class LiveSession {
  #queue;
  #done;

  /**
   * @param {Promise<object>} stream of the engine; sound may come before it is open
   * @param {number} rateHz
   * @param {{onEvents: (events: object[], stream: object) => void, onLost: (lostS: number) => void}} told
   */
  constructor(stream, rateHz, told) {
    this.told = told;
    this.#queue = new LiveQueue(LONGEST_WAIT_S, rateHz);
    this.#done = this.#work(stream);
  }

  push(block) {
    this.#queue.put(block);
  }

  /** Ends the stream after all that waits; rejected with what the stream failed with, while it was fed or now. */
  finish() {
    this.#queue.close();
    return this.#done;
  }

  /** Settles when the stream has ended, by itself or after `finish`. */
  get done() {
    return this.#done;
  }

  async #work(opening) {
    const stream = await opening;
    for await (const item of this.#queue) {
      if (item instanceof Gap) this.told.onLost(item.lostS);
      const events = item instanceof Gap ? stream.gap(item.lostS) : stream.feed(item);
      this.told.onEvents(await events, stream);
    }
    this.told.onEvents(await stream.finish(), stream);
  }
}
