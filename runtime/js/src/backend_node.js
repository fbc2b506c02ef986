/** ONNX Runtime's own library under Node, through onnxruntime-node. */

import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";

import { failure } from "./errors.js";
import { feedsOf, session } from "./ort_session.js";

/**
 * @returns {Promise<import("./graph_session.js").BackEnd>}
 */
export async function nodeBackEnd() {
  let ort;
  try {
    ({ default: ort } = await import("onnxruntime-node"));
  } catch {
    throw failure("runtime_missing", { install: "npm install onnxruntime-node" });
  }
  return {
    version: ort.env.versions.node ?? ort.env.versions.common,
    async open(bytes, { device, threads, dimensions = {} }) {
      const opened = await ort.InferenceSession.create(bytes, {
        executionProviders: ["cpu"],
        executionMode: "sequential",
        intraOpNumThreads: threads ?? physicalCores(),
        interOpNumThreads: 1,
        // Patterns are kept for each new input shape; clips of ever new lengths would make them grow without end.
        enableMemPattern: false,
        freeDimensionOverrides: dimensions,
        extra: { session: { intra_op: { allow_spinning: "0" } } },
        logSeverityLevel: 4, // an error is thrown as well, and our message says what to do about it
      });
      return session(opened, device, (feeds) => opened.run(feedsOf(ort, feeds)));
    },
  };
}

/** Cores this process may run on, hyper-threads counted once and a container's CPU quota respected. */
export function physicalCores() {
  const allowed = read("/proc/self/status").match(/^Cpus_allowed_list:\s*(\S+)$/m);
  const numbers = allowed ? listed(allowed[1]) : [...cpus().keys()];
  const siblings = (cpu) => read(`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`);
  const cores = allowed
    ? new Set(numbers.map((cpu) => siblings(cpu) || String(cpu))).size
    : Math.max(1, Math.floor(availableParallelism() / 2));
  const [quota, periodUs] = read("/sys/fs/cgroup/cpu.max").split(" ").map(Number);
  return quota > 0 && periodUs > 0 ? Math.min(cores, Math.max(1, Math.floor(quota / periodUs))) : cores;
}

/** The numbers of a list such as `0-3,8`. @param {string} list */
function listed(list) {
  return list.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, place) => first + place);
  });
}

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}
