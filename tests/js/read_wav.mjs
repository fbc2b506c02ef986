// Reads WAV files: reads a list of paths from standard input, and prints the channels and the rate of each, or its
// error.
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

import { parseWav } from "wav2edge";

const FULL_SCALE = { Int16Array: 2 ** 15, Int32Array: 2 ** 31 };

/** Samples as soundfile gives them. */
function floats(channel) {
  return Array.from(channel, (each) => each / (FULL_SCALE[channel.constructor.name] ?? 1));
}

const found = JSON.parse(await text(process.stdin)).map((path) => {
  try {
    const { channels, rateHz } = parseWav(readFileSync(path), path);
    return { rateHz, channels: channels.map(floats), truncated: channels.truncated };
  } catch ({ name, message, exitCode }) {
    return { error: { name, message, exitCode } };
  }
});
console.log(JSON.stringify(found));
