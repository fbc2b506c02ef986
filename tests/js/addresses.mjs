// Opens bundles at addresses: reads {good, bad, next, clip} from standard input, addresses and a file of little-endian
// float32 at 16 kHz, and prints what each gives, with a cache such as browsers have and without. `next` is another
// version of the bundle `good`.
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

import { load } from "wav2edge";

const { good, bad, next, clip } = JSON.parse(await text(process.stdin));
const samples = new Float32Array(new Uint8Array(readFileSync(clip)).buffer);
const options = { device: "cpu", threads: 1 };

async function answer(address) {
  try {
    const engine = await load(address, options);
    const found = { name: String(engine), text: (await engine.run(samples, 16_000)).text };
    await engine.close();
    return found;
  } catch ({ name, message, exitCode }) {
    return { error: { name, message, exitCode } };
  }
}

let fetched = [];
/** What a browser's HTTP cache gives in place of a file that a server has, by its path. */
let stale = {};
const { fetch } = globalThis;
globalThis.fetch = (address, { cache = "default" } = {}) => {
  const { pathname, search } = new URL(address);
  fetched.push(pathname + search + (cache === "reload" ? " past every cache" : ""));
  return cache === "default" && stale[pathname] ? Promise.resolve(new Response(stale[pathname])) : fetch(address);
};
const without = await answer(new URL(good));
fetched = [];
const versioned = { ...(await answer(`${good}?v=2#top`)), fetched };
fetched = [];
const refused = [];
for (const address of bad) refused.push(await answer(address));

const kept = new Map();
globalThis.location = new URL("http://localhost/");
const withoutSearch = (key) => key.split("?")[0];
globalThis.caches = {
  open: async () => ({
    match: async (key) => [...kept].find(([each]) => withoutSearch(each) === withoutSearch(key))?.[1].clone(),
    put: async (key, response) => void kept.set(key, response),
    keys: async () => [...kept.keys()].map((url) => ({ url })),
    delete: async (key) => kept.delete(key),
  }),
};
const visits = [];
for (let visit = 0; visit < 2; visit += 1) {
  fetched = [];
  visits.push({ ...(await answer(good)), fetched });
}
const first = [...kept.keys()];

const [key] = first;
const damaged = new Uint8Array(await kept.get(key).clone().arrayBuffer());
damaged[1000] ^= 1;
kept.set(key, new Response(damaged));
fetched = [];
const healed = { ...(await answer(good)), fetched };
fetched = [];
healed.next = { ...(await answer(good)), fetched };

// The server has another version at the same address, and a cache its old graph.
const moved = (address) => String(address).replace(good, next);
const ours = globalThis.fetch;
globalThis.fetch = (address, options) => ours(moved(address), options);
const { pathname } = new URL(next);
stale = { [`${pathname}onnx/model_quantized.onnx`]: new Uint8Array(1000) };
fetched = [];
const updated = { ...(await answer(good)), fetched };
const left = [...kept.keys()];
console.log(JSON.stringify({ without, versioned, refused, visits, kept: first, healed, updated, left }));
