/** Frames of a clip: the arithmetic of the convolutional feature encoder. */

import { SAMPLE_RATE_HZ } from "./inputs.js";

/** Kernels and strides of the feature encoder, first layer first (wav2vec 2.0, arXiv:2006.11477, section 4.2). */
export class ConvGeometry {
  /**
   * @param {number[]} kernels
   * @param {number[]} strides
   */
  constructor(kernels, strides) {
    this.kernels = kernels;
    this.strides = strides;
    /** Samples between the starts of two frames. */
    this.hop = strides.reduce((product, stride) => product * stride, 1);
    /** Samples that one frame depends on; also the length of the shortest clip that gives a frame. */
    this.receptiveField = 1;
    kernels.reduce((hop, kernel, layer) => {
      this.receptiveField += (kernel - 1) * hop;
      return hop * strides[layer];
    }, 1);
    /** Seconds between the starts of two frames. */
    this.frameS = this.hop / SAMPLE_RATE_HZ;
  }

  /**
   * Padded with zeros at the end if they are too few for one frame.
   * @param {Float32Array} samples
   */
  padToFrame(samples) {
    if (samples.length >= this.receptiveField) return samples;
    const padded = new Float32Array(this.receptiveField);
    padded.set(samples);
    return padded;
  }
}
