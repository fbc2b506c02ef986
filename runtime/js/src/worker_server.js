/** The engine at the far end of a port: answers the calls of `worker_client.js` one after the other. */

/**
 * @typedef {{ id: number, call: string, args: any[] }} Call
 * @typedef {Pick<MessagePort, "postMessage" | "addEventListener">} Port
 */

/**
 * Answer the calls that come through a port.
 * @param {Port} port
 * @param {typeof import("./web_load.js").load} load
 */
export function serve(port, load) {
  /** @type {import("./engine.js").Engine} */
  let engine;
  /** @type {Map<number, import("./streaming/stream.js").Stream>} */
  const streams = new Map();

  const calls = {
    async load(bundle, { decoder, ...options }) {
      const made = decoder && (await import("./decoders.js")).decoderOf(decoder);
      engine = await load(bundle, { ...options, decoder: made });
      const { device, precision, comfortableS } = engine;
      return { device, precision, comfortableS, name: String(engine) };
    },
    run(id, samples, rateHz, options) {
      const onSegment = (segment) => port.postMessage({ id, segment });
      return engine.run(samples, rateHz, { ...options, onSegment });
    },
    selfTest: () => engine.selfTest(),
    close: () => engine.close(),
    async stream(number, options) {
      streams.set(number, await engine.stream(options));
    },
    async inStream(number, method, ...args) {
      const stream = streams.get(number);
      const events = await stream[method](...args);
      if (method === "finish") streams.delete(number);
      const { clockS, speaking, levelDbfs, computeS } = stream;
      return { events, state: { clockS, speaking, levelDbfs, computeS } };
    },
  };

  port.addEventListener("message", async ({ data: { id, call, args } }) => {
    try {
      const result = await calls[call](...(call === "run" ? [id, ...args] : args));
      port.postMessage({ id, result });
    } catch (error) {
      port.postMessage({ id, error: { name: error.name, message: error.message, id: error.id ?? null } });
    }
  });
}
