/** The button that records: the microphone's sound is drawn, kept to be played, and recognised as it comes. */

import { write } from "./elements.js";
import { LiveSession } from "./live.js";
import { openMicrophone } from "./microphone.js";
import { showFactor, showFigure, showNotice, showScores } from "./panels.js";
import { RecordedSound } from "./recorded-sound.js";
import { redraw } from "./timeline.js";
import { say, showNow } from "./transcript.js";
import { begin, fail, showAnswer, showClock, showComplete, showTentative } from "./view.js";
import { secondsText } from "./words.js";

/** Latencies are medians of the latest answers. */
const COUNTED = 50;

/** What is recorded now; null: nothing. @type {Recording | null} */
let recording = null;

/**
 * Begins to record, or stops.
 * @param {object} page
 * @param {AudioContext} page.context made or resumed while the person's click is handled
 * @param {{ engine: object } | null} page.loaded
 * @param {string} page.kind of the engine's stream
 * @param {(words: string, busy: boolean) => void} page.showStatus
 */
export async function toggle({ context, loaded, kind, showStatus }) {
  if (recording) return stop();
  const show = (words = null) => {
    if (!words) recording = null;
    document.body.classList.toggle("recording", recording !== null);
    write("record-text", recording ? "Stop" : "Record");
    showStatus(words ?? "Ready", recording !== null);
    if (recording) say("Listening.");
  };
  if (!loaded) return;
  showStatus("Waiting for the microphone", true);
  recording = new Recording(loaded.engine, kind, show);
  try {
    if (await recording.start(context)) show("Listening");
  } catch (error) {
    show();
    fail(error);
  }
}

/** Stops, and waits for the last answers. */
export async function stop() {
  await recording?.stop();
}

class Recording {
  #close = null;
  #session = null;
  #stopped = null;
  #latencies = { partial: [], final: [] };

  /**
   * @param {object} engine
   * @param {string} kind of its stream
   * @param {() => void} onStop it has ended, by `stop` or by itself, and the last answers are shown
   */
  constructor(engine, kind, onStop) {
    Object.assign(this, { engine, kind, onStop });
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
    begin(sound, true);
    this.#session = new LiveSession(this.engine.stream({ rateHz, kind: this.kind }), rateHz, {
      onEvents: (events, stream) => this.#show(events, stream),
      onLost: (lostS) => showNotice("Sound was lost", `${lostS.toFixed(1)} s: this device is too slow for the model.`),
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
      say("");
      fail(error);
    }
    if (this.#session) showComplete();
    this.onStop();
  }

  #show(events, stream) {
    for (const event of events) this.#take(event);
    showFactor(stream.computeS, stream.clockS);
  }

  #take(event) {
    const latencies = this.#latencies[event.type];
    latencies.push(event.latencyS);
    if (latencies.length > COUNTED) latencies.shift();
    showFigure(event.type, secondsText(median(latencies)));
    showNow(event);
    if (event.scores) showScores(event.scores);
    if (event.type === "final") showAnswer(event);
    else showTentative(event);
  }

  #hear(sound, block) {
    sound.append(block);
    this.#session.push(block);
    showClock(true);
    redraw();
  }

  async #lose() {
    await this.stop();
    showNotice(
      "The microphone went away",
      "It was unplugged, or another program took it. What was said before is below.",
    );
  }
}

function median(values) {
  const sorted = [...values].sort((one, two) => one - two);
  return sorted[sorted.length >> 1];
}
