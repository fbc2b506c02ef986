/** Opening a stream: which of the three kinds, and what its utterances are made with. */

import { failure } from "../errors.js";
import { SAMPLE_RATE_HZ } from "../inputs.js";
import { withDefaults } from "../options.js";
import { endpointing } from "./endpoints.js";
import { samplesIn } from "./sound_buffer.js";
import { SpeechLevel } from "./speech_level.js";
import { Stream } from "./stream.js";

/** Kinds of streams; `auto` is cached where the bundle has graphs for it. */
const KINDS = ["auto", "cached", "two-pass", "windowed"];
/** Those that recognise utterances as a whole, which therefore are no longer than the model takes well. */
const WHOLE = ["two-pass", "windowed"];
/** An utterance that is recognised whole may be so many times as long as any in training. */
const FAR_LONGER = 2;
/** From one answer of a windowed stream to the next. */
const STEP_MS = 160;
/** Sound around speech that belongs to it; of clips of words in a recording, more gave more errors. */
const LEAST_PADDING_S = 0.15;
/** A chunk and its look-ahead end so long after the answer to the beginning of speech can be read: the first letter
 * does not wait. */
const FIRST_LETTER_S = 0.02;
/** The state of graphs that normalise: the sum of the samples and that of their squares. */
const STATISTICS = "statistics";

const DEFAULTS = {
  rateHz: SAMPLE_RATE_HZ,
  kind: "auto",
  chunkMs: null,
  endpointing: {},
  nowS: () => performance.now() / 1e3,
};
const OPTION_KINDS = { chunkMs: "number" };

/** @typedef {import("./cached.js").ChunkSession} ChunkSession */
/**
 * The graphs of a bundle's cached streams in one precision.
 * @typedef {object} StreamGraphs
 * @property {string} precision
 * @property {object} streams the manifest's entry `stream`
 * @property {(chunkMs: number | null) => Promise<ChunkSession>} session for chunks of a length, the first of the
 *   manifest where null
 */

/**
 * Recognise sound while it comes; several streams may be open at once.
 * @param {object} recognizer runs the model on samples, reads its outputs, and judges results
 * @param {StreamGraphs | null} graphs null where the bundle has none
 * @param {object} [given]
 * @param {number} [given.rateHz] sample rate of the source
 * @param {string} [given.kind] `cached` computes nothing twice, `two-pass` hears each utterance once more as a whole at
 *   its end, `windowed` again and again, with any bundle; `auto` is cached where there are graphs for it
 * @param {number | null} [given.chunkMs] from one answer to the next; for a cached stream one that the bundle is
 *   certified for
 * @param {Partial<import("./endpoints.js").Endpointing>} [given.endpointing] where utterances begin and end
 * @param {() => number} [given.nowS] the clock that tells how long computing takes, in seconds
 */
export async function openStream(recognizer, graphs, given = {}) {
  recognizer.requireOpen();
  const { rateHz, kind, chunkMs, nowS, ...others } = withDefaults(given, DEFAULTS, { kinds: OPTION_KINDS });
  if (!KINDS.includes(kind)) throw failure("stream_kind", { kind });
  if ((kind === "cached" || kind === "two-pass") && !graphs) {
    throw failure("stream_no_graphs", { engine: String(recognizer) });
  }
  const options = endpointing(others.endpointing);
  const session = graphs && kind !== "windowed" ? await graphs.session(chunkMs) : null;
  options.paddingS ??= session ? alignedPaddingS(session, graphs.streams, recognizer.geometry) : LEAST_PADDING_S;
  if (!session || WHOLE.includes(kind)) {
    options.longestS = Math.min(options.longestS, Math.max(1, FAR_LONGER * recognizer.comfortableS));
  }
  const begin = session
    ? await chunked(recognizer, session, graphs.streams, kind)
    : await windowed(recognizer, chunkMs, nowS);
  return new Stream(recognizer, begin, { rateHz, endpointing: options, nowS });
}

/** Sound before speech with which a chunk is computed as soon as the first letter of an utterance can be known. */
function alignedPaddingS({ chunkFrames }, streams, { frameS }) {
  const chunkS = chunkFrames * frameS;
  const knownS = (streams.delay_frames - streams.look_ahead_frames) * frameS + FIRST_LETTER_S;
  return Math.ceil((LEAST_PADDING_S + knownS) / chunkS) * chunkS - knownS;
}

/** What makes utterances that are recognised chunk by chunk. */
async function chunked(recognizer, session, streams, kind) {
  const { CachedUtterance, StreamMemory } = await import("./cached.js");
  const { geometry, heads } = recognizer;
  const memory = new StreamMemory(session, { streams, geometry, heads });
  const level = new SpeechLevel();
  const first = (start, onset) => {
    // A model that does not normalise its sound takes it at whatever level it has.
    if (streams.states[STATISTICS]) level.begin(onset);
    return new CachedUtterance(memory, start, level);
  };
  if (kind !== "two-pass") return first;
  const { TwoPassUtterance } = await import("./two_pass.js");
  return (start, onset) => new TwoPassUtterance(first(start, onset), (samples) => recognizer.outputs(samples));
}

/** What makes utterances that are recognised again and again. */
async function windowed(recognizer, chunkMs, nowS) {
  const stepMs = chunkMs ?? STEP_MS;
  if (!(stepMs >= 1 && stepMs < Infinity)) throw failure("stream_step", { step: stepMs });
  const { WindowedUtterance } = await import("./windowed.js");
  const step = samplesIn(stepMs / 1e3);
  return (start) => new WindowedUtterance((samples) => recognizer.outputs(samples), { start, step, nowS });
}
