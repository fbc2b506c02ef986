// Reads outputs: reads [{heads, outputs}] from standard input, with heads as manifests have them and outputs as lists,
// and prints the results as JSON.
import { text } from "node:stream/consumers";

import "wav2edge"; // gives results their JSON

import { readRare } from "./node_modules/wav2edge/src/rare_outputs.js";
import { ConvGeometry } from "./node_modules/wav2edge/src/geometry.js";
import { readHeads } from "./node_modules/wav2edge/src/heads.js";
import { interpret } from "./node_modules/wav2edge/src/interpretation.js";
import { ManifestReader } from "./node_modules/wav2edge/src/manifest.js";

const matrix = (rows) => {
  const dims = Array.isArray(rows[0]) ? [rows.length, rows[0].length] : [rows.length];
  return { data: Float32Array.from(rows.flat()), dims };
};

async function read({ heads, outputs, temperatures }) {
  const model = {
    heads: await readHeads(heads, new ManifestReader("question")),
    geometry: new ConvGeometry([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2]),
    decoder: null,
    temperatures,
    readRare,
  };
  const found = Object.fromEntries(Object.entries(outputs).map(([name, rows]) => [name, matrix(rows)]));
  return interpret(found, model, 1.5, ["a warning"]);
}

console.log(JSON.stringify(await Promise.all(JSON.parse(await text(process.stdin)).map(read))));
