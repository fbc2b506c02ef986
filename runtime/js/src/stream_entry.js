/** The entry `stream` of a manifest: the graphs of cached streams, and what they keep between two chunks. */

import { shown } from "./errors.js";

const KEYS = ["chunk_frames", "left_frames", "look_ahead_frames", "delay_frames", "states", "files"];
const STATE_TYPES = ["float32", "float64", "int64"];

/**
 * The entry as it is written, checked.
 * @param {object} entry
 * @param {import("./manifest.js").ManifestReader} reader says what is wrong with it
 * @param {{ [kind: string]: (value: unknown) => boolean }} kinds what an entry can be
 * @returns {import("./manifest.js").StreamEntry}
 */
export function checkedStream(entry, reader, kinds) {
  for (const key of KEYS) {
    if (!Object.hasOwn(entry, key)) throw reader.fail("manifest_stream_damaged", { reason: shown(key) });
  }
  const { chunk_frames: chunks, states, files } = entry;
  if (!kinds.list(chunks) || !kinds.dict(states) || !kinds.dict(files)) {
    throw reader.fail("manifest_stream_damaged", { reason: "chunks are a list, states and files are named" });
  }
  for (const state of Object.values(states)) {
    const { shape, type } = state ?? {};
    if (!STATE_TYPES.includes(type) || !kinds.list(shape) || !shape.every((size) => kinds.int(size) && size > 0)) {
      throw reader.fail("manifest_stream_state", { shape: shown(shape), type });
    }
  }
  const counts = [...chunks, entry.left_frames, entry.look_ahead_frames + 1, entry.delay_frames + 1];
  if (!chunks.length || !counts.every((count) => kinds.int(count) && count > 0)) {
    throw reader.fail("manifest_stream_chunks");
  }
  return entry;
}
