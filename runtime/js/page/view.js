/** What the page shows of one sound: its waveform and words, its answers, scores and figures. */

import { $, onClick, onPlay, write } from "./elements.js";
import { showFigure, showNotice, showScores } from "./panels.js";
import { showPlace, showSound, showWhole, showWords } from "./timeline.js";
import { addAnswer, clearAnswers, showNow } from "./transcript.js";
import { clockText } from "./words.js";

const TITLES = {
  AudioError: "This sound cannot be recognised",
  BundleError: "This bundle cannot be used",
  DeviceError: "The model does not run here",
};

/** The sound that is shown; null: none. */
let sound = null;
/** Whether it grows. */
let isLive = false;
/** The finished answers, and what stands under the waveform for them. */
let segments = [];
let items = [];
/** Plays the sound, once somebody has asked for it. */
let player = null;
let context = null;

/** @returns {AudioContext} one for all that is recorded and played */
export const audioContext = () => (context ??= new AudioContext());

/** Another sound: what was shown of the one before goes. */
export function begin(shown, live) {
  player?.stop();
  showNotice();
  sound = shown;
  segments = [];
  items = [];
  showSound(sound, live);
  clearAnswers();
  showScores(null);
  for (const name of ["partial", "final", "factor"]) showFigure(name, "–");
  showClock(live);
}

/** @param {boolean} live whether the sound grows; it may be played once it is complete */
export function showClock(live) {
  isLive = live;
  write("clock", sound ? clockText(sound.durationS) : "");
  $("play").disabled = isLive || !sound?.durationS;
}

/** The sound is complete: it may be played, and has single words. */
export function showComplete() {
  showClock(false);
  items = segments.flatMap((segment) => itemsOf(segment, false));
  showWhole(items);
}

/** An answer so far, behind the finished ones. */
export function showTentative(segment) {
  showWords([...items, ...itemsOf(segment, true)]);
}

/** A finished answer: a final event, or a segment of a recording. */
export function showAnswer(segment) {
  addAnswer(segment, isLive);
  segments.push(segment);
  items.push(...itemsOf(segment, isLive)); // while sound comes in there is no room for single words
  showWords(items);
}

/** The result of a file; segments were answers before it. */
export function showResult(result) {
  showNow(result);
  if (!result.segments) showAnswer({ ...result, label: result.label, startS: 0, endS: result.durationS });
  if (result.scores) showScores(result.scores);
}

/** What went wrong, in the words of the error. */
export function fail(error) {
  showNotice(error.title ?? TITLES[error.name] ?? "Something went wrong", error.message);
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

async function play({ startS, endS, scores }) {
  if (isLive || !sound) return;
  if (scores) showScores(scores); // those of a recording are the mean of its answers
  audioContext().resume(); // browsers want it while a click is handled
  const wanted = sound;
  player = await import("./player.js");
  if (sound !== wanted) return;
  if (await player.play(audioContext(), sound, startS, endS, showPlaying)) return;
  showNotice("This is too long ago", "Of a microphone, the latest three minutes are kept to be played.");
}

/** @param {number | null} atS where it plays */
function showPlaying(atS) {
  showPlace(atS);
  write("play", atS === null ? "Play" : "Stop");
}

onPlay(play);
onClick("play", () => (player?.isPlaying() ? player.stop() : play({ startS: sound.firstS, endS: sound.durationS })));
onClick("notice-close", () => showNotice());
