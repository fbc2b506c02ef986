/** What goes into a graph. */

/** The sample rate that every wav2vec2-family checkpoint expects. */
export const SAMPLE_RATE_HZ = 16_000;
/** Rates that sound has. */
export const MIN_RATE_HZ = 4_000;
export const MAX_RATE_HZ = 768_000;
/** The input for samples of every graph, `[batch, samples] float32`. */
export const INPUT = "input_values";
/** The input of a batched graph that tells clips from padding, `[batch, samples]`, 1 and 0. */
export const MASK = "attention_mask";
/** What messages call the samples that a program gives. */
export const NAME = "array";

/** Whether all samples are the same. @param {ArrayLike<number>} samples */
export function isConstant(samples) {
  const first = Math.fround(samples[0]);
  for (let place = 1; place < samples.length; place += 1) if (Math.fround(samples[place]) !== first) return false;
  return true;
}
