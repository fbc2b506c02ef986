/** Heads that few models have: labels of frames, and embeddings. */

/**
 * @param {object} written the entry `heads` of a manifest
 * @param {import("./manifest.js").ManifestReader} reader
 * @returns {Partial<import("./heads.js").Heads>}
 */
export function readRareHeads(written, reader) {
  const read = (kind, readHead) =>
    Object.hasOwn(written, kind) ? readHead(reader.take(written, kind, "dict"), reader) : null;
  const frameClassification = read("frame_classification", readFrameClassification);
  return { frameClassification, embedding: read("embedding", readEmbedding) };
}

function readFrameClassification(head, reader) {
  const [labels, exclusive] = [reader.names(head, "labels"), reader.take(head, "exclusive", "bool")];
  return { output: reader.take(head, "output", "str"), labels: reader.labels(labels), exclusive };
}

function readEmbedding(head, reader) {
  const [size, fewestFrames] = [reader.take(head, "size", "int"), reader.take(head, "fewest_frames", "int")];
  const output = reader.take(head, "output", "str");
  if (Math.min(size, fewestFrames) < 1) throw reader.fail("manifest_embedding", { size, frames: fewestFrames });
  return { output, size, fewestFrames };
}
