/** The words that every n-gram model knows, and the trie of its n-grams. */

export const BEGIN = "<s>";
export const END = "</s>";
export const UNKNOWN = "<unk>";

/** The empty n-gram. */
export const ROOT = 0;

/**
 * The node of an n-gram one word longer, -1 where the model does not hold it.
 * @param {{ last: Int32Array, firstChild: Int32Array }} trie
 * @param {number} node
 * @param {number} word
 */
export function childOf({ last, firstChild }, node, word) {
  let [low, high] = [firstChild[node], firstChild[node + 1]];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (last[middle] < word) low = middle + 1;
    else high = middle;
  }
  return low < firstChild[node + 1] && last[low] === word ? low : -1;
}
