/** Frames of a clip: the arithmetic of the convolutional feature encoder. */

/** The sample rate that every wav2vec2-family checkpoint expects. */
export const SAMPLE_RATE_HZ = 16_000;

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
   * Frames of a clip of so many samples; 0 when it is shorter than the receptive field.
   * @param {number} samples
   */
  frames(samples) {
    for (const [layer, kernel] of this.kernels.entries()) {
      if (samples < kernel) return 0;
      samples = Math.floor((samples - kernel) / this.strides[layer]) + 1;
    }
    return samples;
  }

  /**
   * Samples of the shortest clip that gives so many frames, at least one.
   * @param {number} frames
   */
  shortest(frames) {
    return this.receptiveField + (frames - 1) * this.hop;
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
