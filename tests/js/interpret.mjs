// Reads outputs: reads [{heads, outputs}] from standard input, with heads as manifests have them and outputs as lists,
// and prints the results as JSON.
import { text } from "node:stream/consumers";

import { readFrames } from "./node_modules/wav2edge/src/frame_labels.js";
import { ConvGeometry } from "./node_modules/wav2edge/src/geometry.js";
import { readHeads } from "./node_modules/wav2edge/src/heads.js";
import { interpret } from "./node_modules/wav2edge/src/interpretation.js";
import { ManifestReader } from "./node_modules/wav2edge/src/manifest.js";

const matrix = (rows) => {
  const dims = Array.isArray(rows[0]) ? [rows.length, rows[0].length] : [rows.length];
  return { data: Float32Array.from(rows.flat()), dims };
};

const results = JSON.parse(await text(process.stdin)).map(({ heads, outputs, temperatures }) => {
  const model = {
    heads: readHeads(heads, new ManifestReader("question")),
    geometry: new ConvGeometry([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2]),
    decoder: null,
    temperatures,
    readFrames,
  };
  const found = Object.fromEntries(Object.entries(outputs).map(([name, rows]) => [name, matrix(rows)]));
  return interpret(found, model, 1.5, ["a warning"]);
});
console.log(JSON.stringify(results));
