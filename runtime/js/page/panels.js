/** The panels at the side: class scores as bars, figures, and messages. */

import { $, made, write } from "./elements.js";
import { percent } from "./words.js";

/** Row, bar and share of each label: they stay, and only their lengths change. */
let rows = new Map();

/** @param {{ [label: string]: number } | null} scores */
export function showScores(scores) {
  $("classes").hidden = !scores;
  if (!scores) return;
  const labels = Object.keys(scores);
  if (labels.join("\n") !== [...rows.keys()].join("\n")) makeRows(labels);
  const best = labels.reduce((one, two) => (scores[two] > scores[one] ? two : one));
  for (const [label, [row, bar, share]] of rows) {
    row.classList.toggle("best", label === best);
    bar.style.transform = `scaleX(${scores[label]})`;
    share.textContent = percent(scores[label]);
  }
}

/** @param {string[]} labels */
function makeRows(labels) {
  $("scores").replaceChildren();
  rows = new Map();
  for (const label of labels) {
    const [row, track, bar, share] = [made("li"), made("span", "bar"), made("span"), made("span", "share")];
    track.ariaHidden = "true";
    track.append(bar);
    row.append(made("span", "label", label), track, share);
    $("scores").append(row);
    rows.set(label, [row, bar, share]);
  }
}

/** @param {string} name @param {string} text */
export const showFigure = (name, text) => write(`figure-${name}`, text);

/** Seconds of computing for those of sound. @param {number} computeS @param {number} soundS */
export const showFactor = (computeS, soundS) =>
  showFigure("factor", soundS > 0 ? `${(computeS / soundS).toPrecision(2)}×` : "–");

/** What went wrong, in a box that a screen reader reads at once; without a title the box goes. */
export function showNotice(title, text) {
  $("notice").hidden = !title;
  if (!title) return;
  write("notice-title", title);
  write("notice-text", text);
}
