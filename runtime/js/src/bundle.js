/** A bundle: opened by its manifest, its files checked by their digests. */

import { failure } from "./errors.js";
import { MANIFEST, parseManifest } from "./manifest.js";
import { describedDecoder } from "./decoders.js";
import { LanguageModel } from "./language_model.js";

export const GOLDEN = "golden.json";
/** Variants that run on GPUs, the best first; the others are quantised in ways that only CPUs have kernels for. */
export const ON_GPUS = ["fp16", "fp32"];
export const GPUS = ["webgpu"];

/**
 * Where the files of a bundle come from.
 * @typedef {object} Source
 * @property {string} name what messages call the folder
 * @property {(file: string) => string} pathOf what messages call a file in it
 * @property {(file: string, sha256?: string) => Promise<Uint8Array | null>} read the content of a file, whose digest
 *   may be known; null where there is no such file
 * @property {() => Promise<boolean>} isCheckpoint whether there are a PyTorch checkpoint's files
 */

/** A folder with a manifest. No other file in it is trusted before it is checked against the manifest. */
export class Bundle {
  /**
   * @param {Source} source
   * @param {import("./manifest.js").Manifest} manifest
   */
  constructor(source, manifest) {
    this.source = source;
    this.manifest = manifest;
    this.folder = source.name;
  }

  /**
   * Read the manifest of a bundle.
   * @param {Source} source
   */
  static async open(source) {
    const bytes = await source.read(MANIFEST);
    if (bytes === null) {
      const isCheckpoint = await source.isCheckpoint();
      throw failure(isCheckpoint ? "bundle_is_checkpoint" : "bundle_no_manifest", { folder: source.name });
    }
    return new Bundle(source, parseManifest(bytes, source.pathOf(MANIFEST)));
  }

  /**
   * A graph of the bundle by its name.
   * @param {string | null} name where null the default one, or on a GPU the first of `ON_GPUS` that the bundle has
   * @param {string} device where it is to run
   * @param {string | null} [language] of a bundle in several languages; where null that of its default variant
   * @returns {import("./manifest.js").Variant}
   */
  variant(name, device, language = null) {
    const { folder } = this;
    const variants = this._inLanguage(language);
    const ofPrecision = (precision) => [...variants.values()].find((each) => each.precision === precision);
    const onGpu = GPUS.includes(device);
    const [fitting] = onGpu ? ON_GPUS.filter(ofPrecision) : [];
    const wanted = name ?? fitting ?? this._default(variants);
    const anywhere = language === null ? this.manifest.variants.get(wanted) : undefined; // by its whole name
    const chosen = variants.get(wanted) ?? ofPrecision(wanted) ?? anywhere;
    if (!chosen) {
      throw failure("variant_unknown", { folder, variant: wanted, variants: [...variants.keys()].sort().join(", ") });
    }
    if (onGpu && !ON_GPUS.includes(chosen.precision)) {
      const hint = fitting ? `choose the variant ${fitting}` : "export with --operators gpu --precision fp16";
      throw failure("variant_for_cpus", { folder, variant: wanted, device, hint });
    }
    return chosen;
  }

  /** The languages of the variants, that of the default one first; none where the model has no adapters. */
  get languages() {
    const { variants, defaultVariant } = this.manifest;
    const found = [variants.get(defaultVariant), ...variants.values()].map(({ language }) => language);
    return [...new Set(found)].filter((language) => language !== null);
  }

  /** The variants in a language, that of the default where null. @param {string | null} language */
  _inLanguage(language) {
    const { variants, defaultVariant } = this.manifest;
    const wanted = language ?? variants.get(defaultVariant).language;
    const found = [...variants].filter(([, each]) => each.language === wanted);
    if (!found.length) {
      const languages = this.languages.join(", ") || "none that is known";
      throw failure("language_unknown", { folder: this.folder, language, languages });
    }
    return new Map(found);
  }

  /** The default variant, or in another language that of its precision. */
  _default(variants) {
    const { defaultVariant } = this.manifest;
    if (variants.has(defaultVariant)) return defaultVariant;
    const { precision } = this.manifest.variants.get(defaultVariant);
    const [first] = variants.keys();
    return [...variants].find(([, each]) => each.precision === precision)?.[0] ?? first;
  }

  /** The decoder that the bundle decodes with by default; null: the best token of each frame. */
  async decoder() {
    const stored = this.manifest.decoder;
    if (!stored) return null;
    try {
      return await describedDecoder(stored, async (file) => {
        return LanguageModel.read(await this.checked(file), this.source.pathOf(file));
      });
    } catch (error) {
      if (!["UsageError", "DataError"].includes(error.name)) throw error;
      throw failure("decoder_damaged", { folder: this.folder, reason: error.message });
    }
  }

  /** Content of a listed file, after checking its size only. @param {string} name */
  async read(name) {
    const record = this.manifest.files.get(name);
    if (!record) throw failure("file_unlisted", { folder: this.folder, name });
    const path = this.source.pathOf(name);
    const bytes = await this.source.read(name, record.sha256);
    if (bytes === null) throw failure("file_missing", { path });
    if (bytes.length !== record.size_bytes) {
      throw failure("file_size", { path, bytes: bytes.length, expected: record.size_bytes });
    }
    return bytes;
  }

  /**
   * Compare the digest of the content of a listed file with the manifest's.
   * @param {string} name
   * @param {Uint8Array} bytes
   */
  async checkDigest(name, bytes) {
    if ((await sha256(bytes)) !== this.manifest.files.get(name).sha256) {
      throw failure("file_digest", { path: this.source.pathOf(name) });
    }
  }

  /** Content of a listed file, after checking its digest. @param {string} name */
  async checked(name) {
    const bytes = await this.read(name);
    await this.checkDigest(name, bytes);
    return bytes;
  }

  /** Content of a listed JSON file, after checking its digest. @param {string} name */
  async readJson(name) {
    return JSON.parse(new TextDecoder().decode(await this.checked(name)));
  }
}

/** SHA-256 in hexadecimal. @param {Uint8Array} bytes */
export async function sha256(bytes) {
  if (!globalThis.crypto?.subtle) throw failure("digest_unavailable");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
