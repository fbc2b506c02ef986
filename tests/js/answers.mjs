// Answers clips: reads {bundle, options, decoder, run, clips: [{path, rateHz, type, channels}]} from standard input,
// where a clip is a file without a header, channel after channel, or of type WAV, and prints the answers, or for a clip
// that is refused its error.
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

import { Beam, Grammar, load, parseWav } from "wav2edge";

const TYPES = { Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Uint8Array, Uint16Array, BigInt64Array };

function samplesOf({ path, type = "Float32Array", channels = 1 }) {
  const whole = new TYPES[type](new Uint8Array(readFileSync(path)).buffer);
  if (channels === 1) return whole;
  const length = whole.length / channels;
  return Array.from({ length: channels }, (_, channel) => whole.subarray(channel * length, (channel + 1) * length));
}

function soundOf(clip) {
  if (clip.type === "WAV") return parseWav(readFileSync(clip.path), clip.path);
  return { channels: samplesOf(clip), rateHz: clip.rateHz };
}

const { bundle, options = {}, decoder = null, run = {}, clips } = JSON.parse(await text(process.stdin));
const made = decoder && (decoder.phrases ? new Grammar(decoder.phrases) : new Beam(decoder));
const engine = await load(bundle, { ...options, decoder: made });
const answers = [];
for (const clip of clips) {
  try {
    const { channels, rateHz } = soundOf(clip);
    answers.push(await engine.run(channels, rateHz, run));
  } catch ({ name, message, exitCode, stack }) {
    if (!exitCode) throw new Error(stack);
    answers.push({ error: { name, message, exitCode } });
  }
}
console.log(JSON.stringify(answers));
await engine.close();
