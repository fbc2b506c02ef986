/** A stream of an engine in a worker. */

import { Final, Partial } from "./streaming/events.js";
import { revived } from "./worker_client.js";

/** What a stream in a worker has for `Stream`; its state is that after the latest answer. */
export class WorkerStream {
  clockS = 0;
  speaking = false;
  levelDbfs = -120;
  computeS = 0;

  /** @param {(method: string, args: any[]) => Promise<{ events: any[], state: object }>} call */
  constructor(call) {
    this._call = call;
  }

  /** @see Stream.feed */
  feed(pcm, rateHz) {
    return this._events("feed", pcm, rateHz);
  }

  /** @see Stream.gap */
  gap(lostS) {
    return this._events("gap", lostS);
  }

  /** @see Stream.finish */
  finish() {
    return this._events("finish");
  }

  async _events(method, ...args) {
    const { events, state } = await this._call(method, args);
    Object.assign(this, state);
    return events.map(revivedEvent);
  }
}

function revivedEvent(fields) {
  const Kind = fields.type === "final" ? Final : Partial;
  return new Kind(revived(fields));
}
