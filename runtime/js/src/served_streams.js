/** Streams of an engine behind a port: what `worker_stream.js` asks for. */

/**
 * Opens a stream, which has the number of this call, or calls a method of one.
 * @param {import("./engine.js").Engine} engine
 * @param {Map<number, import("./streaming/stream.js").Stream>} streams
 * @param {number} id of this call
 * @param {number | null} number of the stream; null: open one
 * @param {any} methodOrOptions
 * @param {...any} args
 */
export async function callStream(engine, streams, id, number, methodOrOptions, ...args) {
  if (number === null) {
    streams.set(id, await engine.stream(methodOrOptions));
    return id;
  }
  const stream = streams.get(number);
  if (methodOrOptions === "finish") streams.delete(number);
  const events = await stream[methodOrOptions](...args);
  const { clockS, speaking, levelDbfs, computeS } = stream;
  return { events, state: { clockS, speaking, levelDbfs, computeS } };
}
