/** What was said: the line that is being spoken, and the list of finished answers. */

import { $, made, playButton, write } from "./elements.js";
import { clockText, percent } from "./words.js";

/** A page that is open all day keeps the latest answers. */
const KEPT = 1000;
const NEAR_PX = 24;
/** More words are written smaller. */
const LONG = 12;

const finals = $("finals");

/** Words that stay, then words that may change. @param {object | null} segment */
export function showNow(segment) {
  const words = (segment?.text ?? "").split(" ").filter(Boolean);
  const isPartial = segment?.type === "partial";
  const stays = isPartial ? segment.stableWords : words.length;
  write("stable", words.length || !segment ? words.slice(0, stays).join(" ") : withoutWords(segment));
  write("tentative", words.slice(stays).join(" "));
  $("words-now").classList.toggle("long", words.length > LONG);
  $("invitation").hidden = Boolean(segment);
  const detail = segment && !isPartial && [`confidence ${percent(segment.confidence)}`, ...(segment.warnings ?? [])];
  write("now-detail", detail ? detail.join("; ") : "");
}

/** Instead of words: what is going on. @param {string} words */
export function say(words) {
  showNow(null);
  write("invitation", words);
}

/**
 * A finished answer.
 * @param {object} segment
 * @param {boolean} follow whether to scroll to it, where the answer before it is in sight
 */
export function addAnswer(segment, follow) {
  const time = clockText(segment.startS);
  const play = playButton(segment, "time", time);
  play.ariaLabel = `Play from ${time}`;
  const row = made("li");
  row.append(
    play,
    segment.rejected ? made("span", "said rejected", withoutWords(segment)) : made("span", "said", segment.text ?? ""),
    made("span", "label", segment.label ?? ""),
    made("span", "sure", percent(segment.confidence)),
  );
  const atEnd = finals.scrollTop + finals.clientHeight >= finals.scrollHeight - NEAR_PX;
  finals.append(row);
  if (finals.childElementCount > KEPT) finals.firstElementChild.remove();
  if (follow && atEnd) finals.scrollTop = finals.scrollHeight;
  count();
}

export function clearAnswers() {
  finals.replaceChildren();
  count();
}

/** All answers as lines of text. */
export const answersText = () => [...finals.children].map((row) => row.querySelector(".said").textContent).join("\n");

function count() {
  $("empty").hidden = Boolean(finals.firstElementChild);
  $("copy").disabled = !finals.firstElementChild;
}

/** What stands where a transcript would be, where there is none. */
function withoutWords({ rejected, label }) {
  if (rejected) return "not sure enough";
  return label ?? "nothing recognised";
}
