// Calls a server with OpenAI's own client: the address is the first argument, the clips are the others.
import { createReadStream } from "node:fs";
import OpenAI from "openai";

const [address, model, ...clips] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "none", maxRetries: 0 });

const found = { models: (await client.models.list()).data.map((each) => each.id), answers: [] };
for (const clip of clips) {
  const ask = (options) => client.audio.transcriptions.create({ file: createReadStream(clip), model, ...options });
  const granularities = ["word", "segment"];
  found.answers.push({
    json: await ask({}),
    verbose: await ask({ response_format: "verbose_json", timestamp_granularities: granularities }),
    srt: await ask({ response_format: "srt" }),
  });
}
try {
  await client.audio.transcriptions.create({ file: new File(["no sound"], "notes.wav"), model });
} catch (error) {
  found.error = { status: error.status, code: error.code, message: error.message, request: error.requestID };
}
console.log(JSON.stringify(found));
