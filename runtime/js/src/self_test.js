/** The golden input of a bundle on this device: do its graphs give what they gave when the bundle was exported? */

import { failure } from "./errors.js";
import { SAMPLE_RATE_HZ } from "./inputs.js";

/**
 * How far outputs are from those in the golden file: for each output the largest difference in units of the largest
 * expected magnitude. They pass up to the file's tolerance.
 * @typedef {{ passed: boolean, differences: { [output: string]: number }, tolerance: number }} Comparison
 */
/**
 * @typedef {Comparison & { variant: string, device: string, text: string | null, label: string | null,
 *   streams: (Comparison & { chunkMs: number })[] }} SelfTest `passed` is whether the graphs of streams pass, too
 */

/**
 * @param {import("./engine.js").Engine} engine
 * @returns {Promise<SelfTest>}
 */
export async function selfTest(engine) {
  const { bundle, precision: variant, device } = engine;
  const golden = JSON.parse(new TextDecoder().decode(await bundle.checked("golden.json")));
  const samples = Float32Array.from(golden.pcm_int16, (sample) => sample / 32_768);
  const outputs = await engine.outputs(samples);
  const whole = compare(outputs, golden.variants[variant], bundle.folder, variant);
  const streams = engine.graphs ? await compareStreams(engine, samples, golden) : [];
  // The golden file is that of the best path, whatever decoder the engine has.
  const model = { ...engine, decoder: null, temperatures: null };
  const { text, label } = engine.read(outputs, samples.length / SAMPLE_RATE_HZ, [], model);
  const passed = whole.passed && streams.every((each) => each.passed);
  return { ...whole, passed, variant, device, text, label, streams };
}

/** The chunks of every certified length. */
async function compareStreams(engine, samples, golden) {
  const { CachedUtterance, StreamMemory } = await import("./streaming/cached.js");
  const { bundle, graphs, geometry, heads } = engine;
  const { streams, precision } = graphs;
  const found = [];
  for (const chunkMs of graphs.chunksMs) {
    const utterance = new CachedUtterance(
      new StreamMemory(await graphs.session(chunkMs), { streams, geometry, heads }),
      0,
    );
    const sound = geometry.padToFrame(samples);
    while (utterance.taken < sound.length) await utterance.feed(sound.subarray(utterance.taken));
    await utterance.finish(sound.length);
    const expected = golden.streams?.[precision]?.[chunkMs];
    const name = `${precision} stream of ${chunkMs} ms`;
    found.push({ chunkMs, ...compare(utterance.outputs, expected, bundle.folder, name) });
  }
  return found;
}

/** @returns {Comparison} */
function compare(outputs, expected, folder, variant) {
  if (!expected) throw failure("golden_none", { folder, variant });
  const pairs = Object.entries(expected.outputs).map(([name, values]) => [name, difference(outputs[name], values)]);
  const { tolerance } = expected;
  const passed = pairs.every(([, each]) => each <= tolerance);
  return { passed, differences: Object.fromEntries(pairs), tolerance };
}

/** @param {import("./ctc.js").Matrix} found @param {number[] | number[][]} values */
function difference({ data }, values) {
  const expected = values.flat();
  if (expected.length !== data.length) return Infinity;
  const largest = (each) => expected.reduce((most, value, place) => Math.max(most, Math.abs(each(value, place))), 0);
  return largest((value, place) => data[place] - value) / largest((value) => value);
}
