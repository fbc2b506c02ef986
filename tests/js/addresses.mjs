// Opens bundles at addresses: reads {good, bad, clip} from standard input, addresses and a file of little-endian
// float32 at 16 kHz, and prints what each gives, with a cache such as browsers have and without.
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

import { load } from "wav2edge";

const { good, bad, clip } = JSON.parse(await text(process.stdin));
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
const { fetch } = globalThis;
globalThis.fetch = (address) => {
  fetched.push(new URL(address).pathname);
  return fetch(address);
};
const without = await answer(new URL(good));
const refused = [];
for (const address of bad) refused.push(await answer(address));

const kept = new Map();
globalThis.location = new URL("http://localhost/");
globalThis.caches = {
  open: async () => ({
    match: async (key) => kept.get(key)?.clone(),
    put: async (key, response) => void kept.set(key, response),
  }),
};
const visits = [];
for (let visit = 0; visit < 2; visit += 1) {
  fetched = [];
  visits.push({ ...(await answer(good)), fetched });
}
console.log(JSON.stringify({ without, refused, visits, kept: [...kept.keys()] }));
