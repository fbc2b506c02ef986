/** Decoders as plain values: in a manifest, and on their way into a worker. */

import { Beam } from "./beam.js";
import { Grammar } from "./grammar.js";
import { Greedy } from "./hypothesis.js";
import { LanguageModel } from "./language_model.js";
import { refusal } from "./refusals.js";
import { shown } from "./written.js";

/** Each kind of decoder by its name in a manifest, and its options there with their names here. */
const KINDS = {
  beam: {
    make: (options) => new Beam(options),
    options: {
      width: "width",
      hotwords: "hotwords",
      lm: "lm",
      lm_weight: "lmWeight",
      word_bonus: "wordBonus",
      lm_units: "lmUnits",
    },
  },
  grammar: {
    make: ({ phrases, ...options }) => new Grammar(phrases, options),
    options: { phrases: "phrases", least_fit: "leastFit" },
  },
};

/**
 * The decoder that a bundle decodes with by default.
 * @param {import("./bundle.js").Bundle} bundle whose manifest describes one
 */
export async function storedDecoder(bundle) {
  const read = async (file) => [await bundle.checked(file), bundle.source.pathOf(file)];
  try {
    return await describedDecoder(bundle.manifest.decoder, read);
  } catch (error) {
    if (!["UsageError", "DataError"].includes(error.name)) throw error;
    throw refusal("decoder_damaged", { folder: bundle.folder, reason: error.message });
  }
}

/**
 * The decoder that a manifest describes: one kind, with its options.
 * @param {object} description such as `{"beam": {"width": 8, "lm": "lm.arpa"}}`
 * @param {(file: string) => Promise<[bytes: Uint8Array, name: string]>} read the content of a file next to it
 */
async function describedDecoder(description, read) {
  const names = Object.keys(description);
  if (names.length !== 1 || !Object.hasOwn(KINDS, names[0])) {
    throw refusal("decoder_kind", { got: names.map(shown).join(", ") || "none" });
  }
  const [decoder] = names;
  const kind = KINDS[decoder];
  const given = description[decoder];
  const known = Object.keys(kind.options).sort();
  const isPlain = given !== null && typeof given === "object" && !Array.isArray(given);
  if (!isPlain || Object.keys(given).some((name) => !known.includes(name))) {
    throw refusal("decoder_options", { decoder, known: known.join(", "), got: shown(given) });
  }
  const options = Object.fromEntries(Object.entries(given).map(([name, value]) => [kind.options[name], value]));
  if (options.lm !== undefined && options.lm !== null) {
    options.lm = await LanguageModel.read(...(await read(String(options.lm))));
  }
  try {
    return kind.make(options);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw refusal("decoder_option_value", { decoder, options: shown(given), reason: error.message });
  }
}

/** What a worker is sent in place of a decoder. @param {import("./hypothesis.js").Decoder} decoder */
export function plainDecoder(decoder) {
  if (decoder instanceof Greedy) return { kind: "greedy" };
  if (decoder instanceof Beam) {
    return { kind: "beam", options: { ...decoder.options, lm: decoder.options.lm?.arrays ?? null } };
  }
  if (decoder instanceof Grammar) return { kind: "grammar", phrases: decoder.phrases, options: decoder.options };
  throw refusal("decoder_kind", { got: shown(decoder) });
}

/** The decoder that a worker was sent. @param {ReturnType<typeof plainDecoder>} plain */
export function decoderOf(plain) {
  if (plain.kind === "greedy") return new Greedy();
  if (plain.kind === "grammar") return new Grammar(plain.phrases, plain.options);
  const { lm } = plain.options;
  return new Beam({ ...plain.options, lm: lm && new LanguageModel(lm) });
}
