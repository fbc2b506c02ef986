/** The heads of a model: the meaning of each output of the graph. */

/** Fields of a CTC head that say how its tokens become text; they are written where a tokenizer is not as most are. */
const TEXT_RULES = ["delimiter_text", "token_separator", "clean_up_spaces"];
/** What most tokenizers have. */
const USUAL_RULES = { delimiterText: " ", tokenSeparator: "", cleanUpSpaces: false, rewritten: null };

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
 * @property {((text: import("./ctc.js").Letter[]) => import("./ctc.js").Letter[]) | null} rewritten a transcript as the
 *   tokenizer writes it, where letters change their case, or spaces go
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

/** Heads that few models have, by their names in a manifest. */
const RARE = ["frame_classification", "embedding"];

/**
 * @param {object} written the entry `heads` of a manifest
 * @param {import("./manifest.js").ManifestReader} reader takes values, and says what is wrong with them
 * @returns {Promise<Heads>}
 */
export async function readHeads(written, reader) {
  const found = { ctc: null, classification: null, frameClassification: null, embedding: null };
  if ("ctc" in written) found.ctc = await readCtc(reader.take(written, "ctc", "dict"), reader);
  if ("classification" in written) {
    const head = reader.take(written, "classification", "dict");
    const output = reader.take(head, "output", "str");
    found.classification = { output, labels: reader.labels(reader.names(head, "labels")) };
  }
  if (RARE.some((kind) => kind in written)) {
    const { readRareHeads } = await import("./rare_heads.js");
    Object.assign(found, readRareHeads(written, reader));
  }
  reader.need("manifest_no_head", outputsOf(found).length > 0);
  return found;
}

/** The heads that a model has: their outputs and how many columns those have. @param {Heads} heads */
export function outputsOf(heads) {
  const width = ({ size, vocabulary, labels }) => size ?? (vocabulary ?? labels).length;
  const present = Object.values(heads).filter(Boolean);
  return present.map((head) => ({ output: head.output, width: width(head) }));
}

async function readCtc(head, reader) {
  const output = reader.take(head, "output", "str");
  const vocabulary = reader.names(head, "vocabulary");
  const blankId = reader.take(head, "blank_id", "int");
  const wordDelimiter = head.word_delimiter ?? null;
  const silentIds = new Set(reader.take(head, "silent_ids", "list"));
  const lowerCase = reader.take(head, "lower_case", "bool");
  const tokens = vocabulary.length;
  reader.need("manifest_blank", blankId >= 0 && blankId < tokens, { blank: blankId, tokens });
  reader.need("manifest_repeated_token", new Set(vocabulary).size === tokens);
  const isUsual = !lowerCase && !TEXT_RULES.some((rule) => rule in head);
  const rules = isUsual ? USUAL_RULES : (await import("./text_rules.js")).readTextRules(head, lowerCase, reader);
  const place = vocabulary.indexOf(wordDelimiter);
  const delimiterId = place < 0 ? null : place;
  return { output, vocabulary, blankId, wordDelimiter, delimiterId, silentIds, lowerCase, ...rules };
}
