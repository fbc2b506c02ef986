/** The panels at the side: class scores as bars, figures, and messages. */

import { made } from "./elements.js";
import { percent } from "./words.js";

/** Bars of the class scores; the bars stay and only their lengths change. */
export class Scores {
  #rows = new Map();

  constructor(section, list) {
    this.section = section;
    this.list = list;
  }

  show(scores) {
    this.section.hidden = !scores;
    if (!scores) return;
    const labels = Object.keys(scores);
    if (labels.join("\n") !== [...this.#rows.keys()].join("\n")) this.#make(labels);
    const best = labels.reduce((one, two) => (scores[two] > scores[one] ? two : one));
    for (const [label, { row, bar, share }] of this.#rows) {
      row.classList.toggle("best", label === best);
      bar.style.transform = `scaleX(${scores[label]})`;
      share.textContent = percent(scores[label]);
    }
  }

  #make(labels) {
    this.list.replaceChildren();
    this.#rows.clear();
    for (const label of labels) {
      const [row, track, bar, share] = [made("li"), made("span", "bar"), made("span"), made("span", "share")];
      track.setAttribute("aria-hidden", "true");
      track.append(bar);
      row.append(made("span", "label", label), track, share);
      this.list.append(row);
      this.#rows.set(label, { row, bar, share });
    }
  }
}

/** Names and values; a value that is not known has a dash. */
export class Figures {
  #values = new Map();

  constructor(list, names) {
    for (const name of names) {
      const value = made("dd", "", "–");
      list.append(made("dt", "", name), value);
      this.#values.set(name, value);
    }
  }

  set(name, text) {
    const value = this.#values.get(name);
    if (value.textContent !== text) value.textContent = text;
  }
}

/** What went wrong, in a box that a screen reader reads at once. */
export class Notice {
  constructor(box, title, text, close) {
    Object.assign(this, { box, title, text });
    close.addEventListener("click", () => this.hide());
  }

  show(title, text) {
    this.title.textContent = title;
    this.text.textContent = text;
    this.box.hidden = false;
  }

  hide() {
    this.box.hidden = true;
  }
}
