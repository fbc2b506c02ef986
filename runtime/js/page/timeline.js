/** The waveform on a canvas, with words under it. It scrolls where the sound is longer than the page is wide. */

import { Lane } from "./lane.js";
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

export class Timeline {
  #sound = null;
  #place = null;
  #live = false;
  #following = true;
  #frame = null;
  #colours = {};
  #columns = new Float32Array(0);
  #still = matchMedia("(prefers-reduced-motion: reduce)");

  /**
   * @param {(id: string) => HTMLElement} $ the element of an id
   * @param {(item: object) => void} onPlay a word was chosen
   */
  constructor($, onPlay) {
    for (const id of ["scroller", "track", "wave"]) this[id] = $(id);
    this.lane = new Lane($("lane"), onPlay, (item) => {
      this.#reveal(item.startS * this.#scale);
      this.#draw();
    });
    new ResizeObserver(() => this.redraw()).observe(this.scroller);
    this.scroller.addEventListener("scroll", () => this.#scrolled());
  }

  /** Shows another sound, or nothing; a live one grows, and its newest part is followed. */
  show(sound, live) {
    this.#sound = sound;
    this.#live = this.#following = live;
    this.#place = null;
    this.scroller.scrollLeft = 0;
    this.items([]);
  }

  /** The sound does not grow any more. */
  rest() {
    this.#live = false;
    this.redraw();
  }

  /** Words in order of time. */
  items(items) {
    this.lane.items(items);
    this.redraw();
  }

  /** Where it plays; null for nowhere. */
  place(atS) {
    this.#place = atS;
    if (atS !== null) this.#reveal(atS * this.#scale);
    this.lane.mark(atS);
    this.redraw();
  }

  /** Takes the colours of the style sheet anew. */
  recolour() {
    const style = getComputedStyle(this.wave);
    for (const name of ["ink", "muted", "accent", "line"])
      this.#colours[name] = style.getPropertyValue(`--${name}`).trim();
    this.#colours.font = `11px ${style.fontFamily}`;
    this.redraw();
  }

  redraw() {
    this.#frame ??= requestAnimationFrame(() => this.#draw());
  }

  get #scale() {
    const durationS = this.#sound?.durationS || 0;
    if (this.#live || !durationS) return LIVE_PX_PER_S;
    return Math.max(LEAST_PX_PER_S, this.scroller.clientWidth / durationS);
  }

  #draw() {
    this.#frame = null;
    const width = this.scroller.clientWidth;
    const scale = this.#scale;
    const length = Math.floor((this.#sound?.durationS ?? 0) * scale);
    this.track.style.width = `${Math.max(width, length)}px`;
    if (this.#live && this.#following) this.scroller.scrollLeft = this.#liveEdge(length, width);
    const left = this.scroller.scrollLeft;
    const { pen, height } = this.#canvas(width);
    const middle = (height - AXIS_PX) / 2;
    this.#drawAxis(pen, left, width, scale, height);
    this.#bar(pen, this.#colours.line, 0, width, middle - 0.5, 1);
    if (this.#sound) this.#drawBars(pen, left, Math.min(width, length - left), scale, middle);
    if (this.#place !== null)
      this.#bar(pen, this.#colours.accent, this.#place * scale - left - 1, 2, 0, height - AXIS_PX);
    this.lane.layOut(left, width, scale);
  }

  /** The newest sound at the right; in jumps of half the width where the system asks for less motion. */
  #liveEdge(length, width) {
    const half = width / 2;
    return this.#still.matches ? Math.max(0, Math.ceil((length - width) / half)) * half : length - width;
  }

  #canvas(width) {
    const density = devicePixelRatio || 1;
    const height = this.wave.clientHeight;
    const [across, down] = [Math.round(width * density), Math.round(height * density)];
    if (this.wave.width !== across || this.wave.height !== down) {
      this.wave.style.width = `${width}px`;
      this.wave.width = across;
      this.wave.height = down;
    }
    const pen = this.wave.getContext("2d");
    pen.setTransform(density, 0, 0, density, 0, 0);
    pen.clearRect(0, 0, width, height);
    return { pen, height };
  }

  /** Bars lie on a grid of the sound, not of the page, so that they do not shimmer while they move. */
  #drawBars(pen, left, width, scale, middle) {
    const first = Math.floor(left / PITCH_PX);
    const count = Math.max(0, Math.ceil((left + width) / PITCH_PX) - first);
    if (this.#columns.length < 2 * count) this.#columns = new Float32Array(2 * count);
    const columns = this.#columns.subarray(0, 2 * count);
    const step = (PITCH_PX / scale) * this.#sound.rateHz;
    this.#sound.pyramid.columns(first * step, step, Math.max(step, LEAST_SPAN_S * this.#sound.rateHz), columns);
    const played = this.#place === null ? -1 : this.#place * scale;
    for (let column = 0; column < count; column++) {
      const x = (first + column) * PITCH_PX;
      const low = Math.min(loudness(columns[2 * column]) * middle, -0.75);
      const high = Math.max(loudness(columns[2 * column + 1]) * middle, 0.75);
      this.#bar(
        pen,
        x < played ? this.#colours.accent : this.#colours.ink,
        x - left,
        BAR_PX,
        middle - high,
        high - low,
      );
    }
  }

  #drawAxis(pen, left, width, scale, height) {
    const every = [0.1, 0.2, 0.5, 1, 2, 5].find((seconds) => seconds * scale >= LEAST_TICK_PX) ?? 10;
    pen.font = this.#colours.font;
    pen.textBaseline = "bottom";
    for (let tick = Math.floor(left / scale / every); tick * every * scale < left + width; tick++) {
      const x = tick * every * scale - left;
      this.#bar(pen, this.#colours.line, x, 1, height - AXIS_PX + 4, AXIS_PX - 6);
      pen.fillStyle = this.#colours.muted;
      pen.fillText(clockText(tick * every, every < 1 ? 1 : 0), x + 5, height - 1);
    }
  }

  #bar(pen, colour, x, width, y, height) {
    pen.fillStyle = colour;
    pen.fillRect(x, y, width, height);
  }

  #reveal(x) {
    const { scrollLeft, clientWidth } = this.scroller;
    if (x < scrollLeft || x > scrollLeft + clientWidth - MARGIN_PX)
      this.scroller.scrollLeft = Math.max(0, x - MARGIN_PX);
  }

  /** Whoever scrolls back while speaking stays there; at the end the newest sound is followed again. */
  #scrolled() {
    const { scrollLeft, scrollWidth, clientWidth } = this.scroller;
    this.#following = scrollLeft > scrollWidth - clientWidth - MARGIN_PX;
    this.redraw();
  }
}

/** Quiet speech is to be seen as well: the root, with its sign; 0.94 at full scale. */
const loudness = (value) => Math.sign(value) * Math.sqrt(Math.abs(value)) * 0.94;
