/** Words under the waveform, as buttons at their times; arrow keys move from one to the next. */

import { $, playButton } from "./elements.js";
import { percent } from "./words.js";

const lane = $("lane");
/** In order of time: `{text, startS, endS, confidence, tentative}`. */
let words = [];
/** Those in the document, by their numbers: button and word. */
const buttons = new Map();
let focused = 0;

/** Other words; those that are the same stay. */
export function setWords(wanted) {
  keepButtons((number, word) => {
    const now = wanted[number];
    return now?.text === word.text && now.startS === word.startS && now.tentative === word.tentative;
  });
  words = wanted;
  focused = Math.min(focused, Math.max(0, words.length - 1));
}

/** Puts words into the document as far as they are in sight, and nearby. */
export function layOut(left, width, scale) {
  const first = words.findIndex(({ endS }) => endS * scale >= left - width);
  let end = first;
  while (words[end]?.startS * scale < left + 2 * width) end++;
  keepButtons((number) => number >= first && number < end);
  for (let number = first; number < end; number++) place(number, scale);
}

/** Marks the word that is played. */
export function markWord(atS) {
  for (const [button, { startS, endS }] of buttons.values())
    button.classList.toggle("playing", atS !== null && startS <= atS && atS < endS);
}

/** @param {(word: object) => void} onGo a key moves to a word: it has to be laid out */
export function onKeys(onGo) {
  lane.addEventListener("keydown", (event) => {
    const last = words.length - 1;
    const to = { ArrowLeft: focused - 1, ArrowRight: focused + 1, Home: 0, End: last }[event.key];
    if (!words[to]) return;
    event.preventDefault();
    onGo(words[to]);
    buttons.get(to)[0].focus({ preventScroll: true });
  });
}

function keepButtons(isKept) {
  for (const [number, [button, word]] of buttons) {
    if (isKept(number, word)) continue;
    button.remove();
    buttons.delete(number);
  }
}

function place(number, scale) {
  const { startS, endS } = words[number];
  const [button] = buttons.get(number) ?? makeButton(number, words[number]);
  const next = words[number + 1];
  button.style.left = `${startS * scale}px`;
  button.style.maxWidth = next ? `${Math.max(2, (next.startS - startS) * scale - 4)}px` : "none";
  button.style.setProperty("--span", `${Math.max(2, (endS - startS) * scale)}px`);
  button.tabIndex = number === focused ? 0 : -1;
}

function makeButton(number, word) {
  const button = playButton(word, word.tentative ? "word tentative" : "word", word.text);
  button.title = `${word.startS.toFixed(2)} to ${word.endS.toFixed(2)} s, confidence ${percent(word.confidence)}`;
  button.addEventListener("focus", () => {
    const [before] = buttons.get(focused) ?? [];
    if (before) before.tabIndex = -1;
    button.tabIndex = 0;
    focused = number;
  });
  const later = Math.min(...[...buttons.keys()].filter((each) => each > number));
  lane.insertBefore(button, buttons.get(later)?.[0] ?? null);
  buttons.set(number, [button, word]);
  return [button];
}
