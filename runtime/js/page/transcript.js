/** What was said: the line that is being spoken, and the list of finished answers. */

import { made } from "./elements.js";
import { clockText, percent } from "./words.js";

/** A page that is open all day keeps the latest answers. */
const KEPT = 1000;
const NEAR_PX = 24;
/** More words are written smaller. */
const LONG = 12;

export class Transcript {
  /**
   * @param {(id: string) => HTMLElement} $ the element of an id
   * @param {(segment: object) => void} onPlay an answer was chosen
   */
  constructor($, onPlay) {
    for (const id of ["stable", "tentative", "invitation", "finals", "empty", "copy"]) this[id] = $(id);
    this.line = $("words-now");
    this.detail = $("now-detail");
    this.onPlay = onPlay;
  }

  /** Words that stay, then words that may change. */
  now(segment) {
    const words = (segment?.text ?? "").split(" ").filter(Boolean);
    const stays = segment?.type === "partial" ? segment.stableWords : words.length;
    this.stable.textContent = words.length || !segment ? words.slice(0, stays).join(" ") : withoutWords(segment);
    this.tentative.textContent = words.slice(stays).join(" ");
    this.line.classList.toggle("long", words.length > LONG);
    this.invitation.hidden = Boolean(segment);
    const finished = segment && segment.type !== "partial";
    this.detail.textContent = finished
      ? [`confidence ${percent(segment.confidence)}`, ...(segment.warnings ?? [])].join("; ")
      : "";
  }

  /** Instead of words: what is going on. */
  say(words) {
    this.now(null);
    this.invitation.textContent = words;
  }

  /**
   * A finished answer.
   * @param {object} segment
   * @param {boolean} follow whether to scroll to it, where the answer before it is in sight
   */
  add(segment, follow) {
    const row = made("li");
    const play = made("button", "time", clockText(segment.startS));
    play.setAttribute("aria-label", `Play from ${clockText(segment.startS)}`);
    play.addEventListener("click", () => this.onPlay(segment));
    row.append(
      play,
      segment.rejected
        ? made("span", "said rejected", withoutWords(segment))
        : made("span", "said", segment.text ?? ""),
      made("span", "label", segment.label ?? ""),
      made("span", "sure", percent(segment.confidence)),
    );
    const { scrollTop, scrollHeight, clientHeight } = this.finals;
    const atEnd = scrollTop + clientHeight >= scrollHeight - NEAR_PX;
    this.finals.append(row);
    if (this.finals.childElementCount > KEPT) this.finals.firstElementChild.remove();
    if (follow && atEnd) this.finals.scrollTop = this.finals.scrollHeight;
    this.#count();
  }

  clear() {
    this.finals.replaceChildren();
    this.#count();
  }

  /** All answers as lines of text. */
  get text() {
    return [...this.finals.children].map((row) => row.querySelector(".said").textContent).join("\n");
  }

  #count() {
    this.empty.hidden = this.finals.childElementCount > 0;
    this.copy.disabled = !this.finals.childElementCount;
  }
}

/** What stands where a transcript would be, where there is none. */
function withoutWords({ rejected, label }) {
  if (rejected) return "not sure enough";
  return label ?? "nothing recognised";
}
