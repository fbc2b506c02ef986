/** Blocks of sound as programs give them: samples, an array of channels, or bytes. */

import { failure } from "../errors.js";
import { channelsOf } from "../sound_faults.js";

/** @typedef {import("../samples.js").Samples} Samples */
/** @typedef {Samples | Samples[] | ArrayBuffer} Block samples, an array of channels, or bytes: see `Stream.feed` */

/**
 * The channels of a block, all of one length; bytes are read as 16-bit integers.
 * @param {string} name what messages call the block
 * @param {Block} pcm
 * @param {typeof failure} [fail] makes the errors
 * @returns {Samples[]}
 */
export function channelsOfBlock(name, pcm, fail = failure) {
  if (pcm instanceof ArrayBuffer) return [pcm16(new DataView(pcm), fail)];
  if (pcm instanceof Uint8Array) return [pcm16(new DataView(pcm.buffer, pcm.byteOffset, pcm.byteLength), fail)];
  return channelsOf(name, pcm, fail);
}

/** 16-bit integers, least significant byte first. @param {DataView} bytes @param {typeof failure} fail */
function pcm16(bytes, fail) {
  if (bytes.byteLength % 2) throw fail("stream_odd_bytes", { bytes: bytes.byteLength });
  return Int16Array.from({ length: bytes.byteLength / 2 }, (_, place) => bytes.getInt16(2 * place, true));
}
