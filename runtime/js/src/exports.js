/** What the package exports wherever it runs. */

import { FrameLabel, Result, Segment, Word } from "./result.js";
import { toJSON } from "./result_json.js";

export { Beam } from "./beam.js";
export { Engine } from "./engine.js";
export { AudioError, BundleError, DataError, DeviceError, UsageError, Wav2EdgeError } from "./error_classes.js";
export { Grammar } from "./grammar.js";
export { Greedy } from "./hypothesis.js";
export { LanguageModel } from "./language_model.js";
export { Resampler } from "./resampler_for_programs.js";
export { Final, Partial } from "./streaming/events.js";
export { Gap, LiveQueue } from "./streaming/queue.js";
export { parseWav } from "./wav.js";

// Here, and not in the classes: an engine in a worker, and the page, make no JSON.
for (const kind of [FrameLabel, Result, Segment, Word]) kind.prototype.toJSON = toJSON;
export { FrameLabel, Result, Segment, Word };
