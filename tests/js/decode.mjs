// Decodes logits: reads [{logits, head, decoder}] from standard input, with heads as manifests have them, and prints
// for each its hypotheses, or the error that it is refused with.
import { text } from "node:stream/consumers";

import { Beam, Grammar, Greedy, readLanguageModel } from "wav2edge";

import { readHeads } from "./node_modules/wav2edge/src/heads.js";
import { ManifestReader } from "./node_modules/wav2edge/src/manifest.js";

async function decoderOf({ kind, phrases, options = {} }) {
  if (kind === "greedy") return new Greedy();
  if (kind === "grammar") return new Grammar(phrases, options);
  return new Beam(options.lm ? { ...options, lm: await readLanguageModel(options.lm) } : options);
}

const headOf = async (written) => (await readHeads({ ctc: written }, new ManifestReader("question"))).ctc;

async function answer({ logits, head, decoder }) {
  const matrix = { data: Float32Array.from(logits.flat()), dims: [logits.length, head.vocabulary.length] };
  try {
    return (await decoderOf(decoder)).decode(matrix, await headOf(head));
  } catch ({ name, message, exitCode, stack }) {
    if (!exitCode) throw new Error(stack);
    return { error: { name, message, exitCode } };
  }
}

const answers = [];
for (const question of JSON.parse(await text(process.stdin))) answers.push(await answer(question));
console.log(JSON.stringify(answers, (_, value) => (value === -Infinity ? "-inf" : value)));
