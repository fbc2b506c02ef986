/** Runs wav2vec2 bundles in Node and in the browser. Times are in seconds, sample rates in Hz. */

/**
 * Samples of one channel: floats in [-1, 1], or integers, which are scaled by their type's full scale. A `Uint8Array`
 * is samples of 8 bits for `run`, and bytes for streams and queues: see `Block`.
 */
export type Samples =
  Float32Array | Float64Array | Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array;

/**
 * What a stream takes: samples of one channel, an array of channels, or bytes. An `ArrayBuffer`, a `Uint8Array` and a
 * `Buffer` are bytes: 16-bit integers, least significant byte first.
 */
export type Block = Samples | Samples[] | ArrayBuffer;

/** A word of the transcript, and how surely it is right, from 0 to 1. */
export class Word {
  readonly text: string;
  readonly startS: number;
  readonly endS: number;
  readonly confidence: number;
  toJSON(): object;
}

/** A label and a stretch of neighbouring frames that have it. */
export class FrameLabel {
  readonly label: string;
  readonly startS: number;
  readonly endS: number;
  readonly confidence: number;
  toJSON(): object;
}

/** What a clip and a segment have in common. Fields of heads that the model lacks are null. */
interface Found {
  readonly text: string | null;
  /** null, too, where the certificate does not bear out the times of words */
  readonly words: Word[] | null;
  /** The most probable label; null where the answer is rejected. */
  readonly label: string | null;
  readonly scores: { [label: string]: number } | null;
  /** Those of the scores, in the order of the model; empty where it has none. */
  readonly labels: string[];
  readonly frameLabels: FrameLabel[] | null;
  readonly embedding: number[] | null;
  readonly confidence: number;
  /** The answer was not sure enough: there is no text, no word and no label. */
  readonly rejected: boolean;
  toJSON(): object;
}

/** A stretch of a recording with speech in it, on the clock of the recording. */
export class Segment implements Found {
  readonly text: string | null;
  readonly words: Word[] | null;
  readonly label: string | null;
  readonly scores: { [label: string]: number } | null;
  readonly labels: string[];
  readonly frameLabels: FrameLabel[] | null;
  readonly embedding: number[] | null;
  readonly confidence: number;
  readonly rejected: boolean;
  readonly startS: number;
  readonly endS: number;
  readonly durationS: number;
  toJSON(): object;
}

/** The result of one clip or recording; `toJSON` gives the fields of the Python package. */
export class Result implements Found {
  readonly text: string | null;
  readonly words: Word[] | null;
  readonly label: string | null;
  readonly scores: { [label: string]: number } | null;
  readonly labels: string[];
  readonly frameLabels: FrameLabel[] | null;
  readonly embedding: number[] | null;
  readonly confidence: number;
  readonly rejected: boolean;
  readonly durationS: number;
  /** null for a clip that was answered whole */
  readonly segments: Segment[] | null;
  readonly warnings: string[];
  toJSON(): object;
}

/** The answer so far to an utterance that goes on. The first `stableWords` words do not change any more. */
export class Partial extends Segment {
  readonly type: "partial";
  readonly stableWords: number;
  readonly latencyS: number;
}

/** The answer to an utterance that has ended; it does not change any more. */
export class Final extends Segment {
  readonly type: "final";
  readonly reason: "silence" | "blank" | "length" | "gap" | "finish";
  readonly latencyS: number;
}

export interface RunOptions {
  /** Answer segment by segment, or as a whole; where left out, as the length asks for. */
  segments?: boolean | null;
  /** Is given each segment of a recording as soon as it is known; what it throws, `run` is rejected with. */
  onSegment?: ((segment: Segment) => void) | null;
}

/** Tells speech from noise; `loadSilero` opens one. */
export interface Detector {
  readonly hop: number;
  /** Samples behind those of a score that it waits for; 0 where left out. */
  readonly ahead?: number;
  readonly startsAbove: number;
  readonly endsBelow: number;
  feed(samples: Float32Array): number[] | Promise<number[]>;
  restart(): void;
}

/** Where utterances begin and end; all in seconds. */
export interface Endpointing {
  startS?: number;
  paddingS?: number | null;
  silenceS?: number;
  blankS?: number;
  longestS?: number;
  vad?: "energy" | "none" | Detector;
}

export interface StreamOptions {
  rateHz?: number;
  kind?: "auto" | "cached" | "two-pass" | "windowed";
  chunkMs?: number | null;
  /** Its `vad` is a text where the engine is in a worker. */
  endpointing?: Endpointing;
  /** The clock that latencies are measured with; not for an engine in a worker. */
  nowS?: () => number;
}

/** Recognises one source of sound while it is fed. Each block is copied: its memory may be used again at once. */
export interface Stream {
  feed(pcm: Block, rateHz?: number): Promise<(Partial | Final)[]>;
  /** Say that so much sound was lost: seconds, or what a queue gives. */
  gap(lostS: number | Gap): Promise<(Partial | Final)[]>;
  finish(): Promise<(Partial | Final)[]>;
  readonly clockS: number;
  readonly speaking: boolean;
  readonly levelDbfs: number;
  readonly computeS: number;
}

export interface Comparison {
  passed: boolean;
  /** For each output the largest difference in units of the largest expected magnitude. */
  differences: { [output: string]: number };
  tolerance: number;
}

export interface SelfTest extends Comparison {
  variant: string;
  device: string;
  text: string | null;
  label: string | null;
  streams: (Comparison & { chunkMs: number })[];
}

/** What recognises, in this thread or in a worker. */
export interface Recognizer {
  readonly device: string;
  readonly precision: string;
  /** Longest audio that is answered whole, and longest segment. */
  readonly comfortableS: number;
  /**
   * Answers with less confidence are rejected; from 0, for none of them, to 1.
   * @throws {UsageError} where it is set to anything else
   */
  rejectBelow: number;
  /**
   * Recognise a clip, or a recording of any length segment by segment. The samples are copied: their memory may be used
   * again at once. Memory that is shared with a worker is not to be changed before the answer.
   * @throws {AudioError} the clip cannot be used
   * @throws {DeviceError} the device failed, or its output is not finite
   */
  run(samples: Samples | Samples[], rateHz: number, options?: RunOptions): Promise<Result>;
  /** Recognise sound while it comes. */
  stream(options?: StreamOptions): Promise<Stream>;
  /** Compare the outputs for the golden input with those of the export. */
  selfTest(): Promise<SelfTest>;
  close(): Promise<void>;
}

export class Engine implements Recognizer {
  private constructor();
  readonly device: string;
  readonly precision: string;
  readonly comfortableS: number;
  rejectBelow: number;
  run(samples: Samples | Samples[], rateHz: number, options?: RunOptions): Promise<Result>;
  stream(options?: StreamOptions): Promise<Stream>;
  selfTest(): Promise<SelfTest>;
  close(): Promise<void>;
}

/** Turns logits into transcripts. */
export type Decoder = Greedy | Beam | Grammar;

/** The best token of each frame. */
export class Greedy {
  constructor();
}

/** Prefix beam search with hotwords and a language model. */
export class Beam {
  constructor(options?: {
    width?: number;
    nBest?: number;
    hotwords?: { [phrase: string]: number };
    lm?: LanguageModel | null;
    lmWeight?: number;
    wordBonus?: number;
    lmUnits?: "words" | "tokens";
  });
}

/** A closed list of phrases. */
export class Grammar {
  constructor(phrases: Iterable<string>, options?: { nBest?: number; leastFit?: number });
}

/** An n-gram language model. */
export class LanguageModel {
  private constructor();
  static read(bytes: Uint8Array, name?: string): Promise<LanguageModel>;
}

/** How recordings are cut; all in seconds. */
export interface Segmentation {
  longestS?: number;
  overlapS?: number;
  minSilenceS?: number;
  minSpeechS?: number;
  paddingS?: number;
}

export interface LoadOptions {
  /** `cpu` is ONNX Runtime's library under Node, `webgpu` is for pages. */
  device?: "auto" | "cpu" | "wasm" | "webgpu";
  threads?: number | null;
  variant?: string | null;
  /** Of a bundle in several languages; otherwise its first. */
  language?: string | null;
  decoder?: Decoder | null;
  verify?: boolean;
  rejectBelow?: number;
  segmentation?: Segmentation | null;
  /** Address of onnxruntime-web's module. */
  runtime?: string | null;
  /** Where its `.wasm` files are. */
  wasmPaths?: string | { mjs?: string; wasm?: string } | null;
  /** Keep files in the browser's cache. For pages only. */
  cache?: boolean;
}

/**
 * Open a bundle and make an engine of it.
 * @param bundle a folder (Node), or the address of one
 * @throws {BundleError} the bundle is missing, damaged, or newer than this version
 * @throws {DeviceError} the device is not available here, or the variant is for other devices
 */
export function load(bundle: string | URL, options?: LoadOptions): Promise<Engine>;

/**
 * Open a bundle in a worker. For pages; under Node it is rejected. What is sent there must be data: no function, and no
 * decoder of one's own.
 * @param options those of `load`, and a worker that was made of `wav2edge/worker`
 */
export function loadInWorker(bundle: string | URL, options?: LoadOptions & { worker?: Worker }): Promise<Recognizer>;

/** Read an n-gram language model in ARPA form, plain or compressed with gzip. */
export function readLanguageModel(file: string | URL): Promise<LanguageModel>;

/** Silero's voice activity for the end points of one stream at a time: `silero_vad.onnx`, versions 5 and 6. */
export function loadSilero(
  file: string | URL,
  options?: { runtime?: string | null; wasmPaths?: LoadOptions["wasmPaths"] },
): Promise<Detector>;

/**
 * Channels of a file. `run` calls them by its name; where the file ends before its sound does, it refuses a clip, and
 * answers a recording with a warning.
 */
export type FileChannels = Samples[] & { name: string; truncated: boolean };

/**
 * The sound of a WAV file, ready for `run` and `feed`: PCM of 8 (given as 16-bit integers), 16, 24 and 32 bits, and
 * floats of 32 and 64, in RIFF or RF64.
 * @throws {AudioError} it is of another kind, damaged, or several files in one
 */
export function parseWav(content: Uint8Array | ArrayBuffer, name?: string): { channels: FileChannels; rateHz: number };

/** Resamples one channel to 16 kHz, block by block. */
export class Resampler {
  constructor(rateHz: number);
  process(samples: ArrayLike<number>): Float32Array;
  flush(): Float32Array;
}

/** So much sound was lost here: hand it to `stream.gap`. */
export class Gap {
  readonly lostS: number;
}

/** Blocks of sound in their order, at most so many seconds of them, with a `Gap` where some were lost. */
export class LiveQueue implements AsyncIterable<Samples | Samples[] | Gap> {
  constructor(limitS: number, rateHz: number);
  readonly waitingS: number;
  readonly lostS: number;
  /** A copy of a block is kept; one of bytes as the 16-bit integers that they hold. */
  put(block: Block): void;
  lose(lostS: number): void;
  close(error?: Error | null): void;
  get(): Promise<Samples | Samples[] | Gap | null>;
  [Symbol.asyncIterator](): AsyncIterator<Samples | Samples[] | Gap>;
}

/** Base class of all errors. */
export class Wav2EdgeError extends Error {
  /** Exit code of a command that the error ends: 1 an input failed, 2 wrong usage, 3 the bundle or the device. */
  readonly exitCode: number;
  /** The name of the message, the same in every language. */
  readonly id: string | null;
}

/** A clip cannot be recognised: it is empty, silent, or not finite. */
export class AudioError extends Wav2EdgeError {}
/** An argument or option is invalid, or does not go with the others. */
export class UsageError extends Wav2EdgeError {}
/** A language model cannot be read; the message names the line. */
export class DataError extends Wav2EdgeError {}
/** A bundle is missing, damaged, newer than this version, or inconsistent. */
export class BundleError extends Wav2EdgeError {}
/** The device or its execution provider cannot be used. */
export class DeviceError extends Wav2EdgeError {}
