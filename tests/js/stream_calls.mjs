// Streams: reads [{bundle, options, stream, tickS, waits, sounds: {name: {path, type, channels}}, calls}] from standard
// input, where a sound is a file without a header, channel after channel, and a call is ["feed", sound, start, end,
// rateHz], ["gap", lostS] or ["finish"]. All streams are open at once. Prints for each the answers of its calls, an answer
// being a list of events or {error}; with `waits`, a call is made when the one before has been answered.
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

import { load } from "wav2edge";

const TYPES = { Float32Array, Float64Array, Int16Array, Uint8Array };

function soundOf({ path, type = "Float32Array", channels = 1 }) {
  const whole = new TYPES[type](new Uint8Array(readFileSync(path)).buffer);
  const length = whole.length / channels;
  const parts = Array.from({ length: channels }, (_, channel) => whole.subarray(channel * length, (channel + 1) * length));
  return (start, end) => (channels === 1 ? whole.subarray(start, end) : parts.map((part) => part.subarray(start, end)));
}

function clock(tickS) {
  let nowS = 0;
  return () => (nowS += tickS);
}

function errorOf({ name, message, exitCode, stack }) {
  if (!exitCode) throw new Error(stack);
  return { error: { name, message, exitCode } };
}

async function play(engine, { stream: options, tickS = 0, waits = true, sounds, calls }) {
  const read = Object.fromEntries(Object.entries(sounds).map(([name, sound]) => [name, soundOf(sound)]));
  const stream = await engine.stream({ ...options, nowS: clock(tickS) });
  const make = {
    feed: (sound, start, end, rateHz) => stream.feed(read[sound](start, end), rateHz),
    gap: (lostS) => stream.gap(lostS),
    finish: () => stream.finish(),
  };
  const answers = [];
  for (const [name, ...args] of calls) {
    const answer = make[name](...args).catch(errorOf);
    answers.push(waits ? await answer : answer);
  }
  return { answers: await Promise.all(answers), clockS: stream.clockS, levelDbfs: stream.levelDbfs };
}

const questions = JSON.parse(await text(process.stdin));
const engines = new Map();
for (const { bundle, options } of questions) {
  const key = JSON.stringify([bundle, options]);
  if (!engines.has(key)) engines.set(key, await load(bundle, options));
}
const engineOf = ({ bundle, options }) => engines.get(JSON.stringify([bundle, options]));
const found = await Promise.all(questions.map((question) => play(engineOf(question), question).catch(errorOf)));
console.log(JSON.stringify(found));
for (const engine of engines.values()) await engine.close();
