// An engine in a worker, and what goes wrong there: reads {bundle, recording} from standard input, a bundle with graphs for
// streams and a file of little-endian float32 at 16 kHz, and prints by its name what each call gives: the names of
// messages, and "hangs" for what has no answer after some seconds. The worker is a port of this thread.
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { MessageChannel } from "node:worker_threads";

import { load } from "wav2edge";

import { loadInWorker } from "./node_modules/wav2edge/src/web.js";
import { serve } from "./node_modules/wav2edge/src/worker_server.js";

const PATIENCE_MS = 20_000;
const { bundle, recording } = JSON.parse(await text(process.stdin));
const samples = new Float32Array(new Uint8Array(readFileSync(recording)).buffer);
const clip = samples.subarray(0, 32_000);
const workers = { started: 0, ended: 0 };

globalThis.document = { baseURI: "http://localhost/" };
globalThis.location = new URL(document.baseURI);
/** What a browser has for a worker; it opens the bundle of the question whatever its address. */
globalThis.Worker = class extends EventTarget {
  constructor() {
    super();
    const { port1, port2 } = new MessageChannel();
    workers.started += 1;
    serve(port1, (_, { runtime, wasmPaths, ...options }) => load(bundle, { ...options, device: "cpu", threads: 1 }));
    port1.start();
    port2.start();
    port2.addEventListener("message", ({ data }) => this.dispatchEvent(new MessageEvent("message", { data })));
    this.postMessage = (message) => port2.postMessage(message);
    this.terminate = () => {
      workers.ended += 1;
      port2.close();
    };
  }
};

const outcome = (call) =>
  Promise.race([
    Promise.resolve(call).then(
      (value) => value?.text ?? "done",
      ({ id, message }) => id ?? message,
    ),
    new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, "hangs").unref()),
  ]);
const all = (calls) => Promise.all(calls.map(outcome));
const found = {};

let engine = await loadInWorker("/bundle/");
found.rejected = [];
for (const rejectBelow of [1, 0]) {
  engine.rejectBelow = rejectBelow;
  found.rejected.push((await engine.run(clip, 16_000)).rejected);
}
found.threshold = await outcome((async () => void (engine.rejectBelow = 5))());
const lent = clip.slice();
structuredClone(lent, { transfer: [lent.buffer] });
found.unsent = await all([
  engine.run(lent, 16_000),
  engine.run(new Response("sound"), 16_000),
  engine.run(Promise.resolve(clip), 16_000),
  engine.stream({ nowS: () => 0 }),
  engine.stream({ endpointing: { vad: { feed: () => [] } } }),
  engine.stream().then((stream) => stream.feed(() => clip)),
]);
const thrower = () => {
  throw new Error("mine");
};
found.listeners = await all([
  engine.run(samples, 16_000, { onSegment: thrower }),
  engine.run(samples, 16_000, { onSegment: 5 }),
  engine.run(samples, 16_000, null),
]);
const ended = await engine.stream();
await ended.finish();
found.finished = await all([ended.feed(clip), ended.finish(), ended.gap(1)]);
const stream = await engine.stream();
const asked = [engine.run(samples, 16_000), stream.feed(samples), engine.close(), engine.close()];
found.closing = await all([...asked, engine.run(clip, 16_000), stream.feed(clip)]);
found.closed = await outcome(engine.close());

const before = { ...workers };
found.refused = await all([
  loadInWorker("/bundle/", { decoder: "greedy" }),
  loadInWorker("/bundle/", { threads: 1.5, variant: "fp99" }),
  loadInWorker("/bundle/", null),
  loadInWorker("http://[bad"),
  loadInWorker("/bundle/", { worker: 5 }),
]);
found.running = workers.started - before.started - (workers.ended - before.ended);
const missing = Object.assign(new EventTarget(), { postMessage() {} });
const opening = loadInWorker("/bundle/", { worker: missing });
setTimeout(() => missing.dispatchEvent(new Event("error")));
found.missing = await outcome(opening);
found.unknown = await loadInWorker("/bundle/", { colour: "red" }).catch(({ message }) => message);
delete globalThis.document; // as in a worker
found.nested = await outcome(loadInWorker("/bundle/").then((each) => each.close()));
globalThis.Worker = class {
  constructor() {
    throw new TypeError("This document requires 'TrustedScriptURL' assignment.");
  }
};
found.forbidden = await outcome(loadInWorker("/bundle/"));
console.log(JSON.stringify(found));
process.exit();
