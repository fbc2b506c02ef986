/** Work in slices: the page answers a key or a click between two of them. */

const SLICE_MS = 8;

/** Gives way to everything that waits. */
export const yielded = globalThis.scheduler?.yield
  ? () => scheduler.yield()
  : () =>
      new Promise((resume) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => {
          port1.close();
          resume();
        };
        port2.postMessage(null);
      });

/**
 * Calls a function on pieces of a range, and gives way whenever a slice of time is used up.
 * @param {number} length
 * @param {number} piece
 * @param {(start: number, end: number) => void} work
 */
export async function inSlices(length, piece, work) {
  let began = performance.now();
  for (let start = 0; start < length; start += piece) {
    work(start, Math.min(length, start + piece));
    if (performance.now() - began > SLICE_MS) {
      await yielded();
      began = performance.now();
    }
  }
}
