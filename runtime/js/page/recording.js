/** A recording: the microphone's sound is drawn, kept to be played, and recognised as it comes. */

import { LiveSession } from "./live.js";
import { openMicrophone } from "./microphone.js";
import { RecordedSound } from "./recorded-sound.js";
import { FIGURES } from "./view.js";
import { secondsText } from "./words.js";

/** Latencies are medians of the latest answers. */
const COUNTED = 50;

export class Recording {
  #close = null;
  #session = null;
  #stopped = null;
  #latencies = { partial: [], final: [] };

  /**
   * @param {import("./view.js").View} view
   * @param {object} engine
   * @param {object} options of the engine's stream
   * @param {() => void} onStop it has ended, by `stop` or by itself, and the last answers are shown
   */
  constructor(view, engine, options, onStop) {
    Object.assign(this, { view, engine, options, onStop });
  }

  /**
   * Asks for the microphone and begins.
   * @param {AudioContext} context
   * @returns {Promise<boolean>} whether it runs: it may have been stopped while somebody was asked
   */
  async start(context) {
    const rateHz = context.sampleRate;
    const sound = new RecordedSound(rateHz);
    await context.resume();
    this.#close = await openMicrophone(context, {
      onBlock: (block) => this.#hear(sound, block),
      onLost: () => this.#lose(),
    });
    if (this.#stopped) {
      this.#close();
      return false;
    }
    this.view.begin(sound, true);
    this.#session = new LiveSession(this.engine.stream({ rateHz, ...this.options }), rateHz, {
      onEvents: (events, stream) => this.#show(events, stream),
      onLost: (lostS) =>
        this.view.notice.show("Sound was lost", `${lostS.toFixed(1)} s: this device is too slow for the model.`),
    });
    this.#session.done.catch(() => this.stop());
    return true;
  }

  /** Stops, and waits for the last answers. */
  stop() {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop() {
    this.#close?.();
    try {
      await this.#session?.finish();
    } catch (error) {
      this.view.fail(error);
    }
    if (this.#session) this.view.rest();
    this.onStop();
  }

  #show(events, stream) {
    for (const event of events) this.#take(event);
    this.view.factor(stream.computeS, stream.clockS);
  }

  #take(event) {
    const { view } = this;
    const latencies = this.#latencies[event.type];
    latencies.push(event.latencyS);
    if (latencies.length > COUNTED) latencies.shift();
    view.figures.set(FIGURES[event.type], secondsText(median(latencies)));
    view.transcript.now(event);
    if (event.scores) view.scores.show(event.scores);
    if (event.type === "final") view.answer(event);
    else view.tentative(event);
  }

  #hear(sound, block) {
    sound.append(block);
    this.#session.push(block);
    this.view.clock();
    this.view.timeline.redraw();
  }

  async #lose() {
    await this.stop();
    this.view.notice.show(
      "The microphone went away",
      "It was unplugged, or another program took it. What was said before is below.",
    );
  }
}

function median(values) {
  const sorted = [...values].sort((one, two) => one - two);
  return sorted[sorted.length >> 1];
}
