// Recognises WAV files: node node_file.mjs BUNDLE CLIP.wav...
// Needs: npm install wav2edge onnxruntime-node
import { readFile } from "node:fs/promises";

import { AudioError, load, parseWav } from "wav2edge";

const [bundle, ...clips] = process.argv.slice(2);
if (!clips.length) {
  console.error("usage: node node_file.mjs BUNDLE CLIP.wav...");
  process.exit(2);
}
const engine = await load(bundle);
for (const clip of clips) {
  try {
    const { channels, rateHz } = parseWav(await readFile(clip), clip);
    const { text, label, confidence, warnings } = await engine.run(channels, rateHz);
    console.log([clip, text ?? "", label ?? "", confidence.toFixed(3)].join("\t"));
    for (const warning of warnings) console.error(`warning: ${clip}: ${warning}`);
  } catch (error) {
    // The other clips are answered nevertheless.
    if (!(error instanceof AudioError || error.path === clip)) throw error;
    console.error(error.message);
    process.exitCode = error.exitCode ?? 1;
  }
}
await engine.close();
