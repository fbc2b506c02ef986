// Calls that a program gets wrong: reads {bundle, clip} from standard input, a bundle with graphs for streams
// and a file of little-endian float32 at 16 kHz, and prints by its name what each call gives: the name of its message,
// "taken", or what an error of no class of ours says.
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

import {
  Beam,
  Grammar,
  LanguageModel,
  LiveQueue,
  Resampler,
  load,
  loadInWorker,
  loadSilero,
  parseWav,
  readLanguageModel,
} from "wav2edge";

import { readLanguageModel as fetchLanguageModel } from "./node_modules/wav2edge/src/web.js";

const { bundle, clip } = JSON.parse(await text(process.stdin));
const samples = new Float32Array(new Uint8Array(readFileSync(clip)).buffer);
const engine = await load(bundle, { device: "cpu", threads: 1 });
const stream = await engine.stream();
const detector = { hop: 512, startsAbove: 0.5, endsBelow: 0.3, restart() {} };
const queue = new LiveQueue(1, 16_000);
const opened = async (options) => (await load(bundle, { device: "cpu", threads: 1, ...options })).close();
const fed = async (options) => (await engine.stream(options)).feed(samples);

function sent() {
  const lent = samples.slice();
  structuredClone(lent, { transfer: [lent.buffer] });
  return lent;
}

const CALLS = {
  "load: no bundle": () => load(),
  "load: a number": () => load(5),
  "load: bytes": () => load(Buffer.from(bundle)),
  "load: a file on another computer": () => load(new URL("file://host/bundle")),
  "load: no address": () => load("http://[bad"),
  "load: no options": () => load(bundle, null),
  "load: options in a list": () => load(bundle, []),
  "load: half a thread": () => opened({ threads: 1.5 }),
  "load: threads in words": () => opened({ threads: "2" }),
  "load: endless threads": () => opened({ threads: Infinity }),
  "load: a threshold in words": () => opened({ rejectBelow: ".99" }),
  "load: no threshold": () => opened({ rejectBelow: null }),
  "load: a length in words": () => opened({ segmentation: { longestS: "1" } }),
  "load: the name of a decoder": () => opened({ decoder: "greedy" }),
  "load: a decoder as in a manifest": () => opened({ decoder: { beam: {} } }),
  "load: the class of a decoder": () => opened({ decoder: Beam }),
  "load: more threads than can be had": () => opened({ threads: 100_000 }),
  "load: in a worker of Node": () => loadInWorker(bundle),
  "load: no .wasm file": () => opened({ device: "wasm", wasmPaths: "file:///nowhere/" }),
  "load: ONNX Runtime at a wrong address": () => opened({ device: "wasm", runtime: "nowhere" }),
  "rejectBelow: null": async () => void (engine.rejectBelow = null),
  "rejectBelow: in words": async () => void (engine.rejectBelow = "0.5"),
  "rejectBelow: true": async () => void (engine.rejectBelow = true),
  "rejectBelow: a list": async () => void (engine.rejectBelow = []),
  "run: an object without a class": () => engine.run(Object.create(null), 16_000),
  "run: no channel": () => engine.run([], 16_000),
  "run: memory that went to a worker": () => engine.run(sent(), 16_000),
  "run: no options": () => engine.run(samples, 16_000, null),
  "run: no listener": () => engine.run(samples, 16_000, { onSegment: 5 }),
  "stream: no options": () => engine.stream(null),
  "stream: a rate in words": () => engine.stream({ rateHz: "16000" }),
  "stream: no clock": () => engine.stream({ nowS: 5 }),
  "stream: no end points": () => engine.stream({ endpointing: null }),
  "stream: no silence": () => engine.stream({ endpointing: { silenceS: null } }),
  "stream: no start": () => engine.stream({ endpointing: { startS: null } }),
  "stream: padding as usual": () => engine.stream({ endpointing: { paddingS: null } }),
  "stream: a number as detector": () => engine.stream({ endpointing: { vad: 5 } }),
  "stream: half a detector": () => engine.stream({ endpointing: { vad: detector } }),
  "stream: a detector that is ahead of the sound": () =>
    fed({ endpointing: { vad: { ...detector, ahead: 1e9, feed: () => [1, 1, 1, ...Array(40).fill(0)] } } }),
  "stream: a detector without scores": () => fed({ endpointing: { vad: { ...detector, feed: () => 5 } } }),
  "gap: of nothing": () => stream.gap(),
  "gap: NaN": () => stream.gap(NaN),
  "gap: without end": () => stream.gap(Infinity),
  "gap: less than nothing": () => stream.gap(-1),
  "gap: an object": () => stream.gap({}),
  "Beam: null": async () => new Beam(null),
  "Beam: without bound": async () => new Beam({ width: Infinity }),
  "Beam: wider than any": async () => new Beam({ width: 20_000 }),
  "Beam: half a prefix": async () => new Beam({ width: 1.5 }),
  "Beam: a width in words": async () => new Beam({ width: "4" }),
  "Beam: a weight in words": async () => new Beam({ lmWeight: "1" }),
  "Beam: the heaviest hotword": async () => new Beam({ hotwords: { stop: 1e30 } }),
  "Beam: no hotwords": async () => new Beam({ hotwords: null }),
  "Beam: hotwords without weights": async () => new Beam({ hotwords: ["stop"] }),
  "Grammar: no phrases": async () => new Grammar(),
  "Grammar: numbers": async () => new Grammar([1]),
  "Grammar: half a phrase": async () => new Grammar(["a"], { nBest: 1.5 }),
  "Grammar: a fit in words": async () => new Grammar(["a"], { leastFit: "0.5" }),
  "LanguageModel: no bytes": () => LanguageModel.read("words"),
  "LanguageModel: not there": () => readLanguageModel("nowhere.arpa"),
  "LanguageModel: at no server": () => fetchLanguageModel("http://127.0.0.1:9/lm.arpa"),
  "Silero: a folder": () => loadSilero(bundle),
  "parseWav: null": async () => parseWav(null),
  "parseWav: a text": async () => parseWav("RIFF"),
  "parseWav: a promise": async () => parseWav(Promise.resolve()),
  "Resampler: no rate": async () => new Resampler(0),
  "Resampler: NaN": async () => new Resampler(NaN),
  "LiveQueue: no rate": async () => new LiveQueue(1),
  "LiveQueue: a rate that is none": async () => new LiveQueue(1, NaN),
  "LiveQueue: a text": async () => queue.put("abc"),
  "LiveQueue: null": async () => queue.put(null),
  "LiveQueue: half a sample": async () => queue.put(new ArrayBuffer(3)),
  "LiveQueue: lost NaN": async () => queue.lose(NaN),
};

const found = {};
for (const [name, call] of Object.entries(CALLS)) {
  found[name] = await call().then(
    () => "taken",
    ({ id, exitCode, message }) => (exitCode ? id : message),
  );
}
await engine.close();
console.log(JSON.stringify(found));
