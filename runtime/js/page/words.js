/** How the page writes numbers. */

export const percent = (share) => `${Math.round(100 * share)} %`;

export const secondsText = (seconds) =>
  seconds < 0.095 ? `${Math.round(1e3 * seconds)} ms` : `${seconds.toFixed(2)} s`;

/** Minutes and seconds. */
export function clockText(seconds, digits = 1) {
  const rounded = Number(seconds.toFixed(digits));
  return `${Math.floor(rounded / 60)}:${(rounded % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0")}`;
}
