/** Plays stretches of a sound, and says where it is. */

let source = null;
let frame = 0;
/** Is told where it plays, each frame; null once it has ended. @type {(atS: number | null) => void} */
let tell;

export const isPlaying = () => source !== null;

/**
 * @param {AudioContext} context
 * @param {object} sound
 * @param {number} startS
 * @param {number} endS
 * @param {(atS: number | null) => void} onPlace is told where it plays, each frame; null once it has ended
 * @returns {Promise<boolean>} whether that stretch is still kept
 */
export async function play(context, sound, startS, endS, onPlace) {
  stop();
  tell = onPlace;
  await context.resume();
  const end = Math.min(endS, sound.durationS);
  const stretch = sound.stretch(context, startS, end);
  if (!stretch) return false;
  stop(); // what began while the context woke up
  source = context.createBufferSource();
  source.buffer = stretch.buffer;
  source.connect(context.destination);
  source.onended = stop;
  const began = context.currentTime;
  source.start(0, stretch.offsetS, end - startS);
  const follow = () => {
    tell(Math.min(end, startS + context.currentTime - began));
    frame = requestAnimationFrame(follow);
  };
  follow();
  return true;
}

export function stop() {
  if (!source) return;
  cancelAnimationFrame(frame);
  source.onended = null;
  source.stop();
  source.disconnect();
  source = null;
  tell(null);
}
