// Parts of streams: reads {sounds: [path], blocks, endpointing, silero, calls} from standard input and prints what voice
// activity and end points say of each sound, a file of float32 at 16 kHz that is fed in blocks of these lengths in turn;
// what the graph `silero` says of the first; and what a queue for one second at 4 kHz gives after these calls.
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

import { Gap, LiveQueue } from "wav2edge";

import { nodeBackEnd } from "./node_modules/wav2edge/src/backend_node.js";
import { CausalEnergyDetector } from "./node_modules/wav2edge/src/streaming/causal_voice_activity.js";
import { Endpointer, endpointing } from "./node_modules/wav2edge/src/streaming/endpoints.js";
import { SileroDetector } from "./node_modules/wav2edge/src/streaming/silero.js";

const question = JSON.parse(await text(process.stdin));

async function fed(consumer, samples) {
  const found = [];
  for (let start = 0, turn = 0; start < samples.length; turn += 1) {
    const end = start + question.blocks[turn % question.blocks.length];
    found.push(...(await consumer.feed(samples.subarray(start, end))));
    start = end;
  }
  return found;
}

async function queued(calls) {
  const queue = new LiveQueue(1, 4_000);
  const first = queue.get(); // waits for what comes
  const items = [];
  for (const [name, value, length] of calls) {
    if (name === "put") queue.put(new Float32Array(length).fill(value));
    else if (name === "lose") queue.lose(value);
    else items.push(await first);
  }
  const { lostS, waitingS } = queue;
  queue.close();
  for await (const item of queue) items.push(item);
  return { lostS, waitingS, items: items.map((item) => (item instanceof Gap ? { lostS: item.lostS } : [...item])) };
}

const sounds = question.sounds.map((path) => new Float32Array(new Uint8Array(readFileSync(path)).buffer));
const energy = [];
const changes = [];
for (const sound of sounds) {
  energy.push(await fed(new CausalEnergyDetector(), sound));
  changes.push(await fed(new Endpointer(endpointing(question.endpointing), new CausalEnergyDetector()), sound));
}
const backEnd = await nodeBackEnd();
const network = await backEnd.open(readFileSync(question.silero), { device: "cpu", threads: 1 });
const detector = new SileroDetector(network);
const silero = await fed(detector, sounds[0]);
detector.restart();
const again = await fed(detector, sounds[0]);
console.log(JSON.stringify({ energy, changes, silero, again, queued: await queued(question.calls) }));
