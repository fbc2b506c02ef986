/** The microphone, without what browsers do to it for calls: a recogniser wants the sound as it is. */

const WANTED = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/** What went wrong, and what helps, by the name of the browser's error. */
const REASONS = {
  NotAllowedError: [
    "The microphone is not allowed",
    "Allow it for this page, next to its address or in the browser's settings, and record again.",
  ],
  NotFoundError: ["No microphone found", "Connect one and record again, or choose a file."],
  NotReadableError: ["The microphone is busy", "Another program may be using it; close that and record again."],
  Insecure: [
    "The microphone cannot be used here",
    "Browsers allow it on https and on this computer's own address only. Files work.",
  ],
};
REASONS.SecurityError = REASONS.NotAllowedError;
REASONS.OverconstrainedError = REASONS.NotFoundError;

/** An error with a title and words for a person. */
export class MicrophoneError extends Error {
  constructor(error) {
    const [title, words] = REASONS[error.name] ?? ["The microphone does not work", `${error.message || error.name}.`];
    super(words, { cause: error });
    this.title = title;
  }
}

/**
 * Opens the microphone.
 * @param {AudioContext} context made or resumed while the person's click is handled
 * @param {{onBlock: (block: Float32Array) => void, onLost: () => void}} told of sound, and of a microphone that is gone
 * @returns {Promise<() => void>} closes it
 */
export async function openMicrophone(context, { onBlock, onLost }) {
  if (!navigator.mediaDevices?.getUserMedia || !context.audioWorklet) throw new MicrophoneError({ name: "Insecure" });
  let media;
  try {
    media = await navigator.mediaDevices.getUserMedia({ audio: WANTED });
    await context.audioWorklet.addModule(new URL("capture.js", import.meta.url));
  } catch (error) {
    for (const track of media?.getTracks() ?? []) track.stop();
    throw new MicrophoneError(error);
  }
  const source = context.createMediaStreamSource(media);
  const capture = new AudioWorkletNode(context, "capture", { channelCount: 1, channelCountMode: "explicit" });
  capture.port.onmessage = (event) => onBlock(event.data);
  source.connect(capture).connect(context.destination); // it gives silence; without a destination it may not run
  const [track] = media.getAudioTracks();
  track.onended = onLost;
  return () => {
    track.onended = null;
    capture.port.onmessage = null;
    track.stop();
    source.disconnect();
    capture.disconnect();
  };
}
