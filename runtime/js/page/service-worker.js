/**
 * Keeps what the page has loaded, for when there is no connection: the network first, then what is kept. Models are
 * left to the engine, which keeps them under their digests.
 */

const KEPT = "wav2edge-page";
const MODEL = /\.onnx$/;

addEventListener("install", () => self.skipWaiting());
addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  if (event.request.method === "GET" && origin === location.origin && !MODEL.test(pathname))
    event.respondWith(answer(event));
});

async function answer(event) {
  const { request } = event;
  const cache = await caches.open(KEPT);
  const key = request.mode === "navigate" ? new URL(request.url).pathname : request.url; // whatever its bundle
  const kept = await cache.match(key);
  try {
    const response = await fetch(request.mode === "navigate" ? request : unlessKept(request, kept));
    if (response.status === 304) return kept;
    if (response.status === 200) event.waitUntil(cache.put(key, response.clone()).catch(noRoom));
    return response;
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}

/** The next visit needs a connection for what is not kept. */
const noRoom = () => {};

/** The same request, for a file that is not the kept one: browsers do not keep large ones for long. */
function unlessKept(request, kept) {
  const tag = kept?.headers.get("ETag");
  return tag ? new Request(request, { headers: { "If-None-Match": tag } }) : request;
}
