// Times calls on one clip: node clip_calls.mjs BUNDLE SAMPLES.f32 THREADS CALLS
import { readFile } from "node:fs/promises";

import { load } from "wav2edge";

const [bundle, samplesFile, threads, calls] = process.argv.slice(2);
const engine = await load(bundle, { threads: Number(threads) });
const bytes = await readFile(samplesFile);
const samples = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
for (let i = 0; i < calls / 5; i++) await engine.run(samples, 16000);
const before = process.cpuUsage();
const wallMs = [];
for (let i = 0; i < calls; i++) {
  const started = performance.now();
  await engine.run(samples, 16000);
  wallMs.push(performance.now() - started);
}
const used = process.cpuUsage(before);
const cpuMs = (used.user + used.system) / 1e3 / calls;
const peakMb = /VmHWM:\s+(\d+)/.exec(await readFile("/proc/self/status", "utf8"))[1] / 1024;
console.log(JSON.stringify({ wall_ms: wallMs, cpu_ms: cpuMs, peak_mb: peakMb }));
await engine.close();
