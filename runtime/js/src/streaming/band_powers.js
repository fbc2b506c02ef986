/** What voice activity is made of: the power of sound in bands, and how likely it is speech over a noise floor. */

import { SAMPLE_RATE_HZ } from "../inputs.js";

/** Samples of a short-time spectrum, 32 ms, and from one to the next, 20 ms: one frame of wav2vec2. */
export const WINDOW = 512;
export const HOP = 320;
export const BANDS = 16;

/** Below is hum and handling noise, above hardly any speech. */
const LOWEST_HZ = 200;
const HIGHEST_HZ = 7_000;
/** Keeps the logarithm finite: the score of a frame below the floor in every band is -30 dB. */
const LEAST_RATIO = Math.fround(1e-3);

const HANN = Float32Array.from({ length: WINDOW }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / (WINDOW - 1)));
const EDGES = bandEdges();
const TURNS = Array.from({ length: WINDOW / 2 }, (_, k) => (-2 * Math.PI * k) / WINDOW);
const COSINES = Float64Array.from(TURNS, Math.cos);
const SINES = Float64Array.from(TURNS, Math.sin);
const REVERSED = bitReversed();

/** First bin of each band and the end of the last, evenly spaced in mel (O'Shaughnessy, 1987): `[BANDS + 1]`. */
function bandEdges() {
  const mel = (hz) => 2595 * Math.log10(1 + hz / 700);
  const step = (mel(HIGHEST_HZ) - mel(LOWEST_HZ)) / BANDS;
  return Array.from({ length: BANDS + 1 }, (_, band) => {
    const hz = 700 * (10 ** ((mel(LOWEST_HZ) + band * step) / 2595) - 1);
    return Math.round((hz * WINDOW) / SAMPLE_RATE_HZ);
  });
}

function bitReversed() {
  const places = new Uint16Array(WINDOW);
  for (let place = 1; place < WINDOW; place += 1) {
    places[place] = (places[place >> 1] >> 1) | (place & 1 ? WINDOW / 2 : 0);
  }
  return places;
}

/**
 * The Fourier transform of `WINDOW` numbers in bit-reversed order, in place (Cooley and Tukey, 1965).
 * @param {Float64Array} real
 * @param {Float64Array} imaginary
 */
function transform(real, imaginary) {
  for (let half = 1; half < WINDOW; half *= 2) {
    const stride = WINDOW / (2 * half);
    for (let start = 0; start < WINDOW; start += 2 * half) {
      for (let k = 0; k < half; k += 1) {
        const [low, high] = [start + k, start + k + half];
        const [cosine, sine] = [COSINES[k * stride], SINES[k * stride]];
        const turnedReal = real[high] * cosine - imaginary[high] * sine;
        const turnedImaginary = real[high] * sine + imaginary[high] * cosine;
        real[high] = real[low] - turnedReal;
        imaginary[high] = imaginary[low] - turnedImaginary;
        real[low] += turnedReal;
        imaginary[low] += turnedImaginary;
      }
    }
  }
}

/**
 * Mean power density of one frame in each band.
 * @param {Float32Array} samples at 16 kHz
 * @param {number} start of the frame, `WINDOW` samples long
 * @returns {Float32Array} `[BANDS]`
 */
export function bandPowers(samples, start) {
  const real = new Float64Array(WINDOW);
  const imaginary = new Float64Array(WINDOW);
  for (let n = 0; n < WINDOW; n += 1) real[REVERSED[n]] = Math.fround(samples[start + n] * HANN[n]);
  transform(real, imaginary);
  return Float32Array.from({ length: BANDS }, (_, band) => {
    let sum = 0;
    for (let bin = EDGES[band]; bin < EDGES[band + 1]; bin += 1) sum += real[bin] ** 2 + imaginary[bin] ** 2;
    return sum / WINDOW / (EDGES[band + 1] - EDGES[band]);
  });
}

/**
 * The score of a frame in dB, from its ratios of power to noise, 1 or more in each band.
 *
 * With the ratio `g` of a band, the log-likelihood ratio of speech against noise is `g - log(g) - 1`, and the score is
 * `10 log10` of its mean over the bands: below -5 for most noise, 10 to 40 for speech. After Sohn, Kim and Sung, "A
 * statistical model-based voice activity detection", IEEE Signal Processing Letters 6, 1999, with the signal-to-noise
 * ratio estimated from the frame itself.
 * @param {Float32Array} ratios `[BANDS]`
 */
export function likelihoodDb(ratios) {
  let sum = 0;
  for (const ratio of ratios) sum += Math.fround(Math.fround(ratio - Math.fround(Math.log(ratio))) - 1);
  return Math.fround(10 * Math.log10(Math.fround(sum / ratios.length) + LEAST_RATIO));
}
