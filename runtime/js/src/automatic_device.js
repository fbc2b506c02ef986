/** The first device that works, for programs that name none. */

import { failure, told } from "./errors.js";

/**
 * @template Opened
 * @param {string[]} devices to try in turn; GPUs only for graphs that have kernels there
 * @param {string} precision of the graph
 * @param {(device: string) => Promise<Opened>} open
 */
export async function firstThatWorks(devices, precision, open) {
  const onGpu = devices.includes("webgpu") && (await gpuHas(precision));
  const fitting = devices.filter((device) => device !== "webgpu" || onGpu);
  for (const [place, device] of fitting.entries()) {
    try {
      return await open(device);
    } catch (found) {
      const error = await told(found);
      if (error.name !== "DeviceError" || place === fitting.length - 1) throw error;
    }
  }
  throw failure("device_none", { install: "npm install onnxruntime-web" });
}

async function gpuHas(precision) {
  const { gpuPrecisions } = await import("./web_environment.js");
  return (await gpuPrecisions()).includes(precision);
}
