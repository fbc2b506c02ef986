/** Words under the waveform, as buttons at their times; arrow keys move from one to the next. */

import { made } from "./elements.js";
import { percent } from "./words.js";

export class Lane {
  #items = [];
  #buttons = new Map();
  #focused = 0;

  /**
   * @param {HTMLElement} element
   * @param {(item: object) => void} onPlay a word was chosen
   * @param {(item: object) => void} onGo a key moves to a word: it has to be laid out
   */
  constructor(element, onPlay, onGo) {
    this.element = element;
    this.onPlay = onPlay;
    this.onGo = onGo;
    element.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Other words, in order of time: `{text, startS, endS, confidence, tentative}`. Those that are the same stay. */
  items(items) {
    for (const [number, { button, item }] of this.#buttons) {
      const now = items[number];
      if (now && now.text === item.text && now.startS === item.startS && now.tentative === item.tentative) continue;
      button.remove();
      this.#buttons.delete(number);
    }
    this.#items = items;
    this.#focused = Math.min(this.#focused, Math.max(0, items.length - 1));
  }

  /** Puts words into the document as far as they are in sight, and nearby. */
  layOut(left, width, scale) {
    const first = this.#firstAfter((left - width) / scale);
    let end = first;
    while (end < this.#items.length && this.#items[end].startS * scale < left + 2 * width) end++;
    for (const [number, { button }] of this.#buttons) {
      if (number >= first && number < end) continue;
      button.remove();
      this.#buttons.delete(number);
    }
    for (let number = first; number < end; number++) this.#place(number, scale);
  }

  /** Marks the word that is played. */
  mark(atS) {
    for (const { button, item } of this.#buttons.values()) {
      button.classList.toggle("playing", atS !== null && item.startS <= atS && atS < item.endS);
    }
  }

  #firstAfter(seconds) {
    let low = 0;
    for (let high = this.#items.length; low < high;) {
      const middle = (low + high) >> 1;
      if (this.#items[middle].endS < seconds) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #place(number, scale) {
    const item = this.#items[number];
    const button = this.#buttons.get(number)?.button ?? this.#make(number, item);
    const next = this.#items[number + 1];
    button.style.left = `${item.startS * scale}px`;
    button.style.maxWidth = next ? `${Math.max(2, (next.startS - item.startS) * scale - 4)}px` : "none";
    button.style.setProperty("--span", `${Math.max(2, (item.endS - item.startS) * scale)}px`);
    button.tabIndex = number === this.#focused ? 0 : -1;
  }

  #make(number, item) {
    const button = made("button", item.tentative ? "word tentative" : "word", item.text);
    button.title = `${item.startS.toFixed(2)} to ${item.endS.toFixed(2)} s, confidence ${percent(item.confidence)}`;
    button.addEventListener("click", () => this.onPlay(item));
    button.addEventListener("focus", () => this.#focus(number));
    const later = [...this.#buttons.keys()].filter((each) => each > number);
    this.element.insertBefore(button, later.length ? this.#buttons.get(Math.min(...later)).button : null);
    this.#buttons.set(number, { button, item });
    return button;
  }

  #focus(number) {
    const before = this.#buttons.get(this.#focused);
    if (before) before.button.tabIndex = -1;
    this.#buttons.get(number).button.tabIndex = 0;
    this.#focused = number;
  }

  #key(event) {
    const last = this.#items.length - 1;
    const to = { ArrowLeft: this.#focused - 1, ArrowRight: this.#focused + 1, Home: 0, End: last }[event.key];
    if (to === undefined || to < 0 || to > last) return;
    event.preventDefault();
    this.onGo(this.#items[to]);
    this.#buttons.get(to).button.focus({ preventScroll: true });
  }
}
