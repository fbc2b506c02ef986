#!/usr/bin/env node
/**
 * Serves the page, the engine, onnxruntime-web and bundles, with the headers that they want. Node and nothing else.
 *
 *     node serve.mjs --bundle words=models/words --bundle words-stream=models/words-stream --modules node_modules
 *
 * Paths are those of the package's folder, so any other server of static files works as well; bundles.json is then
 * written by hand.
 */

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const RUNTIME = "onnxruntime-web/dist";
const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".flac": "audio/flac",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".md": "text/markdown; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".wav": "audio/wav",
};
const HEADERS = {
  "Cache-Control": "no-cache",
  "Content-Security-Policy": [
    "default-src 'self'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    ...["object-src", "base-uri", "form-action", "frame-ancestors"].map((each) => `${each} 'none'`),
  ].join("; "),
  "Permissions-Policy": "microphone=(self)",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};
/** What shared memory, and with it more than one thread, asks for. */
const ISOLATION = {
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
};

/**
 * @param {{bundles: Map<string, string>, modules: string, isolated?: boolean}} options folders of the bundles by name,
 *     and a node_modules folder with onnxruntime-web in it
 * @returns {import("node:http").Server}
 */
export function pageServer({ bundles, modules, isolated = true }) {
  const roots = new Map([
    ["/page/", join(PACKAGE, "page")],
    ["/src/", join(PACKAGE, "src")],
    [`/node_modules/${RUNTIME}/`, join(modules, RUNTIME)],
    ...[...bundles].map(([name, folder]) => [`/bundles/${encodeURIComponent(name)}/`, folder]),
  ]);
  const listed = JSON.stringify(
    [...bundles.keys()].map((name) => ({ name, url: `../bundles/${encodeURIComponent(name)}/` })),
  );
  const headers = isolated ? { ...HEADERS, ...ISOLATION } : HEADERS;
  return createServer((request, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    answer(request, response, roots, listed).catch((error) => {
      if (response.headersSent) response.destroy(error);
      else refuse(response, 500, "this file cannot be read");
    });
  });
}

async function answer(request, response, roots, listed) {
  if (request.method !== "GET" && request.method !== "HEAD") return refuse(response, 405, "GET and HEAD only");
  const path = request.url.split("?", 1)[0];
  if (path === "/") return response.writeHead(302, { Location: `/page/${request.url.slice(1)}` }).end();
  if (path === "/page/bundles.json") return response.writeHead(200, { "Content-Type": TYPES[".json"] }).end(listed);
  const file = fileOf(path.endsWith("/") ? `${path}index.html` : path, roots);
  const found = file && (await stat(file).catch(() => null));
  if (!found?.isFile()) return refuse(response, 404, "no such file");
  const tag = `"${found.size.toString(36)}-${Math.round(found.mtimeMs).toString(36)}"`;
  response.setHeader("ETag", tag);
  if (request.headers["if-none-match"] === tag) return response.writeHead(304).end();
  response.writeHead(200, {
    "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
    "Content-Length": found.size,
  });
  if (request.method === "HEAD") return response.end();
  createReadStream(file)
    .on("error", (error) => response.destroy(error))
    .pipe(response);
}

/** The file of a path below one of the roots; null for any other, however it is written. */
function fileOf(path, roots) {
  const prefix = [...roots.keys()].find((each) => path.startsWith(each));
  if (prefix === undefined) return null;
  let inside;
  try {
    inside = decodeURIComponent(path.slice(prefix.length));
  } catch {
    return null;
  }
  if (inside.split(/[/\\]/).some((part) => part.startsWith(".")) || inside.includes("\0")) return null;
  const root = resolve(roots.get(prefix));
  const file = resolve(root, inside);
  return file.startsWith(root + sep) ? file : null;
}

function refuse(response, status, words) {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end(`${words}\n`);
}

const USAGE = `usage: node serve.mjs --bundle NAME=FOLDER [--bundle NAME=FOLDER ...] [options]

  --bundle NAME=FOLDER  a bundle that the page offers; the first is loaded
  --modules FOLDER      node_modules with onnxruntime-web in it (default: that of the package)
  --host HOST           address to listen on (default: 127.0.0.1)
  --port PORT           port; 0 takes a free one (default: 8080)
  --no-isolation        without the headers that shared memory asks for: the page then runs one thread
`;

async function main() {
  const { values } = parseArgs({
    options: {
      bundle: { type: "string", multiple: true, default: [] },
      modules: { type: "string", default: join(PACKAGE, "node_modules") },
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "8080" },
      "no-isolation": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return process.stdout.write(USAGE);
  const bundles = new Map(values.bundle.map(namedFolder));
  for (const [name, folder] of bundles) {
    const given = `--bundle ${name}=${folder}: not a bundle`;
    await demand(folder, `${given}, there is no such folder; check the path`);
    await demand(join(folder, "manifest.json"), `${given}, it has no manifest.json`);
  }
  await demand(
    join(values.modules, RUNTIME),
    `${values.modules}: has no onnxruntime-web; run: npm install onnxruntime-web`,
  );
  const server = pageServer({ bundles, modules: values.modules, isolated: !values["no-isolation"] });
  server.on("error", (error) => fail(error.message));
  server.listen(Number(values.port), values.host, () => {
    const { address, family, port } = server.address();
    process.stdout.write(`http://${family === "IPv6" ? `[${address}]` : address}:${port}/\n`);
  });
}

function namedFolder(text) {
  const [, name, folder] = /^([^=/\\.][^=/\\]*)=(.+)$/.exec(text) ?? fail(`--bundle ${text}: give NAME=FOLDER`);
  return [name, folder];
}

async function demand(path, otherwise) {
  if (!(await stat(path).catch(() => null))) fail(otherwise);
}

function fail(words) {
  process.stderr.write(`serve.mjs: ${words}\n`);
  process.exit(2);
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main().catch((error) => fail(error.message));
}
