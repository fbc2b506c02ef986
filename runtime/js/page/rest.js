/** What only some visits use, loaded so that it is kept, and everything works without a connection. */

const PARTS = [
  () => import("./file-faults.js"),
  () => import("./player.js"),
  () => import("./recording.js"),
  () => import("./self-test.js"),
  () => import("../src/failures.js"),
  () => import("../src/file_faults.js"),
  () => import("../src/graph_faults.js"),
  () => import("../src/lengths.js"),
  () => import("../src/recordings.js"),
  () => import("../src/resampler.js"),
  () => import("../src/samples.js"),
  () => import("../src/self_test.js"),
  () => import("../src/served_streams.js"),
  () => import("../src/sound_faults.js"),
  () => import("../src/stream_entry.js"),
  () => import("../src/stream_graphs.js"),
  () => import("../src/streaming/cached.js"),
  () => import("../src/streaming/open.js"),
  () => import("../src/streaming/two_pass.js"),
  () => import("../src/streaming/windowed.js"),
  () => import("../src/worker_stream.js"),
  () => fetch(new URL("capture.js", import.meta.url)), // is for the audio thread
];

export async function loadRest() {
  await Promise.allSettled(PARTS.map((load) => load()));
}
