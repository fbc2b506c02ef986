/** A bounded queue of sound between a recorder and a stream; what is lost is counted and said. */

import { roundHalfEven } from "../numbers.js";
import { refusal } from "../refusals.js";
import { checkRate } from "../sound_faults.js";
import { shown } from "../written.js";
import { channelsOfBlock } from "./blocks.js";

const NAME = "queue";

/** So much sound was lost here: hand it to `stream.gap`. */
export class Gap {
  /** @param {number} lostS */
  constructor(lostS) {
    this.lostS = lostS;
  }
}

/** @typedef {import("./blocks.js").Block} Block */
/** @typedef {import("../samples.js").Samples} Samples */

/**
 * Blocks of sound in their order, at most so many seconds of them, with a `Gap` where some were lost.
 *
 * When it is full, all that waits is dropped, and not only its oldest block: a gap ends an utterance, so one long gap
 * costs less than a short one after each block. The oldest and not the newest, because who reads along wants to be in
 * the present again.
 */
export class LiveQueue {
  /**
   * @param {number} limitS most seconds of sound that wait; a single block that is longer is taken nevertheless
   * @param {number} rateHz samples per second and channel
   */
  constructor(limitS, rateHz) {
    if (typeof limitS !== "number" || !(limitS > 0)) throw refusal("queue_limit", { limit: shown(limitS) });
    checkRate(NAME, rateHz, refusal);
    this._limit = roundHalfEven(limitS * rateHz);
    this._rateHz = rateHz;
    /** @type {(Samples | Samples[] | Gap)[]} */
    this._items = [];
    this._waiting = 0; // samples
    this._isClosed = false;
    /** @type {Error | null} */
    this._error = null;
    /** @type {((value?: unknown) => void)[]} */
    this._readers = []; // wake those who wait
    /** Seconds of sound that were lost so far. */
    this.lostS = 0;
  }

  /** Seconds of sound that wait. */
  get waitingS() {
    return this._waiting / this._rateHz;
  }

  /**
   * Add a copy of a block, as recorders use their memory again; bytes become the 16-bit integers that they hold. After
   * `close` it is left out.
   * @param {Block} block whatever `stream.feed` takes
   */
  put(block) {
    const channels = channelsOfBlock(NAME, block, refusal).map((channel) => channel.slice());
    const { length } = channels[0];
    if (this._isClosed || !length) return;
    if (this._waiting && this._waiting + length > this._limit) this._drop();
    this._items.push(Array.isArray(block) ? channels : channels[0]);
    this._waiting += length;
    this._wake();
  }

  /**
   * Say that the recorder itself lost so much sound after the latest block; of 0 s where it cannot tell.
   * @param {number} lostS
   */
  lose(lostS) {
    if (!Number.isFinite(lostS)) throw refusal("option_seconds", { option: "lostS", value: shown(lostS) });
    if (this._isClosed) return;
    this.lostS += Math.max(0, lostS);
    this._addGap(Math.max(0, lostS));
    this._wake();
  }

  /**
   * Say that nothing follows, because of an error or not; what waits can still be got.
   * @param {Error | null} error
   */
  close(error = null) {
    if (this._isClosed) return;
    this._isClosed = true;
    this._error = error;
    this._wake();
  }

  /**
   * The next block or gap, waited for; null after the last. Rejected with the error that the queue was closed with,
   * after the last block.
   * @returns {Promise<Samples | Samples[] | Gap | null>}
   */
  async get() {
    while (!this._items.length && !this._isClosed) await new Promise((resolve) => this._readers.push(resolve));
    const item = this._items.shift();
    if (item === undefined) {
      if (this._error) throw this._error;
      return null;
    }
    if (!(item instanceof Gap)) this._waiting -= lengthOf(item);
    return item;
  }

  /** The blocks and gaps until it is closed. */
  async *[Symbol.asyncIterator]() {
    for (let item; (item = await this.get()) !== null; ) yield item;
  }

  _wake() {
    for (const wake of this._readers.splice(0)) wake();
  }

  _drop() {
    const saidS = this._items.reduce((sum, item) => (item instanceof Gap ? sum + item.lostS : sum), 0);
    const droppedS = this.waitingS;
    this._items = [];
    this._waiting = 0;
    this.lostS += droppedS;
    this._addGap(saidS + droppedS);
  }

  /** A gap behind all that waits; two in a row are one. @param {number} lostS */
  _addGap(lostS) {
    const before = this._items.at(-1);
    if (before instanceof Gap) this._items.pop();
    this._items.push(new Gap(lostS + (before instanceof Gap ? before.lostS : 0)));
  }
}

/** Samples of a block in each channel. @param {Samples | Samples[]} block */
function lengthOf(block) {
  return Array.isArray(block) ? block[0].length : block.length;
}
