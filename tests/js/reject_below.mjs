// Sets the threshold of an engine: reads {bundle, values} from standard input, and prints for each value the error that
// it is refused with at once; null where it is taken.
import { text } from "node:stream/consumers";

import { load } from "wav2edge";

const { bundle, values } = JSON.parse(await text(process.stdin));
const engine = await load(bundle, { device: "cpu", threads: 1, rejectBelow: 0.25 });

function refused(value) {
  const before = engine.rejectBelow;
  try {
    engine.rejectBelow = value;
    return engine.rejectBelow === value ? null : "not taken";
  } catch ({ name, message, exitCode }) {
    return engine.rejectBelow === before ? { error: { name, message, exitCode } } : "taken";
  }
}

console.log(JSON.stringify(values.map(refused)));
await engine.close();
