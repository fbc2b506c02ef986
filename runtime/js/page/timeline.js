/** The waveform on a canvas, with words under it. It scrolls where the sound is longer than the page is wide. */

import { $ } from "./elements.js";
import { layOut, markWord, onKeys, setWords } from "./lane.js";
import { clockText } from "./words.js";

const LIVE_PX_PER_S = 76;
const LEAST_PX_PER_S = 150;
const PITCH_PX = 3;
const BAR_PX = 2;
const AXIS_PX = 22;
const MARGIN_PX = 48;
const LEAST_TICK_PX = 64;
/** A bar shows ten milliseconds at least: a period of most voices, so that the outline is smooth however near it is. */
const LEAST_SPAN_S = 0.01;

const [scroller, wave] = [$("scroller"), $("wave")];
const pen = wave.getContext("2d");
const lessMotion = matchMedia("(prefers-reduced-motion: reduce)");

let sound = null;
/** Where it plays, in seconds; null for nowhere. */
let playedS = null;
let isLive = false;
let isFollowing = true;
let frame = null;
let columns = new Float32Array(0);
/** Colours of the style sheet, and its font. */
let ink, muted, accent, line, font;
/** What is drawn: where the part in sight begins, how wide and high it is, and how many pixels a second has. */
let left, width, height, scale;

new ResizeObserver(redraw).observe(scroller);
/** Whoever scrolls back while speaking stays there; at the end the newest sound is followed again. */
scroller.addEventListener("scroll", () => {
  isFollowing = scroller.scrollLeft > scroller.scrollWidth - scroller.clientWidth - MARGIN_PX;
  redraw();
});
onKeys(({ startS }) => {
  reveal(startS * scale);
  draw();
});

/** Shows another sound, or nothing; a live one grows, and its newest part is followed. */
export function showSound(shown, live) {
  sound = shown;
  isLive = isFollowing = live;
  playedS = null;
  scroller.scrollLeft = 0;
  showWords([]);
}

/** The sound does not grow any more, and has these words. */
export function showWhole(words) {
  isLive = false;
  showWords(words);
}

/** Words in order of time. */
export function showWords(words) {
  setWords(words);
  redraw();
}

/** Where it plays; null for nowhere. */
export function showPlace(atS) {
  playedS = atS;
  if (atS !== null) reveal(atS * scale);
  markWord(atS);
  redraw();
}

/** Takes the colours of the style sheet anew. */
export function recolour() {
  const style = getComputedStyle(wave);
  [ink, muted, accent, line] = ["ink", "muted", "accent", "line"].map((name) => style.getPropertyValue(`--${name}`));
  font = `11px ${style.fontFamily}`;
  redraw();
}

export function redraw() {
  frame ??= requestAnimationFrame(draw);
}

function draw() {
  frame = null;
  const durationS = sound?.durationS ?? 0;
  width = scroller.clientWidth;
  scale = isLive || !durationS ? LIVE_PX_PER_S : Math.max(LEAST_PX_PER_S, width / durationS);
  const length = Math.floor(durationS * scale);
  $("track").style.width = `${Math.max(width, length)}px`;
  if (isLive && isFollowing) scroller.scrollLeft = liveEdge(length);
  left = scroller.scrollLeft;
  clear();
  const middle = (height - AXIS_PX) / 2;
  drawAxis();
  bar(line, 0, width, middle - 0.5, 1);
  if (sound) drawBars(Math.min(width, length - left), middle);
  if (playedS !== null) bar(accent, playedS * scale - left - 1, 2, 0, height - AXIS_PX);
  layOut(left, width, scale);
}

/** The newest sound at the right; in jumps of half the width where the system asks for less motion. */
function liveEdge(length) {
  const half = width / 2;
  return lessMotion.matches ? Math.max(0, Math.ceil((length - width) / half)) * half : length - width;
}

function clear() {
  const density = devicePixelRatio;
  height = wave.clientHeight;
  const [across, down] = [Math.round(width * density), Math.round(height * density)];
  if (wave.width !== across || wave.height !== down) {
    wave.style.width = `${width}px`;
    wave.width = across;
    wave.height = down;
  }
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, width, height);
}

/** Bars lie on a grid of the sound, not of the page, so that they do not shimmer while they move. */
function drawBars(span, middle) {
  const { rateHz, pyramid } = sound;
  const first = Math.floor(left / PITCH_PX);
  const count = Math.max(0, Math.ceil((left + span) / PITCH_PX) - first);
  if (columns.length < 2 * count) columns = new Float32Array(2 * count);
  const step = (PITCH_PX / scale) * rateHz;
  pyramid.columns(first * step, step, Math.max(step, LEAST_SPAN_S * rateHz), columns.subarray(0, 2 * count));
  for (let column = 0; column < count; column++) {
    const x = (first + column) * PITCH_PX;
    const low = Math.min(loudness(columns[2 * column]) * middle, -0.75);
    const high = Math.max(loudness(columns[2 * column + 1]) * middle, 0.75);
    const isPlayed = playedS !== null && x < playedS * scale;
    bar(isPlayed ? accent : ink, x - left, BAR_PX, middle - high, high - low);
  }
}

function drawAxis() {
  const every = [0.1, 0.2, 0.5, 1, 2, 5].find((seconds) => seconds * scale >= LEAST_TICK_PX) ?? 10;
  pen.font = font;
  pen.textBaseline = "bottom";
  for (let tick = Math.floor(left / scale / every); tick * every * scale < left + width; tick++) {
    const x = tick * every * scale - left;
    bar(line, x, 1, height - AXIS_PX + 4, AXIS_PX - 6);
    pen.fillStyle = muted;
    pen.fillText(clockText(tick * every, every < 1 ? 1 : 0), x + 5, height - 1);
  }
}

function bar(colour, x, across, y, down) {
  pen.fillStyle = colour;
  pen.fillRect(x, y, across, down);
}

function reveal(x) {
  const { scrollLeft, clientWidth } = scroller;
  if (x < scrollLeft || x > scrollLeft + clientWidth - MARGIN_PX) scroller.scrollLeft = Math.max(0, x - MARGIN_PX);
}

/** Quiet speech is to be seen as well: the root, with its sign; 0.94 at full scale. */
const loudness = (value) => Math.sign(value) * Math.sqrt(Math.abs(value)) * 0.94;
