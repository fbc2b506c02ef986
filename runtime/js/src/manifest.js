/** `manifest.json`: the description of a bundle and the digests of its files; `docs/bundle.md` explains it. */

import { failure, shown } from "./errors.js";
import { ConvGeometry, SAMPLE_RATE_HZ } from "./geometry.js";
import { readHeads } from "./heads.js";

export const MANIFEST = "manifest.json";
const FORMAT = "wav2edge-bundle";
const FORMAT_VERSION = 1;
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
export const KINDS = {
  str: (value) => typeof value === "string",
  int: (value) => Number.isInteger(value),
  bool: (value) => typeof value === "boolean",
  list: (value) => Array.isArray(value),
  dict: (value) => value !== null && typeof value === "object" && !Array.isArray(value),
};
/** Entries that every manifest has, and no engine needs. */
const UNREAD = { model_type: "str", parameters: "int", macs_per_s: "int", made_with: "dict" };
/** What a record of `variants` and of `files` must have, and may have. */
const RECORDS = {
  variants: { required: ["file", "precision", "operators"], optional: ["target", "batched", "language", "heads"] },
  files: { required: ["sha256", "size_bytes"], optional: [] },
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
   * @param {object} document
   * @param {string} key
   * @param {keyof typeof KINDS} kind
   */
  take(document, key, kind) {
    const value = Object.hasOwn(document, key) ? document[key] : null;
    if (value === null) throw this.fail("manifest_key_missing", { key });
    if (!KINDS[kind](value)) throw this.fail("manifest_key_type", { key, kind });
    return value;
  }

  maybe(document, key, kind) {
    return (document[key] ?? null) === null ? null : this.take(document, key, kind);
  }

  names(document, key) {
    const names = this.take(document, key, "list");
    if (!names.every(KINDS.str)) throw this.fail("manifest_names", { key });
    return names;
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
  const document = readDocument(bytes, reader);
  for (const [key, kind] of Object.entries(UNREAD)) reader.take(document, key, kind);
  const heads = readHeads(reader.take(document, "heads", "dict"), reader);
  const found = {
    name: reader.take(document, "name", "str"),
    heads,
    geometry: readGeometry(document, reader),
    variants: readVariants(document, heads, reader),
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
function readDocument(bytes, reader) {
  let document;
  try {
    document = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw reader.fail("manifest_not_json", { reason: error.message });
  }
  if (!KINDS.dict(document) || document.format !== FORMAT) throw reader.fail("manifest_wrong_format");
  const version = document.format_version;
  if (!KINDS.int(version) || version < 1) throw reader.fail("manifest_bad_version", { version: shown(version) });
  if (version > FORMAT_VERSION) throw reader.fail("manifest_too_new", { version, upgrade: UPGRADE });
  return document;
}

/** @param {object} document @param {string} key @param {ManifestReader} reader */
function readSeconds(document, key, reader) {
  const value = document[key] ?? null;
  if (value !== null && !(typeof value === "number" && value > 0)) {
    throw reader.fail("manifest_seconds", { key, value: shown(value) });
  }
  return value;
}

/** @type {Read} */
function readTemperatures(document, reader) {
  const found = reader.maybe(document, "confidence_temperature", "dict");
  for (const [head, value] of Object.entries(found ?? {})) {
    if (!(typeof value === "number" && value > 0 && value < Infinity)) {
      throw reader.fail("manifest_temperature", { head, value: shown(value) });
    }
  }
  return found;
}

/**
 * @param {object} document
 * @param {Heads} usual
 * @param {ManifestReader} reader
 */
function readVariants(document, usual, reader) {
  const records = [...readRecords(document, "variants", reader)].map(([key, record]) => {
    const { file, precision, batched = false, language = null } = record;
    const own = record.heads ? readHeads(record.heads, reader) : null;
    const name = own ? `${precision}-${language}` : precision;
    return [key, { name, file, precision, batched, language, heads: own ?? usual }];
  });
  return new Map(records);
}

/**
 * @param {object} document
 * @param {keyof typeof RECORDS} key
 * @param {ManifestReader} reader
 */
function readRecords(document, key, reader) {
  const { required, optional } = RECORDS[key];
  const records = new Map(Object.entries(reader.take(document, key, "dict")));
  for (const [name, record] of records) {
    const isComplete = KINDS.dict(record) && required.every((field) => Object.hasOwn(record, field));
    if (!isComplete || Object.keys(record).some((field) => ![...required, ...optional].includes(field))) {
      throw reader.fail("manifest_record", { name, key });
    }
  }
  return records;
}

/** @type {Read} */
function readGeometry(document, reader) {
  const kernels = reader.take(document, "conv_kernels", "list");
  const strides = reader.take(document, "conv_strides", "list");
  const rate = reader.take(document, "sample_rate_hz", "int");
  if (!kernels.length || kernels.length !== strides.length) {
    throw reader.fail("manifest_layers", { kernels: kernels.length, strides: strides.length });
  }
  if (![...kernels, ...strides, rate].every((each) => KINDS.int(each) && each >= 1)) {
    throw reader.fail("manifest_not_positive");
  }
  return new ConvGeometry(kernels, strides);
}

/** @type {Read} */
async function readStream(document, reader) {
  const entry = reader.maybe(document, "stream", "dict");
  if (entry === null) return null;
  const { checkedStream } = await import("./stream_entry.js");
  return checkedStream(entry, reader);
}

/**
 * @param {Manifest} manifest
 * @param {number} rate
 * @param {ManifestReader} reader
 */
function checkFiles({ variants, defaultVariant, files, stream }, rate, reader) {
  if (!variants.has(defaultVariant)) {
    const known = shown([...variants.keys()].sort());
    throw reader.fail("manifest_default_variant", { variant: defaultVariant, variants: known });
  }
  for (const { precision, file } of variants.values()) {
    if (!files.has(file)) throw reader.fail("manifest_variant_file", { variant: precision, file });
  }
  for (const [precision, file] of Object.entries(stream?.files ?? {})) {
    if (!files.has(file)) throw reader.fail("manifest_stream_file", { variant: precision, file });
  }
  if (rate !== SAMPLE_RATE_HZ) throw reader.fail("manifest_sample_rate", { rate });
  for (const file of files.keys()) {
    if (file.startsWith("/") || file.split("/").includes("..") || file.includes("\\")) {
      throw reader.fail("manifest_outside", { file });
    }
  }
}
