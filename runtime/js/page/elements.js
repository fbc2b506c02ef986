/** Elements of the page that its code makes. */

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} text
 */
export function made(tag, className = "", text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  if (tag === "button") element.type = "button";
  return element;
}
