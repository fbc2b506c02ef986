// Resamples: reads [{path, rateHz, blocks, output}] from standard input, where a path is a file of little-endian
// float32, gives each to a resampler in blocks of these lengths, in turn, and writes the samples at 16 kHz to the
// output.
import { readFileSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";

import { Resampler } from "wav2edge";

for (const { path, rateHz, blocks, output } of JSON.parse(await text(process.stdin))) {
  const samples = new Float32Array(new Uint8Array(readFileSync(path)).buffer);
  const resampler = new Resampler(rateHz);
  const parts = [];
  for (let start = 0, turn = 0; start < samples.length; turn += 1) {
    const end = start + blocks[turn % blocks.length];
    parts.push(resampler.process(samples.subarray(start, end)));
    start = end;
  }
  parts.push(resampler.flush());
  writeFileSync(output, Buffer.concat(parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength))));
}
console.log("true");
