/** What the package exports wherever it runs. */

export { Beam } from "./beam.js";
export { AudioError, BundleError, DataError, DeviceError, UsageError, Wav2EdgeError } from "./errors.js";
export { Engine } from "./engine.js";
export { Grammar } from "./grammar.js";
export { Greedy } from "./hypothesis.js";
export { LanguageModel } from "./language_model.js";
export { Resampler } from "./resampler.js";
export { FrameLabel, Result, Segment, Word } from "./result.js";
export { Final, Partial } from "./streaming/events.js";
export { Gap, LiveQueue } from "./streaming/queue.js";
export { parseWav } from "./wav.js";
