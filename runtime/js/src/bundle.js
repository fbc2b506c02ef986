/** A bundle: opened by its manifest, its files checked by their digests. */

import { failure } from "./errors.js";
import { MANIFEST, parseManifest } from "./manifest.js";

export const GOLDEN = "golden.json";
/** Variants that run on GPUs, the best first; the others are quantised in ways that only CPUs have kernels for. */
export const ON_GPUS = ["fp16", "fp32"];

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
    return new Bundle(source, await parseManifest(bytes, source.pathOf(MANIFEST)));
  }

  /**
   * A graph of the bundle by its name.
   * @param {string | null} name where null the default one, or on a GPU the best that the bundle has for it
   * @param {string} device where it is to run
   * @param {string | null} [language] of a bundle in several languages; where null that of its default variant
   * @returns {Promise<import("./manifest.js").Variant>}
   */
  async variant(name, device, language = null) {
    if (name === null && language === null && device !== "webgpu") {
      return this.manifest.variants.get(this.manifest.defaultVariant);
    }
    const { chosenVariant } = await import("./variants.js");
    return chosenVariant(this, { name, device, language });
  }

  /** The decoder that the bundle decodes with by default; null: the best token of each frame. */
  async decoder() {
    const stored = this.manifest.decoder;
    if (!stored) return null;
    const { describedDecoder } = await import("./decoders.js"); // most bundles have none
    try {
      return await describedDecoder(stored, async (file) => [await this.checked(file), this.source.pathOf(file)]);
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
