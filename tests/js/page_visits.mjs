/** A tab with the page in it, and what can be seen there. */

import { readFile } from "node:fs/promises";
import { basename } from "node:path";

export const PATIENCE_MS = 60_000;

/** In the page, before anything else: long tasks, violations of the policy, and when the first answer was shown. */
function watch() {
  const seen = (globalThis.seen = { longTasksMs: [], violations: [], firstAnswerMs: null, readyMs: null });
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) seen.longTasksMs.push(Math.round(task.duration));
  }).observe({ type: "longtask", buffered: true });
  addEventListener("securitypolicyviolation", (event) =>
    seen.violations.push(`${event.violatedDirective} ${event.blockedURI}`),
  );
  addEventListener("DOMContentLoaded", () => {
    const record = document.getElementById("record");
    const finals = document.getElementById("finals");
    new MutationObserver(() => {
      if (!record.disabled) seen.readyMs ??= performance.now();
    }).observe(record, { attributes: true });
    new MutationObserver(() => {
      if (finals.childElementCount) seen.firstAnswerMs ??= performance.now();
    }).observe(finals, { childList: true });
  });
}

/**
 * The longest task of the page's main thread in processor time. Unlike the long tasks that a page can observe, it does
 * not depend on what else the machine does.
 */
export class TaskMeter {
  constructor(browser, tab) {
    Object.assign(this, { browser, tab });
  }

  async start() {
    await this.browser.startTracing(this.tab, { categories: ["toplevel", "disabled-by-default-devtools.timeline"] });
  }

  /** Processor time of the longest task, in milliseconds. */
  async longestMs() {
    const { traceEvents } = JSON.parse((await this.browser.stopTracing()).toString());
    const thread = ({ pid, tid }) => `${pid} ${tid}`;
    const main = new Set(traceEvents.filter((event) => event.args?.name === "CrRendererMain").map(thread));
    const tasks = traceEvents.filter(
      (event) => event.name.endsWith("RunTask") && event.tdur && main.has(thread(event)),
    );
    if (!tasks.length) throw new Error("the trace has no tasks");
    return Math.max(...tasks.map((task) => task.tdur)) / 1e3;
  }
}

export class Visit {
  /** A tab of its own, without anything kept from an earlier one. */
  static async open(site, { path = "/", ...options } = {}) {
    const context = await site.browser.newContext(options);
    const tab = await context.newPage();
    const visit = new Visit(context, tab);
    tab.on("pageerror", (error) => visit.errors.push(error.message));
    tab.on("console", (message) => message.type() === "error" && visit.errors.push(message.text()));
    tab.on("filechooser", (chooser) => chooser.setFiles(visit.chosen)); // from the beginning: no dialogue opens
    await tab.addInitScript(watch);
    await tab.goto(site.url + path);
    return visit;
  }

  constructor(context, tab) {
    Object.assign(this, { context, tab, errors: [], chosen: null });
  }

  /** Until the model is loaded. */
  async ready() {
    await this.tab.waitForFunction(() => !document.getElementById("record").disabled, null, { timeout: PATIENCE_MS });
  }

  /** Until the engine has nothing to do. */
  async idle() {
    await this.tab.waitForFunction(() => document.getElementById("status").textContent === "Ready", null, {
      timeout: PATIENCE_MS,
    });
  }

  /** Until files of the page are kept for later visits. */
  async kept(wanted = ["/page/", "/page/icon.svg"]) {
    const isKept = (paths) =>
      Promise.all(paths.map((path) => caches.match(path))).then((found) => found.every(Boolean));
    const until = Date.now() + PATIENCE_MS;
    while (!(await this.tab.evaluate(isKept, wanted))) {
      if (Date.now() > until) throw new Error("the page's files are not kept");
      await this.tab.waitForTimeout(50);
    }
  }

  /** A file that is dropped onto the page. */
  async drop(path) {
    const content = (await readFile(path)).toString("base64");
    await this.tab.evaluate(
      ([text, name]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], name));
        for (const type of ["dragenter", "dragover", "drop"]) {
          document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }
      },
      [content, basename(path)],
    );
  }

  async answers(count = 1) {
    await this.tab.waitForFunction((wanted) => document.querySelectorAll("#finals li").length >= wanted, count, {
      timeout: PATIENCE_MS,
    });
    return this.tab.$$eval("#finals li", (rows) =>
      rows.map((row) => ({
        text: row.querySelector(".said").textContent,
        label: row.querySelector(".label").textContent,
        confidence: row.querySelector(".sure").textContent,
      })),
    );
  }

  /** What the self-test says in the end. */
  async selfTest() {
    await this.tab.click("#self-test");
    await this.tab.waitForFunction(
      () => /^(Passed|Failed)/.test(document.getElementById("self-test-words").textContent),
      null,
      { timeout: PATIENCE_MS },
    );
    return this.text("self-test-words");
  }

  text(id) {
    return this.tab.textContent(`#${id}`);
  }

  figures() {
    return this.tab.$$eval("#figures dt", (names) =>
      Object.fromEntries(names.map((name) => [name.textContent, name.nextElementSibling.textContent])),
    );
  }

  async notice() {
    await this.tab.waitForSelector("#notice:not([hidden])", { timeout: PATIENCE_MS });
    return { title: await this.text("notice-title"), text: await this.text("notice-text") };
  }

  /** Paths of what the document itself loaded; what its workers load is theirs. */
  loadedByDocument() {
    return this.tab.evaluate(() =>
      performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname),
    );
  }

  async close() {
    const seen = await this.tab.evaluate(() => globalThis.seen);
    await this.context.close();
    return { ...seen, errors: this.errors };
  }
}
