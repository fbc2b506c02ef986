/** The heads of a model: the meaning of each output of the graph. */

import { shown } from "./errors.js";

/**
 * Fields of a CTC head that say how its tokens become text, with what most tokenizers have; only others are written.
 */
const TEXT_RULES = { delimiter_text: " ", token_separator: "", clean_up_spaces: false };
const KIND_NAMES = { string: "str", boolean: "bool" };

/**
 * Logits `[frames, vocabulary]` for connectionist temporal classification.
 *
 * `vocabulary[i]` is the token of column `i`. `blankId` separates repeated tokens, `delimiterId` is the column of the
 * token between two words, and `silentIds` are never written. `delimiterText` is what the word delimiter is written as,
 * `tokenSeparator` what stands between two tokens, `cleanUpSpaces` whether those in front of punctuation and of English
 * short forms are left out.
 * @typedef {object} CtcHead
 * @property {string} output
 * @property {string[]} vocabulary
 * @property {number} blankId
 * @property {string | null} wordDelimiter
 * @property {number | null} delimiterId null where there is none, or the vocabulary lacks it
 * @property {Set<number>} silentIds
 * @property {boolean} lowerCase
 * @property {string} delimiterText
 * @property {string} tokenSeparator
 * @property {boolean} cleanUpSpaces
 */
/** @typedef {{ output: string, labels: string[] }} ClassificationHead logits `[classes]` for the whole clip */
/**
 * Logits `[frames, labels]`. Where labels are `exclusive`, each frame has the likeliest of them, by the softmax of its
 * logits. Otherwise each label is there or not by itself, by the sigmoid of its logit: two speakers at once, or none.
 * @typedef {{ output: string, labels: string[], exclusive: boolean }} FrameClassificationHead
 */
/**
 * A vector `[size]` for the whole clip, which must have `fewestFrames` at least.
 * @typedef {{ output: string, size: number, fewestFrames: number }} EmbeddingHead
 */
/**
 * @typedef {object} Heads null where the model lacks one
 * @property {CtcHead | null} ctc
 * @property {ClassificationHead | null} classification
 * @property {FrameClassificationHead | null} frameClassification
 * @property {EmbeddingHead | null} embedding
 */

/** Each kind of head by its name in a manifest: its name here, and how it is read. */
const KINDS = {
  ctc: ["ctc", readCtc],
  classification: ["classification", readClassification],
  frame_classification: ["frameClassification", readFrameClassification],
  embedding: ["embedding", readEmbedding],
};

/**
 * @param {object} written the entry `heads` of a manifest
 * @param {import("./manifest.js").ManifestReader} reader takes values, and says what is wrong with them
 * @returns {Heads}
 */
export function readHeads(written, reader) {
  const found = Object.entries(KINDS).map(([key, [name, read]]) => {
    return [name, Object.hasOwn(written, key) ? read(reader.take(written, key, "dict"), reader) : null];
  });
  if (found.every(([, head]) => head === null)) throw reader.fail("manifest_no_head");
  return Object.fromEntries(found);
}

/** The heads that a model has: their outputs and how many columns those have. @param {Heads} heads */
export function outputsOf(heads) {
  const width = (head) => head.size ?? (head.vocabulary ?? head.labels).length;
  const present = Object.values(heads).filter((head) => head !== null);
  return present.map((head) => ({ output: head.output, width: width(head) }));
}

function readCtc(head, reader) {
  const output = reader.take(head, "output", "str");
  const vocabulary = reader.names(head, "vocabulary");
  const blankId = reader.take(head, "blank_id", "int");
  const wordDelimiter = head.word_delimiter ?? null;
  const silentIds = new Set(reader.take(head, "silent_ids", "list"));
  const lowerCase = reader.take(head, "lower_case", "bool");
  if (!(blankId >= 0 && blankId < vocabulary.length)) {
    throw reader.fail("manifest_blank", { blank: blankId, tokens: vocabulary.length });
  }
  if (new Set(vocabulary).size !== vocabulary.length) throw reader.fail("manifest_repeated_token");
  const [delimiterText, tokenSeparator, cleanUpSpaces] = Object.entries(TEXT_RULES).map(([key, usual]) => {
    const value = Object.hasOwn(head, key) ? head[key] : usual;
    if (typeof value === typeof usual) return value;
    throw reader.fail("manifest_text_rule", { key, value: shown(value), kind: KIND_NAMES[typeof usual] });
  });
  const place = vocabulary.indexOf(wordDelimiter);
  const written = { lowerCase, delimiterText, tokenSeparator, cleanUpSpaces };
  return { output, vocabulary, blankId, wordDelimiter, delimiterId: place < 0 ? null : place, silentIds, ...written };
}

function readClassification(head, reader) {
  const [output, labels] = [reader.take(head, "output", "str"), reader.names(head, "labels")];
  return { output, labels: checkedLabels(labels, reader) };
}

function readFrameClassification(head, reader) {
  const [labels, exclusive] = [reader.names(head, "labels"), reader.take(head, "exclusive", "bool")];
  return { output: reader.take(head, "output", "str"), labels: checkedLabels(labels, reader), exclusive };
}

function readEmbedding(head, reader) {
  const [size, fewestFrames] = [reader.take(head, "size", "int"), reader.take(head, "fewest_frames", "int")];
  const output = reader.take(head, "output", "str");
  if (Math.min(size, fewestFrames) < 1) throw reader.fail("manifest_embedding", { size, frames: fewestFrames });
  return { output, size, fewestFrames };
}

function checkedLabels(labels, reader) {
  if (labels.length && new Set(labels).size === labels.length) return labels;
  throw reader.fail("manifest_labels", { labels: shown(labels) });
}
