/** Elements of the page: those that it has, by their ids, and those that its code makes. */

/** @param {string} id @returns {HTMLElement} */
export const $ = (id) => document.getElementById(id);

/** Writes a text into an element, unless it is there already. @param {string} id @param {string} text */
export function write(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

/** @param {string} id @param {(event: Event) => void} listener */
export const onClick = (id, listener) => $(id).addEventListener("click", listener);

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} text
 */
export function made(tag, className = "", text = "") {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

/** What each button plays. @type {WeakMap<EventTarget, object>} */
const stretches = new WeakMap();

/** A button that plays a stretch of the sound, from `startS` to `endS`. */
export function playButton(stretch, className, text) {
  const button = made("button", className, text);
  stretches.set(button, stretch);
  return button;
}

/** @param {(stretch: object) => void} listener is told which stretch was chosen */
export function onPlay(listener) {
  addEventListener("click", ({ target }) => stretches.has(target) && listener(stretches.get(target)));
}
