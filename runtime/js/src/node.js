/** The package under Node: folders and addresses, ONNX Runtime's library or WebAssembly. */

import { readFile, readdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { LOAD_DEFAULTS, loadEngine } from "./engine.js";
import { failure, inWords } from "./errors.js";
import { LanguageModel } from "./language_model.js";
import { refusal } from "./refusals.js";
import { guarded } from "./reject_below.js";
import { openSilero } from "./silero.js";
import { addressSource } from "./sources.js";

export * from "./exports.js";

const BACK_ENDS = {
  cpu: async () => (await import("./backend_node.js")).nodeBackEnd(),
  wasm: async (options) => (await import("./backend_web.js")).webBackEnd("wasm", options),
};
const DEFAULTS = { ...LOAD_DEFAULTS, runtime: null, wasmPaths: null };
const WEIGHTS = [/\.safetensors$/, /^pytorch_model.*\.bin$/];
const ABSENT = ["ENOENT", "ENOTDIR"];
const REASONS = { EACCES: "Permission denied", EISDIR: "Is a directory", EPERM: "Operation not permitted" };

/**
 * Open a bundle and make an engine of it.
 * @param {string | URL} bundle a folder, or the address of one
 * @param {object} [options]
 * @returns {Promise<import("./engine.js").Engine>}
 */
export async function load(bundle, options = {}) {
  const isAddress = bundle instanceof URL ? bundle.protocol !== "file:" : /^https?:\/\//.test(bundle);
  const source = isAddress ? addressSource(bundle) : folderSource(bundle);
  return guarded(await loadEngine(source, BACK_ENDS, options, DEFAULTS));
}

/**
 * Read an n-gram language model in ARPA form; the name of one that is compressed with gzip ends in `.gz`.
 * @param {string} file
 */
export async function readLanguageModel(file) {
  try {
    return await LanguageModel.read(await readFile(file), file);
  } catch (error) {
    if (error.exitCode) throw error;
    throw refusal("lm_unreadable", { path: file, reason: reasonOf(error) });
  }
}

/**
 * Silero's voice activity for the end points of one stream at a time, in place of energy.
 * @param {string} file `silero_vad.onnx`, versions 5 and 6
 */
export async function loadSilero(file) {
  const bytes = await readFile(file).catch(() => null);
  return openSilero(bytes, file, await inWords(BACK_ENDS.cpu({})), "cpu");
}

/**
 * @param {string | URL} folder
 * @returns {import("./bundle.js").Source}
 */
function folderSource(folder) {
  const name = folder instanceof URL ? fileURLToPath(folder) : folder;
  const normal = path.normalize(name).replace(/(.)[/\\]+$/, "$1");
  const pathOf = (file) => path.join(normal, file);
  return {
    name: normal,
    pathOf,
    async read(file) {
      try {
        return await readFile(pathOf(file));
      } catch (error) {
        if (ABSENT.includes(error.code)) return null;
        throw failure("bundle_unreadable", { path: pathOf(file), reason: reasonOf(error) });
      }
    },
    async isCheckpoint() {
      const names = await readdir(normal).catch(() => []);
      return names.includes("config.json") && names.some((each) => WEIGHTS.some((pattern) => pattern.test(each)));
    },
  };
}

/** @param {NodeJS.ErrnoException} error */
function reasonOf(error) {
  return { ...REASONS, ENOENT: "No such file or directory" }[error.code] ?? error.message;
}
