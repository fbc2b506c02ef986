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
  /** By the call that opened them. @type {Map<number, import("./streaming/stream.js").Stream>} */
  const streams = new Map();

  const calls = {
    async load(_, bundle, { decoder, ...options }) {
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
    async stream(id, ...call) {
      const { callStream } = await import("./served_streams.js");
      return callStream(engine, streams, id, ...call);
    },
  };

  port.addEventListener("message", async ({ data: { id, call, args } }) => {
    try {
      port.postMessage({ id, result: await calls[call](id, ...args) });
    } catch ({ name, message, id: errorId = null }) {
      port.postMessage({ id, error: { name, message, id: errorId } });
    }
  });
}
