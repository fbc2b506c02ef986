// Opens bundles: reads [{bundle, options}] from standard input, and prints for each the engine's name, or its error.
import { text } from "node:stream/consumers";

import { load } from "wav2edge";

const found = [];
for (const { bundle, options } of JSON.parse(await text(process.stdin))) {
  try {
    const engine = await load(bundle, options);
    found.push(String(engine));
    await engine.close();
  } catch ({ name, message, exitCode, stack }) {
    if (!exitCode) throw new Error(stack);
    found.push({ error: { name, message, exitCode } });
  }
}
console.log(JSON.stringify(found));
