/** The best path of a known token sequence through CTC log probabilities. */

/**
 * The most probable CTC path that spells `ids`, as the state of each frame.
 *
 * State `2 * i + 1` is token `i`; states `2 * i` and `2 * i + 2` are the blanks before and after it. The topology is
 * that of Graves et al., "Connectionist Temporal Classification", ICML 2006, section 4.1: a path may stay, go to the
 * next state, or leave a blank out between two different tokens.
 *
 * A column holds the best scores of one frame: `tokens[i + 1]` of token `i`, above `blanks[i + 1]` of the blank behind
 * it; place 0 is before the first token.
 * @param {{ data: Float64Array, dims: readonly number[] }} scores `[frames, vocabulary]` natural logs, finite or minus
 *   infinity, through which at least one path spells the ids
 * @param {number[]} ids columns, none of them the blank
 * @param {number} blankId
 * @returns {Int32Array} `[frames]`, never decreasing
 */
export function viterbi({ data, dims: [frames, width] }, ids, blankId) {
  const size = ids.length + 1;
  const tokens = new Float64Array(size).fill(-Infinity);
  const blanks = new Float64Array(size).fill(-Infinity);
  blanks[0] = 0; // every path begins as if it came from the first blank
  const stepsToBlank = new Uint8Array(frames * size);
  const stepsToToken = new Uint8Array(frames * size);
  for (let frame = 0; frame < frames; frame += 1) {
    const row = frame * width;
    // From the last place to the first, so that the places before are still those of the frame before.
    for (let place = size - 1; place >= 0; place -= 1) {
      const fromToken = tokens[place] > blanks[place];
      stepsToBlank[frame * size + place] = fromToken ? 1 : 0;
      const blank = (fromToken ? tokens[place] : blanks[place]) + data[row + blankId];
      if (place > 0) {
        const repeats = place > 1 && ids[place - 1] === ids[place - 2];
        const skip = repeats ? -Infinity : tokens[place - 1];
        const best = Math.max(tokens[place], blanks[place - 1]);
        stepsToToken[frame * size + place] = skip > best ? 2 : blanks[place - 1] > tokens[place] ? 1 : 0;
        tokens[place] = Math.max(best, skip) + data[row + ids[place - 1]];
      }
      blanks[place] = blank;
    }
  }
  const states = new Int32Array(frames);
  let state = 2 * ids.length - (tokens[size - 1] >= blanks[size - 1] ? 1 : 0);
  for (let frame = frames - 1; frame >= 0; frame -= 1) {
    states[frame] = state;
    const place = (state + 1) >> 1;
    state -= state % 2 ? stepsToToken[frame * size + place] : stepsToBlank[frame * size + place];
  }
  return states;
}
