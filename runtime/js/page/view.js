/** What the page shows of one sound: its waveform and words, its answers, scores and figures. */

import { Figures, Notice, Scores } from "./panels.js";
import { Timeline } from "./timeline.js";
import { Transcript } from "./transcript.js";
import { clockText, factorText } from "./words.js";

export const FIGURES = {
  partial: "Latency, partial",
  final: "Latency, final",
  factor: "Real-time factor",
  ready: "Load time",
  backEnd: "Runs on",
  model: "Model",
};
const TITLES = {
  AudioError: "This sound cannot be recognised",
  BundleError: "This bundle cannot be used",
  DeviceError: "The model does not run here",
};

export class View {
  #segments = [];
  #items = [];
  /** Of the first sound that is played on. */
  #player = null;

  /**
   * @param {(id: string) => HTMLElement} $ the element of an id
   * @param {() => AudioContext} context to play with
   */
  constructor($, context) {
    this.$ = $;
    this.sound = null;
    this.live = false;
    const play = ({ startS, endS, scores }) => {
      this.play(startS, endS);
      if (scores && !this.live) this.scores.show(scores); // those of a recording are the mean of its answers
    };
    this.timeline = new Timeline($, play);
    this.transcript = new Transcript($, play);
    this.scores = new Scores($("classes"), $("scores"));
    this.figures = new Figures($("figures"), Object.values(FIGURES));
    this.notice = new Notice($("notice"), $("notice-title"), $("notice-text"), $("notice-close"));
    this.context = context;
    $("play").addEventListener("click", () =>
      this.#player?.playing ? this.#player.stop() : this.play(this.sound.firstS, this.sound.durationS),
    );
  }

  /** Another sound: what was shown of the one before goes. */
  begin(sound, live) {
    this.#player?.stop();
    this.notice.hide();
    this.sound = sound;
    this.live = live;
    this.#segments = [];
    this.#items = [];
    this.timeline.show(sound, live);
    this.transcript.clear();
    this.scores.show(null);
    for (const name of ["partial", "final", "factor"]) this.figures.set(FIGURES[name], "–");
    this.clock();
  }

  /** The sound is complete: it may be played. */
  rest() {
    this.live = false;
    this.timeline.rest();
    this.#items = this.#segments.flatMap((segment) => itemsOf(segment, false));
    this.timeline.items(this.#items);
    this.clock();
  }

  clock() {
    this.$("clock").textContent = this.sound ? clockText(this.sound.durationS) : "";
    this.$("play").disabled = this.live || !this.sound?.durationS;
  }

  /** An answer so far, behind the finished ones. */
  tentative(segment) {
    this.timeline.items([...this.#items, ...itemsOf(segment, true)]);
  }

  /** A finished answer: a final event, or a segment of a recording. */
  answer(segment) {
    this.transcript.add(segment, this.live);
    this.#segments.push(segment);
    this.#items.push(...itemsOf(segment, this.live)); // while sound comes in there is no room for single words
    this.timeline.items(this.#items);
  }

  /** The result of a file; segments were answers before it. */
  result(result) {
    this.transcript.now(result);
    if (!result.segments) this.answer(wholeOf(result));
    if (result.scores) this.scores.show(result.scores);
  }

  factor(computeS, soundS) {
    this.figures.set(FIGURES.factor, soundS > 0 ? factorText(computeS / soundS) : "–");
  }

  /** What went wrong, in the words of the error. */
  fail(error) {
    this.notice.show(error.title ?? TITLES[error.name] ?? "Something went wrong", error.message);
  }

  async play(startS, endS) {
    const { sound } = this;
    if (this.live || !sound) return;
    this.context().resume(); // browsers want it while a click is handled
    const { Player } = await import("./player.js");
    if (sound !== this.sound) return;
    this.#player ??= new Player(this.context, (atS) => this.#playsAt(atS));
    const plays = await this.#player.play(sound, startS, Math.min(endS, sound.durationS));
    if (!plays)
      this.notice.show("This is too long ago", "Of a microphone, the latest three minutes are kept to be played.");
  }

  #playsAt(atS) {
    this.timeline.place(atS);
    this.$("play").textContent = atS === null ? "Play" : "Stop";
  }
}

/** The words of a segment; all of it as one where that is asked for, or where the bundle has no true word times. */
function itemsOf(segment, whole) {
  const tentative = segment.type === "partial";
  const parts = !whole && segment.words?.length ? segment.words : [segment];
  return parts
    .map(({ text, label, startS, endS, confidence }) => {
      return { text: text || label || "", startS, endS, confidence, scores: segment.scores, tentative };
    })
    .filter((item) => item.text);
}

/** A clip that was answered whole, as the one segment of it. */
function wholeOf({ text, words, scores, label, confidence, rejected, durationS }) {
  return { text, words, scores, label, confidence, rejected, startS: 0, endS: durationS };
}
