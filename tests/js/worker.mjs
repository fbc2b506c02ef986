// Asks an engine behind a port what it asks one in this thread: reads {bundle, clips: [path], recording} from standard
// input, where a file is little-endian float32 at 16 kHz, and prints {here, there}, the answers of both.
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { MessageChannel } from "node:worker_threads";

import { Grammar, load } from "wav2edge";

import { plainDecoder } from "./node_modules/wav2edge/src/decoders.js";
import { WorkerEngine } from "./node_modules/wav2edge/src/worker_client.js";
import { serve } from "./node_modules/wav2edge/src/worker_server.js";

const { bundle, clips, recording } = JSON.parse(await text(process.stdin));
const samplesOf = (path) => new Float32Array(new Uint8Array(readFileSync(path)).buffer);
const options = { device: "cpu", threads: 1 };
const decoder = new Grammar(["fu dan", "bei jing", "shang hai"]);

async function answers(engine) {
  const results = [];
  for (const path of clips) results.push(await engine.run(samplesOf(path), 16_000));
  const segments = [];
  results.push(await engine.run(samplesOf(recording), 16_000, { onSegment: (segment) => segments.push(segment) }));
  const error = await engine
    .run(new Float32Array(0), 16_000)
    .catch(({ name, message, exitCode }) => [name, message, exitCode]);
  const stream = await engine.stream({ kind: "windowed", chunkMs: 5_000 });
  const events = [...(await stream.feed(samplesOf(clips[0]))), ...(await stream.finish())];
  const told = events.map((event) => ({ ...event.toJSON(), latency_s: 0 }));
  const selfTest = await engine.selfTest();
  const name = String(engine);
  await engine.close();
  const closed = await engine.run(samplesOf(clips[0]), 16_000).catch(({ message }) => message);
  return { results, segments, error, told, selfTest, name, closed };
}

const { port1, port2 } = new MessageChannel();
serve(port1, load);
port1.start();
port2.start();
const there = new WorkerEngine(port2);
await there._load(bundle, { ...options, decoder: plainDecoder(decoder) });
console.log(
  JSON.stringify({ here: await answers(await load(bundle, { ...options, decoder })), there: await answers(there) }),
);
port1.close();
