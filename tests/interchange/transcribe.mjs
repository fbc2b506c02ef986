// Transcribes clips with a bundle, offline: node transcribe.mjs BUNDLE DTYPE CLIP...
// A clip is little-endian float32 at 16 kHz, mono, without a header. Prints a JSON line per clip.
import { readFileSync } from "node:fs";
import path from "node:path";

import { env, pipeline } from "@huggingface/transformers";

const [bundle, dtype, ...clips] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = path.dirname(path.resolve(bundle));
const recognize = await pipeline("automatic-speech-recognition", path.basename(bundle), { dtype });
for (const clip of clips) {
  const samples = new Float32Array(new Uint8Array(readFileSync(clip)).buffer);
  const { text } = await recognize(samples);
  console.log(JSON.stringify({ clip: path.basename(clip), text }));
}
