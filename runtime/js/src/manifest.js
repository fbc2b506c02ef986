/** `manifest.json`: the description of a bundle and the digests of its files; `docs/bundle.md` explains it. */

import { canDigest, isSealed, SEAL } from "./digest.js";
import { failure, shown } from "./errors.js";
import { ConvGeometry } from "./geometry.js";
import { readHeads } from "./heads.js";
import { SAMPLE_RATE_HZ } from "./inputs.js";

export const MANIFEST = "manifest.json";
const FORMAT = "wav2edge-bundle";
const FORMAT_VERSION = 2;
/** The first version whose manifests end with a digest of themselves. */
const SEALED_SINCE = 2;
const UPGRADE = "npm install wav2edge@latest";

/** @typedef {import("./heads.js").Heads} Heads */
/**
 * One graph of the model. `language` is the one whose adapter it has; `heads` are those of a language that is not the
 * bundle's first, otherwise the manifest's. `name` is what selects it.
 * @typedef {object} Variant
 * @property {string} name
 * @property {string} file
 * @property {string} precision
 * @property {boolean} batched
 * @property {string | null} language
 * @property {Heads} heads
 */
/**
 * @typedef {object} StreamEntry the entry `stream` of the manifest, as it is written there
 * @property {number[]} chunk_frames
 * @property {number} left_frames
 * @property {number} look_ahead_frames
 * @property {number} delay_frames
 * @property {{ [state: string]: { shape: number[], type: "float32" | "float64" | "int64" } }} states
 * @property {{ [precision: string]: string }} files
 */
/**
 * What an engine needs to know before it opens a graph. Lengths are in seconds; null: it is not known.
 * @typedef {object} Manifest
 * @property {string} name
 * @property {Heads} heads
 * @property {ConvGeometry} geometry
 * @property {Map<string, Variant>} variants
 * @property {string} defaultVariant
 * @property {Map<string, { sha256: string, size_bytes: number }>} files
 * @property {number | null} certifiedUpToS
 * @property {number | null} longestClipS
 * @property {boolean | null} wordTimes
 * @property {boolean | null} trimsSilence
 * @property {{ [head: string]: number } | null} confidenceTemperature
 * @property {object | null} decoder
 * @property {StreamEntry | null} stream
 */

/** What each kind of entry is, by its name in messages. */
const KINDS = {
  str: (value) => typeof value === "string",
  int: Number.isInteger,
  bool: (value) => typeof value === "boolean",
  list: Array.isArray,
  dict: (value) => value !== null && typeof value === "object" && !Array.isArray(value),
};
/** Entries that every manifest has, and no engine needs. */
const UNREAD = { model_type: "str", parameters: "int", macs_per_s: "int", made_with: "dict" };
/** What a record of `variants` and of `files` must have, and may have. */
const RECORDS = {
  variants: [
    ["file", "precision", "operators"],
    ["target", "batched", "language", "heads"],
  ],
  files: [["sha256", "size_bytes"], []],
};

/** Takes entries from a manifest, and says what is wrong with them. */
export class ManifestReader {
  /** @param {string} path */
  constructor(path) {
    this.path = path;
  }

  /**
   * @param {Parameters<typeof failure>[0]} id
   * @param {object} [values]
   */
  fail(id, values = {}) {
    return failure(id, { path: this.path, ...values });
  }

  /**
   * @param {Parameters<typeof failure>[0]} id what is wrong where it does not hold
   * @param {boolean} holds
   * @param {object} [values]
   */
  need(id, holds, values) {
    if (!holds) throw this.fail(id, values);
  }

  /**
   * @param {object} document
   * @param {string} key
   * @param {keyof typeof KINDS} kind
   */
  take(document, key, kind) {
    const value = document[key] ?? null;
    this.need("manifest_key_missing", value !== null, { key });
    this.need("manifest_key_type", KINDS[kind](value), { key, kind });
    return value;
  }

  maybe(document, key, kind) {
    return (document[key] ?? null) === null ? null : this.take(document, key, kind);
  }

  names(document, key) {
    const names = this.take(document, key, "list");
    this.need("manifest_names", names.every(KINDS.str), { key });
    return names;
  }

  /** @param {string[]} labels */
  labels(labels) {
    const isFine = labels.length > 0 && new Set(labels).size === labels.length;
    this.need("manifest_labels", isFine, { labels: shown(labels) });
    return labels;
  }
}

/**
 * Read and check a manifest.
 * @param {Uint8Array} bytes
 * @param {string} path what messages call it
 * @returns {Promise<Manifest>}
 */
export async function parseManifest(bytes, path) {
  const reader = new ManifestReader(path);
  const document = await readDocument(bytes, reader);
  await checkSeal(document, bytes, reader);
  for (const [key, kind] of Object.entries(UNREAD)) reader.take(document, key, kind);
  const heads = await readHeads(reader.take(document, "heads", "dict"), reader);
  const found = {
    name: reader.take(document, "name", "str"),
    heads,
    geometry: readGeometry(document, reader),
    variants: await readVariants(document, heads, reader),
    defaultVariant: reader.take(document, "default_variant", "str"),
    files: readRecords(document, "files", reader),
    certifiedUpToS: readSeconds(document, "certified_up_to_s", reader),
    longestClipS: readSeconds(document, "longest_clip_s", reader),
    wordTimes: reader.maybe(document, "word_times", "bool"),
    trimsSilence: reader.maybe(document, "trims_silence", "bool"),
    confidenceTemperature: readTemperatures(document, reader),
    decoder: reader.maybe(document, "decoder", "dict"),
    stream: await readStream(document, reader),
  };
  checkFiles(found, document.sample_rate_hz, reader);
  return found;
}

/** @typedef {(document: object, reader: ManifestReader) => any} Read */

/** @param {Uint8Array} bytes @param {ManifestReader} reader */
async function readDocument(bytes, reader) {
  let document;
  try {
    document = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw (await import("./file_faults.js")).notJson(reader.path, bytes, error);
  }
  reader.need("manifest_wrong_format", KINDS.dict(document) && document.format === FORMAT);
  const version = document.format_version;
  reader.need("manifest_bad_version", KINDS.int(version) && version >= 1, { version: shown(version) });
  reader.need("manifest_too_new", version <= FORMAT_VERSION, { version, upgrade: UPGRADE });
  return document;
}

/**
 * Where there are no digests, the check of the graph says so, unless the program does without.
 * @param {object} document
 * @param {Uint8Array} bytes
 * @param {ManifestReader} reader
 */
async function checkSeal(document, bytes, reader) {
  const isExpected = document.format_version >= SEALED_SINCE || SEAL in document;
  reader.need("manifest_unsealed", !isExpected || !canDigest() || (await isSealed(bytes)));
}

/** @param {object} document @param {string} key @param {ManifestReader} reader */
function readSeconds(document, key, reader) {
  const value = document[key] ?? null;
  const isLength = typeof value === "number" && value > 0;
  reader.need("manifest_seconds", value === null || isLength, { key, value: shown(value) });
  return value;
}

/** @type {Read} */
function readTemperatures(document, reader) {
  const found = reader.maybe(document, "confidence_temperature", "dict");
  for (const [head, value] of Object.entries(found ?? {})) {
    const isTemperature = typeof value === "number" && value > 0 && value < Infinity;
    reader.need("manifest_temperature", isTemperature, { head, value: shown(value) });
  }
  return found;
}

/**
 * @param {object} document
 * @param {Heads} usual
 * @param {ManifestReader} reader
 */
async function readVariants(document, usual, reader) {
  const found = new Map();
  for (const [key, record] of readRecords(document, "variants", reader)) {
    const { file, precision, batched = false, language = null } = record;
    const own = record.heads ? await readHeads(record.heads, reader) : null;
    const name = own ? `${precision}-${language}` : precision;
    found.set(key, { name, file, precision, batched, language, heads: own ?? usual });
  }
  return found;
}

/**
 * @param {object} document
 * @param {keyof typeof RECORDS} key
 * @param {ManifestReader} reader
 */
function readRecords(document, key, reader) {
  const [required, optional] = RECORDS[key];
  const known = [...required, ...optional];
  const records = new Map(Object.entries(reader.take(document, key, "dict")));
  for (const [name, record] of records) {
    const isComplete = KINDS.dict(record) && required.every((field) => field in record);
    const isKnown = isComplete && Object.keys(record).every((field) => known.includes(field));
    reader.need("manifest_record", isKnown, { name, key });
  }
  return records;
}

/** @type {Read} */
function readGeometry(document, reader) {
  const kernels = reader.take(document, "conv_kernels", "list");
  const strides = reader.take(document, "conv_strides", "list");
  const rate = reader.take(document, "sample_rate_hz", "int");
  const layers = { kernels: kernels.length, strides: strides.length };
  reader.need("manifest_layers", kernels.length > 0 && kernels.length === strides.length, layers);
  const isPositive = (each) => KINDS.int(each) && each >= 1;
  reader.need("manifest_not_positive", [...kernels, ...strides, rate].every(isPositive));
  return new ConvGeometry(kernels, strides);
}

/** @type {Read} */
async function readStream(document, reader) {
  const entry = reader.maybe(document, "stream", "dict");
  if (entry === null) return null;
  const { checkedStream } = await import("./stream_entry.js");
  return checkedStream(entry, reader, KINDS);
}

/**
 * @param {Manifest} manifest
 * @param {number} rate
 * @param {ManifestReader} reader
 */
function checkFiles({ variants, defaultVariant: variant, files, stream }, rate, reader) {
  const known = shown([...variants.keys()].sort());
  reader.need("manifest_default_variant", variants.has(variant), { variant, variants: known });
  for (const { precision, file } of variants.values()) {
    reader.need("manifest_variant_file", files.has(file), { variant: precision, file });
  }
  for (const [precision, file] of Object.entries(stream?.files ?? {})) {
    reader.need("manifest_stream_file", files.has(file), { variant: precision, file });
  }
  reader.need("manifest_sample_rate", rate === SAMPLE_RATE_HZ, { rate });
  for (const file of files.keys()) {
    reader.need("manifest_outside", !/^\/|\\|(^|\/)\.\.(\/|$)/.test(file), { file });
  }
}
