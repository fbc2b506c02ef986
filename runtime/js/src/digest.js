/** SHA-256 of files, and of a manifest, whose last line is the digest of every byte above it. */

import { failure } from "./errors.js";

/** The key of a manifest whose value is the digest. */
export const SEAL = "content_sha256";

/** Whether this program can compute digests: a page of neither https nor localhost cannot. */
export const canDigest = () => Boolean(globalThis.crypto?.subtle);

/** SHA-256 in hexadecimal. @param {Uint8Array} bytes */
export async function sha256(bytes) {
  if (!canDigest()) throw failure("digest_unavailable");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const lastLine = (digest) => `  "${SEAL}": "${digest}"\n}\n`;

/** Whether the end of a manifest is the digest of what is above it, byte for byte. @param {Uint8Array} bytes */
export async function isSealed(bytes) {
  const place = bytes.length - lastLine("0".repeat(64)).length;
  if (place < 0) return false;
  return new TextDecoder().decode(bytes.subarray(place)) === lastLine(await sha256(bytes.subarray(0, place)));
}
