// What the shipped bundles give on a device: reads {device, bundles, clips: [path]} from standard input, where a clip
// is little-endian float32 at 16 kHz without a header, and prints [{selfTest, answers}], one for each bundle.
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

import { load } from "wav2edge";

const { device, bundles, clips } = JSON.parse(await text(process.stdin));
const found = [];
for (const bundle of bundles) {
  const engine = await load(bundle, { device, threads: 1 });
  const answers = [];
  for (const path of clips) {
    answers.push(await engine.run(new Float32Array(new Uint8Array(readFileSync(path)).buffer), 16_000));
  }
  found.push({ selfTest: await engine.selfTest(), answers });
  await engine.close();
}
console.log(JSON.stringify(found));
