/** The page without a connection: a service worker keeps what was loaded. */

/** Loading waits for the service worker, so that what a first visit loads is kept, too; this long at most. */
const PATIENCE_MS = 2000;
/** Somebody who drops a file at once does not wait for what the first answer does not need. */
const QUIET_MS = 3000;

const workers = navigator.serviceWorker;
const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts the service worker, and waits until it sees what this page loads; where there is none, at once. */
export async function keepLoaded() {
  if (!workers || workers.controller) return;
  const controlled = new Promise((resolve) => (workers.oncontrollerchange = resolve));
  try {
    await workers.register(new URL("service-worker.js", import.meta.url));
    await Promise.race([controlled, after(PATIENCE_MS)]);
  } catch {} // forbidden by the browser: the page works, with a connection
}

/**
 * Keeps all of the page. Files that were loaded before the service worker was there are asked for once more; the
 * browser has them still.
 */
export async function keepPage() {
  if (!workers?.controller) return;
  const names = [location.pathname, ...performance.getEntriesByType("resource").map(({ name }) => name)];
  await Promise.allSettled(names.map(async (name) => (await caches.match(name)) ?? fetch(name)));
  await after(QUIET_MS);
  const { loadRest } = await import("./rest.js");
  await loadRest();
}
