// Decodes paths of token ids with a folder's tokenizer, offline: node decode.mjs FOLDER < PATHS
// PATHS is a JSON list of lists of ids, one per frame. Prints a JSON line per path.
import { readFileSync } from "node:fs";
import path from "node:path";

import { AutoTokenizer, env } from "@huggingface/transformers";

const folder = path.resolve(process.argv[2]);
env.allowRemoteModels = false;
env.localModelPath = path.dirname(folder);
const tokenizer = await AutoTokenizer.from_pretrained(path.basename(folder));
for (const ids of JSON.parse(readFileSync(0, "utf-8"))) {
  console.log(JSON.stringify({ text: tokenizer.decode(ids, { skip_special_tokens: true }) }));
}
