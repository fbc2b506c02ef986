/** A stream of an engine in a worker. */

import { failure, told } from "./errors.js";
import { Final, Partial } from "./streaming/events.js";

/**
 * @param {(call: string, args: any[]) => Promise<any>} call of the engine's port
 * @param {(fields: object) => object} revived the values in the fields of an event, made anew
 * @param {object} options those of `Engine.stream`
 */
export async function openWorkerStream(call, revived, options) {
  const number = await call("stream", [null, options]);
  return new WorkerStream((...args) => call("stream", [number, ...args]), revived);
}

/** What a stream in a worker has for `Stream`; its state is that after the latest answer. */
class WorkerStream {
  clockS = 0;
  speaking = false;
  levelDbfs = -120;
  computeS = 0;

  /**
   * @param {(method: string, ...args: any[]) => Promise<{ events: any[], state: object }>} call
   * @param {(fields: object) => object} revived the values in the fields of an event, made anew
   */
  constructor(call, revived) {
    this._call = call;
    this._revived = revived;
  }

  /** @see Stream.feed */
  feed(pcm, rateHz) {
    return this._events("feed", pcm, rateHz);
  }

  /** @see Stream.gap */
  gap(gap) {
    return this._events("gap", gap);
  }

  /** @see Stream.finish */
  finish() {
    return this._events("finish");
  }

  async _events(method, ...args) {
    if (this._isFinished) throw await told(failure("stream_finished"));
    this._isFinished = method === "finish";
    const { events, state } = await this._call(method, ...args);
    Object.assign(this, state);
    return events.map((event) => new (event.type === "final" ? Final : Partial)(this._revived(event)));
  }
}
