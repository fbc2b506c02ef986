/** Which of a bundle's graphs to take: by its name, its precision, its language, and the device it is to run on. */

import { failure } from "./errors.js";

/** Variants that run on GPUs; the others are quantised in ways that only CPUs have kernels for. */
const ON_GPUS = ["fp16", "fp32"];

/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {import("./manifest.js").Variant} Variant */

/**
 * @param {import("./bundle.js").Bundle} bundle
 * @param {{ name: string | null, device: string, language: string | null }} wanted see `Bundle.variant`
 * @returns {Promise<Variant>}
 */
export async function chosenVariant({ manifest, folder }, { name, device, language }) {
  const variants = inLanguage(manifest, folder, language);
  const ofPrecision = (precision) => [...variants.values()].find((each) => each.precision === precision);
  const precisions = device === "webgpu" ? await requiredPrecisions(device) : null; // null: any
  const fitting = precisions?.find(ofPrecision);
  const wanted = name ?? fitting ?? defaultAmong(variants, manifest);
  const anywhere = language === null ? manifest.variants.get(wanted) : undefined; // by its whole name
  const chosen = variants.get(wanted) ?? ofPrecision(wanted) ?? anywhere;
  if (!chosen) {
    throw failure("variant_unknown", { folder, variant: wanted, variants: [...variants.keys()].sort().join(", ") });
  }
  if (!precisions || precisions.includes(chosen.precision)) return chosen;
  if (ON_GPUS.includes(chosen.precision)) {
    const hint = fitting ? `choose the variant ${fitting}` : "export with --precision fp32";
    throw failure("device_unusable", { device, reason: `its GPU has no half precision for ${wanted}; ${hint}` });
  }
  const hint = fitting ? `choose the variant ${fitting}` : "export with --precision fp16,fp32";
  throw failure("variant_for_cpus", { folder, variant: wanted, device, hint });
}

/** What the GPU computes with. @param {string} device */
async function requiredPrecisions(device) {
  const { gpuPrecisions } = await import("./web_environment.js");
  const precisions = await gpuPrecisions();
  if (!precisions.length) throw failure("device_unusable", { device, reason: "there is no WebGPU" });
  return precisions;
}

/** The languages of the variants, that of the default one first; none where the model has no adapters. */
function languages({ variants, defaultVariant }) {
  const found = [variants.get(defaultVariant), ...variants.values()].map(({ language }) => language);
  return [...new Set(found)].filter((language) => language !== null);
}

/**
 * The variants in a language, that of the default where null.
 * @param {Manifest} manifest
 * @param {string} folder
 * @param {string | null} language
 * @returns {Map<string, Variant>}
 */
function inLanguage(manifest, folder, language) {
  const { variants, defaultVariant } = manifest;
  const wanted = language ?? variants.get(defaultVariant).language;
  const found = [...variants].filter(([, each]) => each.language === wanted);
  if (!found.length) {
    const known = languages(manifest).join(", ") || "none, so leave the language out";
    throw failure("language_unknown", { folder, language, languages: known });
  }
  return new Map(found);
}

/** The default variant, or in another language that of its precision. */
function defaultAmong(variants, { variants: all, defaultVariant }) {
  if (variants.has(defaultVariant)) return defaultVariant;
  const { precision } = all.get(defaultVariant);
  const [first] = variants.keys();
  return [...variants].find(([, each]) => each.precision === precision)?.[0] ?? first;
}
