/**
 * Uses the page as a person would, in Chromium without a window, and prints what it saw as JSON.
 *
 *     node page_driver.mjs OPTIONS    a JSON object: see `main`
 */

import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { SCENARIOS } from "./page_scenarios.mjs";

const FLAGS = [
  "--no-sandbox",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
];

/** WebGPU without a GPU: Vulkan on processors, by SwiftShader, which comes with Chromium. */
const SOFTWARE_GPU = [
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--use-vulkan=swiftshader",
];

/** The server, which notes what is downloaded, and the browser. */
class Site {
  constructor(options, browser, pageServer) {
    Object.assign(this, { options, browser, pageServer, port: 0, downloads: [] });
  }

  async start({ isolated = true } = {}) {
    this.server = this.pageServer({
      bundles: new Map(Object.entries(this.options.bundles)),
      modules: this.options.modules,
      isolated,
    });
    this.server.on("request", (request, response) =>
      response.on("finish", () =>
        this.downloads.push({
          path: request.url.split("?", 1)[0],
          status: response.statusCode,
          bytes: response.statusCode === 200 ? Number(response.getHeader("content-length") ?? 0) : 0,
        }),
      ),
    );
    await new Promise((resolve) => this.server.listen(this.port, "127.0.0.1", resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve)); // of one that is closed already, too
  }
}

/**
 * Options: `page` (its folder), `modules` and `tools` (node_modules with onnxruntime-web, and with playwright-core),
 * `chromium` (its command), `bundles` (name to folder), `microphone` (a WAV file that the microphone plays), `gpu`
 * (whether there is WebGPU), and `scenarios`: `[{name, ...}]`.
 */
async function main(options) {
  const { chromium } = createRequire(join(options.tools, "x.js"))("playwright-core");
  const { pageServer } = await import(pathToFileURL(join(options.page, "serve.mjs")));
  const sound = options.microphone ? [`--use-file-for-fake-audio-capture=${options.microphone}%noloop`] : [];
  const args = [...FLAGS, ...(options.gpu ? SOFTWARE_GPU : ["--disable-gpu"]), ...sound];
  const browser = await chromium.launch({ executablePath: options.chromium, args });
  const site = new Site(options, browser, pageServer);
  const found = { version: browser.version() };
  try {
    for (const { name, ...asked } of options.scenarios) {
      await site.start();
      found[name] = await SCENARIOS[name](site, asked).catch((error) => ({ failed: error.message }));
      await site.stop();
    }
  } finally {
    await browser.close();
  }
  process.stdout.write(JSON.stringify(found));
}

main(JSON.parse(process.argv[2]));
