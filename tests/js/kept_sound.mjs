// Sound that a program changes or gives in other forms: reads {bundle, recording, wav, lm} from standard input, a bundle
// with graphs for streams, a file of little-endian float32 at 16 kHz, a WAV file of 8 bits and a language model, and
// prints what came of each.
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

import { Gap, LiveQueue, load, parseWav, readLanguageModel } from "wav2edge";

const { bundle, recording, wav, lm } = JSON.parse(await text(process.stdin));
const samples = new Float32Array(new Uint8Array(readFileSync(recording)).buffer);
const engine = await load(String(pathToFileURL(bundle)), { device: "cpu", threads: 1 });
const lines = ({ segments }) => segments.map((segment) => segment.text);

const left = lines(await engine.run(samples, 16_000));
const buffer = samples.slice();
const running = engine.run(buffer, 16_000);
buffer.fill(0);
const changed = lines(await running);

const queue = new LiveQueue(0.1, 16_000);
const memory = Buffer.from([0, 1, 0, 2]);
queue.put(memory.subarray(0, 2));
memory.fill(9);
queue.put(Uint8Array.of(0, 3, 0, 4).buffer);
const queued = { items: [[...(await queue.get())], [...(await queue.get())]], waitingS: [] };
for (const block of [new Uint8Array(1_600), new ArrayBuffer(1_600), new Int16Array(800)]) {
  queue.put(block);
  queued.waitingS.push(queue.waitingS);
}
queued.lostS = queue.lostS;

async function said(block, rateHz) {
  const stream = await engine.stream({ rateHz });
  return [...(await stream.feed(block)), ...(await stream.finish())]
    .filter(({ type }) => type === "final")
    .map(({ text }) => text);
}
const { channels, rateHz } = parseWav(readFileSync(wav));
const narrow = { channels: await said(channels, rateHz), first: await said(channels[0], rateHz) };

const clocks = [];
for (const gap of [0.5, new Gap(0.5)]) {
  const stream = await engine.stream();
  await stream.feed(samples.subarray(0, 16_000));
  await stream.gap(gap);
  clocks.push(stream.clockS);
}

const closed = [];
for (const kind of ["cached", "two-pass", "windowed"]) {
  const other = await load(bundle, { device: "cpu", threads: 1 });
  const stream = await other.stream({ kind });
  const waiting = [stream.feed(samples), other.close(), stream.feed(samples), stream.finish()];
  const answers = await Promise.allSettled(waiting);
  closed.push(answers.map(({ reason }) => reason?.id ?? null));
}
await engine.close();
const words = (await readLanguageModel(pathToFileURL(lm))).words.size;
console.log(JSON.stringify({ left, changed, queued, narrow, clocks, closed, words }));
