/** The package under Node: folders and addresses, ONNX Runtime's library or WebAssembly. */

import { readFile, readdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { LOAD_DEFAULTS, loadEngine } from "./engine.js";
import { failure, inWords, shown } from "./errors.js";
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
const NO_FOLDER = { ENOENT: "bundle_no_folder", ENOTDIR: "bundle_is_file" };
const REASONS = {
  EACCES: "Permission denied",
  EISDIR: "Is a directory",
  ENOENT: "No such file or directory",
  EPERM: "Operation not permitted",
};

/**
 * Open a bundle and make an engine of it.
 * @param {string | URL} bundle a folder, or the address of one
 * @param {object} [options]
 * @returns {Promise<import("./engine.js").Engine>}
 */
export async function load(bundle, options = {}) {
  return guarded(await inWords(open(bundle, options)));
}

/** There is none under Node: here, so that programs for both can import it. */
export async function loadInWorker() {
  throw refusal("worker_no_page");
}

async function open(bundle, options) {
  return loadEngine(sourceOf(bundle), BACK_ENDS, options, DEFAULTS);
}

/** @param {string | URL} bundle */
function sourceOf(bundle) {
  const isAddress = bundle instanceof URL ? bundle.protocol !== "file:" : /^https?:/i.test(bundle);
  if (isAddress) return addressSource(bundle);
  try {
    return folderSource(pathOf(bundle));
  } catch {
    const value = shown(bundle instanceof URL ? bundle.href : bundle);
    throw failure("option_kind", { option: "bundle", value, kind: "a folder or an address" });
  }
}

/** The path of a file or folder that is given so, or by its address. @param {string | URL} file */
function pathOf(file) {
  return file instanceof URL || /^file:/i.test(file) ? fileURLToPath(new URL(file)) : path.normalize(file);
}

/**
 * Read an n-gram language model in ARPA form; the name of one that is compressed with gzip ends in `.gz`.
 * @param {string | URL} file
 */
export async function readLanguageModel(file) {
  return LanguageModel.read(await contentOf(file, "lm_unreadable"), String(file));
}

/**
 * Silero's voice activity for the end points of one stream at a time, in place of energy.
 * @param {string | URL} file `silero_vad.onnx`, versions 5 and 6
 */
export async function loadSilero(file) {
  const bytes = await contentOf(file, "silero_unreadable");
  return openSilero(bytes, String(file), await inWords(BACK_ENDS.cpu({})), "cpu");
}

/**
 * The content of a file.
 * @param {string | URL} file
 * @param {string} unreadable the message where there is none
 */
async function contentOf(file, unreadable) {
  try {
    return await readFile(pathOf(file));
  } catch (error) {
    throw refusal(unreadable, { path: String(file), reason: reasonOf(error) });
  }
}

/**
 * @param {string} folder
 * @returns {import("./bundle.js").Source}
 */
function folderSource(folder) {
  const name = folder.replace(/(.)[/\\]+$/, "$1");
  const pathOf = (file) => path.join(name, file);
  return {
    name,
    pathOf,
    async read(file) {
      try {
        return await readFile(pathOf(file));
      } catch (error) {
        if (ABSENT.includes(error.code)) return null;
        throw failure("bundle_unreadable", { path: pathOf(file), reason: reasonOf(error) });
      }
    },
    async fault() {
      const names = await readdir(name).catch((error) => error.code);
      if (!Array.isArray(names)) return NO_FOLDER[names] ?? "bundle_no_manifest";
      const hasWeights = names.some((each) => WEIGHTS.some((pattern) => pattern.test(each)));
      return names.includes("config.json") && hasWeights ? "bundle_is_checkpoint" : "bundle_no_manifest";
    },
  };
}

/** @param {NodeJS.ErrnoException} error */
function reasonOf(error) {
  return REASONS[error.code] ?? error.message;
}
