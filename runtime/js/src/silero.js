/** Silero's graph, opened for the end points of a stream. */

import { oneLine } from "./graph_faults.js";
import { refusal } from "./refusals.js";
import { SileroDetector } from "./streaming/silero.js";

const INPUTS = "input, sr, state";

/**
 * A detector for the option `vad` of end points, for one stream at a time.
 * @param {Uint8Array} bytes of `silero_vad.onnx`
 * @param {string} path what messages call it
 * @param {import("./graph_session.js").BackEnd} backEnd
 * @param {string} device
 */
export async function openSilero(bytes, path, backEnd, device) {
  let session;
  try {
    session = await backEnd.open(bytes, { device, threads: 1 });
  } catch (error) {
    throw refusal("silero_unreadable", { path, reason: oneLine(error) });
  }
  const inputs = session.inputs.map(({ name }) => name).sort();
  if (inputs.join(", ") !== INPUTS) throw refusal("silero_other", { path });
  return new SileroDetector(session);
}
