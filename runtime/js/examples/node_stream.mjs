// Recognises speech while it comes through standard input:
// arecord -q -t raw -f S16_LE -r 16000 | node node_stream.mjs BUNDLE
// Needs: npm install wav2edge onnxruntime-node
import { load } from "wav2edge";

const [bundle] = process.argv.slice(2);
if (!bundle) {
  console.error("usage: node node_stream.mjs BUNDLE < SOUND, 16-bit mono at 16 kHz");
  process.exit(2);
}
const engine = await load(bundle);
const stream = await engine.stream({ rateHz: 16_000 });

function show(events) {
  for (const event of events) {
    if (event.type === "final") console.log(event.text ?? event.label);
    else console.error(event.text);
  }
}

let odd = Buffer.alloc(0); // half a sample may wait for its other half
for await (const chunk of process.stdin) {
  const bytes = Buffer.concat([odd, chunk]);
  const whole = bytes.length - (bytes.length % 2);
  odd = bytes.subarray(whole);
  show(await stream.feed(bytes.subarray(0, whole)));
}
show(await stream.finish());
await engine.close();
