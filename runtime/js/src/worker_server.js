/** The engine at the far end of a port: answers the calls of `worker_client.js` one after the other. */

/**
 * @typedef {{ id: number, call: string, args: any[], rejectBelow: number }} Call
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
  /** By the call that opened them. @type {Map<number, import("./streaming/stream.js").Stream>} */
  const streams = new Map();

  const calls = {
    async load(_, bundle, { decoder, ...options }) {
      const made = decoder && (await import("./decoders.js")).decoderOf(decoder);
      engine = await load(bundle, { ...options, decoder: made });
      const { device, precision, comfortableS, rejectBelow } = engine;
      return { device, precision, comfortableS, rejectBelow, name: String(engine) };
    },
    run(id, samples, rateHz, options, listens) {
      const onSegment = (segment) => port.postMessage({ id, segment });
      return engine.run(samples, rateHz, listens ? { ...options, onSegment } : options);
    },
    selfTest: () => engine.selfTest(),
    close: () => engine.close(),
    async stream(id, ...call) {
      const { callStream } = await import("./served_streams.js");
      return callStream(engine, streams, id, ...call);
    },
  };

  port.addEventListener("message", async ({ data: { id, call, args, rejectBelow } }) => {
    try {
      if (engine) engine.rejectBelow = rejectBelow;
      port.postMessage({ id, result: await calls[call](id, ...args) });
    } catch ({ name, message, id: errorId = null }) {
      port.postMessage({ id, error: { name, message, id: errorId } });
    }
  });
}
