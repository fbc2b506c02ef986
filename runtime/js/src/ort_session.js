/** What ONNX Runtime's packages for JavaScript have in common: tensors and sessions. */

const TYPES = new Map([
  [Float32Array, "float32"],
  [Float64Array, "float64"],
  [BigInt64Array, "int64"],
  [Uint8Array, "bool"],
]);

/**
 * Typed arrays with their dimensions as tensors; a tensor stays what it is.
 * @param {any} ort
 * @param {{ [name: string]: import("./graph_session.js").Tensor }} feeds
 */
export function feedsOf(ort, feeds) {
  const tensor = (value) =>
    value instanceof ort.Tensor ? value : new ort.Tensor(TYPES.get(value.data.constructor), value.data, value.dims);
  return Object.fromEntries(Object.entries(feeds).map(([name, value]) => [name, tensor(value)]));
}

/**
 * An open session of ONNX Runtime as the core knows it.
 * @param {any} opened
 * @param {string} device
 * @param {import("./graph_session.js").Session["run"]} run
 * @returns {import("./graph_session.js").Session}
 */
export function session(opened, device, run) {
  const width = (shape) => (typeof shape.at(-1) === "number" ? shape.at(-1) : null);
  return {
    device,
    inputs: opened.inputMetadata,
    outputs: opened.outputMetadata.map(({ name, shape }) => ({ name, width: width(shape) })),
    run,
    release: () => opened.release(),
  };
}
