/** A bundle: opened by its manifest, its files checked by their digests. */

import { sha256 } from "./digest.js";
import { failure } from "./errors.js";
import { MANIFEST, parseManifest } from "./manifest.js";

/** @typedef {import("./manifest.js").Manifest["files"]} Files */
/**
 * Where the files of a bundle come from.
 * @typedef {object} Source
 * @property {string} name what messages call the folder
 * @property {(file: string) => string} pathOf what messages call a file in it
 * @property {(file: string, files?: Files, fetching?: RequestInit) => Promise<Uint8Array | null>} read the content of a
 *   file, of which the manifest may be known; null where there is no such file. How it is fetched, in place of what is
 *   kept, addresses are told only
 * @property {boolean} [isRemote] whether it lies at an address, so that caches may hold other versions of it
 * @property {() => Promise<string>} [fault] the message that a folder without a manifest deserves; addresses have none,
 *   since nobody can look into them
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
      throw failure((await source.fault?.()) ?? "bundle_not_there", { folder: source.name });
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
    if (!this.manifest.decoder) return null;
    const { storedDecoder } = await import("./decoders.js"); // most bundles have none
    return storedDecoder(this);
  }

  /**
   * Content of a listed file, after checking its size only.
   * @param {string} name
   * @param {RequestInit} [fetching] where it is fetched anew
   */
  async read(name, fetching) {
    const { files } = this.manifest;
    const record = files.get(name);
    const bytes = record && (await this.source.read(name, files, fetching));
    if (bytes && bytes.length === record.size_bytes) return bytes;
    throw (await import("./file_faults.js")).fileFault(this, name, bytes);
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

  /**
   * What is made of the content of a listed file. Where that is not what the manifest says, a cache may be older than
   * the manifest, or damaged: the file is read once more, past every cache.
   * @template Made
   * @param {string} name
   * @param {(bytes: Uint8Array) => Promise<Made>} make
   * @returns {Promise<Made>}
   */
  async using(name, make) {
    try {
      return await make(await this.read(name));
    } catch (error) {
      return (await import("./file_faults.js")).usingFresh(this, name, make, error);
    }
  }

  /** Content of a listed file, after checking its digest. @param {string} name */
  checked(name) {
    return this.using(name, async (bytes) => {
      await this.checkDigest(name, bytes);
      return bytes;
    });
  }
}
