/** What is wrong with a graph, or with the device that runs it. */

import { failure } from "./errors.js";
import { INPUT, MASK, SAMPLE_RATE_HZ } from "./inputs.js";
import { fixed } from "./numbers.js";

/** @param {unknown} error */
export function oneLine(error) {
  return String(error instanceof Error ? error.message : error)
    .split(/\s+/)
    .join(" ")
    .trim();
}

/**
 * An onnxruntime-web that is not there.
 * @param {string | null} address of its module; null: that of the package
 * @param {Error} error
 */
export function missingRuntime(address, { message: reason }) {
  if (address !== null) return failure("runtime_not_at", { address, reason });
  return failure("runtime_missing", { install: "npm install onnxruntime-web" });
}

/**
 * A graph that ONNX Runtime does not open.
 * @param {unknown} error
 * @param {string} path
 * @param {string} version of ONNX Runtime
 * @param {string} device
 */
export function openingFailure(error, path, version, device) {
  const reason = oneLine(error);
  if (/no available backend|initWasm/.test(reason)) return failure("runtime_not_started", { reason });
  if (device === "webgpu") return failure("device_unusable", { device, reason });
  return failure("graph_unloadable", { path, version, reason });
}

/**
 * Run a graph once. What a device cannot compute, ONNX Runtime says only then where it makes its kernels late.
 * @param {import("./graph_session.js").GraphSession} graph
 */
export async function tryOut(graph) {
  try {
    await graph._run(graph._geometry.padToFrame(new Float32Array(1)));
  } catch (error) {
    throw openingFailure(error, graph._path, "", graph.device);
  }
}

/**
 * A graph that does not run, or not any more.
 * @param {unknown} error
 * @param {number} samples
 * @param {import("./graph_session.js").GraphSession} graph
 */
export function runningFailure(error, samples, { device, isReleased }) {
  if (isReleased) return failure("engine_closed"); // while the clip was waiting
  return failure("device_failed", { device, duration: fixed(samples / SAMPLE_RATE_HZ, 1), reason: oneLine(error) });
}

/**
 * A graph that asks for something else than samples, or does not give what the heads say.
 * @param {import("./graph_session.js").Session} session
 * @param {string} path
 * @param {{ output: string, width: number }[]} wanted
 * @param {boolean} batched
 */
export function graphFault({ inputs, outputs }, path, wanted, batched) {
  const names = inputs.map(({ name }) => name);
  const own = batched ? [MASK, INPUT] : [INPUT];
  if ([...names].sort().join() !== own.join()) {
    return failure(batched ? "graph_inputs_batched" : "graph_inputs", { path, names: names.join(", ") });
  }
  const widths = new Map(outputs.map(({ name, width }) => [name, width]));
  const isOdd = ({ output, width }) => !widths.has(output) || (widths.get(output) ?? width) !== width;
  const { output: name, width: expected } = wanted.find(isOdd);
  if (!widths.has(name)) return failure("graph_outputs", { path, names: [...widths.keys()].join(", "), name });
  return failure("graph_width", { path, name, width: widths.get(name), expected });
}
