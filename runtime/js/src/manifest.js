/** `manifest.json`: the description of a bundle and the digests of its files; `docs/bundle.md` explains it. */

import { failure } from "./errors.js";
import { ConvGeometry, SAMPLE_RATE_HZ } from "./geometry.js";
import { readHeads } from "./heads.js";
import { shown } from "./numbers.js";

export const MANIFEST = "manifest.json";
const FORMAT = "wav2edge-bundle";
const FORMAT_VERSION = 1;
const UPGRADE = "npm install wav2edge@latest";
const STATE_TYPES = ["float32", "float64", "int64"];

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

/**
 * Read and check a manifest.
 * @param {Uint8Array} bytes
 * @param {string} path what messages call it
 * @returns {Manifest}
 */
export function parseManifest(bytes, path) {
  return new ManifestReader(path).manifest(bytes);
}

const KINDS = {
  str: (value) => typeof value === "string",
  int: (value) => Number.isInteger(value),
  bool: (value) => typeof value === "boolean",
  list: (value) => Array.isArray(value),
  dict: (value) => value !== null && typeof value === "object" && !Array.isArray(value),
};

/** What a record of `variants` and of `files` must have, and may have. */
const RECORDS = {
  variants: { required: ["file", "precision", "operators"], optional: ["target", "batched", "language", "heads"] },
  files: { required: ["sha256", "size_bytes"], optional: [] },
};

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

  /** @param {Uint8Array} bytes */
  manifest(bytes) {
    const document = this.document(bytes);
    const name = this.take(document, "name", "str");
    const modelType = this.take(document, "model_type", "str");
    const heads = readHeads(this.take(document, "heads", "dict"), this);
    const found = {
      name,
      modelType,
      heads,
      geometry: this.geometry(document),
      variants: this.variants(document, heads),
      defaultVariant: this.take(document, "default_variant", "str"),
      files: this.records(document, "files"),
      parameters: this.take(document, "parameters", "int"),
      macsPerS: this.take(document, "macs_per_s", "int"),
      certifiedUpToS: this.seconds(document, "certified_up_to_s"),
      longestClipS: this.seconds(document, "longest_clip_s"),
      wordTimes: this.maybe(document, "word_times", "bool"),
      trimsSilence: this.maybe(document, "trims_silence", "bool"),
      confidenceTemperature: this.temperatures(document),
      decoder: this.maybe(document, "decoder", "dict"),
      stream: this.stream(this.maybe(document, "stream", "dict")),
      madeWith: this.take(document, "made_with", "dict"),
    };
    this.checkFiles(found);
    return found;
  }

  /** @param {Uint8Array} bytes */
  document(bytes) {
    let document;
    try {
      document = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch (error) {
      throw this.fail("manifest_not_json", { reason: error.message });
    }
    if (!KINDS.dict(document) || document.format !== FORMAT) throw this.fail("manifest_wrong_format");
    const version = document.format_version;
    if (!KINDS.int(version) || version < 1) throw this.fail("manifest_bad_version", { version: shown(version) });
    if (version > FORMAT_VERSION) throw this.fail("manifest_too_new", { version, upgrade: UPGRADE });
    return document;
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

  seconds(document, key) {
    const value = document[key] ?? null;
    if (value !== null && !(typeof value === "number" && value > 0)) {
      throw this.fail("manifest_seconds", { key, value: shown(value) });
    }
    return value;
  }

  temperatures(document) {
    const found = this.maybe(document, "confidence_temperature", "dict");
    for (const [head, value] of Object.entries(found ?? {})) {
      if (!(typeof value === "number" && value > 0 && value < Infinity)) {
        throw this.fail("manifest_temperature", { head, value: shown(value) });
      }
    }
    return found;
  }

  /** @param {Heads} usual */
  variants(document, usual) {
    const named = Object.entries(document.variants ?? {}).map(([name, record]) => {
      return [name, record?.heads ? readHeads(record.heads, this) : null];
    });
    const heads = new Map(named);
    const records = [...this.records(document, "variants")].map(([key, record]) => {
      const { file, precision, batched = false, language = null } = record;
      const name = heads.get(key) ? `${precision}-${language}` : precision;
      return [key, { name, file, precision, batched, language, heads: heads.get(key) ?? usual }];
    });
    return new Map(records);
  }

  /** @param {"variants" | "files"} key */
  records(document, key) {
    const { required, optional } = RECORDS[key];
    const records = new Map(Object.entries(this.take(document, key, "dict")));
    for (const [name, record] of records) {
      const isComplete = KINDS.dict(record) && required.every((field) => Object.hasOwn(record, field));
      if (!isComplete || Object.keys(record).some((field) => ![...required, ...optional].includes(field))) {
        throw this.fail("manifest_record", { name, key });
      }
    }
    return records;
  }

  names(document, key) {
    const names = this.take(document, key, "list");
    if (!names.every(KINDS.str)) throw this.fail("manifest_names", { key });
    return names;
  }

  geometry(document) {
    const kernels = this.take(document, "conv_kernels", "list");
    const strides = this.take(document, "conv_strides", "list");
    const rate = this.take(document, "sample_rate_hz", "int");
    if (!kernels.length || kernels.length !== strides.length) {
      throw this.fail("manifest_layers", { kernels: kernels.length, strides: strides.length });
    }
    if (![...kernels, ...strides, rate].every((each) => KINDS.int(each) && each >= 1)) {
      throw this.fail("manifest_not_positive");
    }
    this.rate = rate;
    return new ConvGeometry(kernels, strides);
  }

  stream(entry) {
    if (entry === null) return null;
    for (const key of ["chunk_frames", "left_frames", "look_ahead_frames", "delay_frames", "states", "files"]) {
      if (!Object.hasOwn(entry, key)) throw this.fail("manifest_stream_damaged", { reason: shown(key) });
    }
    const { chunk_frames: chunks, states, files } = entry;
    if (!KINDS.list(chunks) || !KINDS.dict(states) || !KINDS.dict(files)) {
      throw this.fail("manifest_stream_damaged", { reason: "chunks are a list, states and files are named" });
    }
    for (const state of Object.values(states)) {
      const { shape, type } = state ?? {};
      if (!STATE_TYPES.includes(type) || !KINDS.list(shape) || !shape.every((size) => KINDS.int(size) && size > 0)) {
        throw this.fail("manifest_stream_state", { shape: shown(shape), type });
      }
    }
    const counts = [...chunks, entry.left_frames, entry.look_ahead_frames + 1, entry.delay_frames + 1];
    if (!chunks.length || !counts.every((count) => KINDS.int(count) && count > 0)) {
      throw this.fail("manifest_stream_chunks");
    }
    return entry;
  }

  /** @param {Manifest} found */
  checkFiles({ variants, defaultVariant, files, stream }) {
    if (!variants.has(defaultVariant)) {
      const known = shown([...variants.keys()].sort());
      throw this.fail("manifest_default_variant", { variant: defaultVariant, variants: known });
    }
    for (const { precision, file } of variants.values()) {
      if (!files.has(file)) throw this.fail("manifest_variant_file", { variant: precision, file });
    }
    for (const [precision, file] of Object.entries(stream?.files ?? {})) {
      if (!files.has(file)) throw this.fail("manifest_stream_file", { variant: precision, file });
    }
    if (this.rate !== SAMPLE_RATE_HZ) throw this.fail("manifest_sample_rate", { rate: this.rate });
    for (const file of files.keys()) {
      if (file.startsWith("/") || file.split("/").includes("..") || file.includes("\\")) {
        throw this.fail("manifest_outside", { file });
      }
    }
  }
}
