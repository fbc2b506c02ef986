/** Ways of using the page, and what was seen. */

import { PATIENCE_MS, TaskMeter, Visit } from "./page_visits.mjs";

/** What is loaded last of the parts that a visit did not use: at the end of every chain of imports. */
const LAST_KEPT = [
  "/page/capture.js",
  "/src/failure_messages.js",
  "/src/refusal_messages.js",
  "/src/streaming/band_powers.js",
  "/src/streaming/live_sound.js",
  "/src/streaming/stable_words.js",
  "/src/streaming/windowed.js",
];

/** The page with a bundle; `parameters` of its address are those of its README. */
const address = (bundle, parameters = {}) => `/?${new URLSearchParams({ bundle, ...parameters })}`;

/** What the tests and the record ask for, by name; each gives JSON-ready values. */
export const SCENARIOS = {
  /** A first visit, a file that is dropped, and the self-test; then a second visit. */
  async clip(site, { clip, bundle }) {
    const cold = site.downloads.length;
    const visit = await Visit.open(site, { path: address(bundle) });
    await visit.ready();
    await visit.drop(clip);
    const answers = await visit.answers();
    const untilAnswer = site.downloads.slice(cold).map(({ path }) => path);
    const words = await visit.tab.$$eval("#lane .word", (found) => found.map((word) => word.textContent));
    const scores = await visit.tab.$$eval("#scores li", (rows) =>
      Object.fromEntries(
        rows.map((row) => [row.querySelector(".label").textContent, row.querySelector(".share").textContent]),
      ),
    );
    const selfTest = await visit.selfTest();
    const figures = await visit.figures();
    await visit.kept();
    const coldDownloads = site.downloads.slice(cold);
    const warm = site.downloads.length;
    const coldTimes = await visit.tab.evaluate(() => globalThis.seen);
    await visit.tab.reload();
    await visit.ready();
    await visit.tab.setInputFiles("#file", clip);
    await visit.answers();
    const seen = await visit.close();
    return {
      answers,
      words,
      scores,
      selfTest,
      figures,
      untilAnswer: [...new Set(untilAnswer)],
      cold: { readyMs: coldTimes.readyMs, firstAnswerMs: coldTimes.firstAnswerMs, downloads: coldDownloads },
      warm: { readyMs: seen.readyMs, firstAnswerMs: seen.firstAnswerMs, downloads: site.downloads.slice(warm) },
      seen: { ...seen, longTasksMs: [...coldTimes.longTasksMs, ...seen.longTasksMs] },
    };
  },

  /** What is loaded until the first answer to a file. */
  async first(site, { clip, bundle }) {
    const visit = await Visit.open(site, { path: address(bundle) });
    await visit.ready();
    await visit.drop(clip);
    const answers = await visit.answers();
    const untilAnswer = [...site.downloads];
    return { answers, untilAnswer, seen: await visit.close() };
  },

  /** On the GPU: whether there is WebGPU at all, the answer to a file, and the self-test. */
  async gpu(site, { clip, bundle, parameters }) {
    const visit = await Visit.open(site, { path: address(bundle, parameters) });
    const there = await visit.tab.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter()));
    if (!there) return { there };
    await visit.ready();
    await visit.drop(clip);
    const answers = await visit.answers();
    const selfTest = await visit.selfTest();
    return { there, answers, selfTest, figures: await visit.figures(), seen: await visit.close() };
  },

  /** The microphone, which plays a file: what was shown while it ran, and what stays. */
  async microphone(site, { bundle, seconds }) {
    const visit = await Visit.open(site, { path: address(bundle) });
    await visit.ready();
    await visit.tab.evaluate(() => {
      globalThis.partials = [];
      const [stable, tentative] = ["stable", "tentative"].map((id) => document.getElementById(id));
      new MutationObserver(() => {
        if (tentative.textContent) globalThis.partials.push([stable.textContent, tentative.textContent]);
      }).observe(stable.parentElement, { childList: true, characterData: true, subtree: true });
    });
    await visit.tab.click("#record");
    await visit.tab.waitForTimeout(1e3 * seconds);
    const duringText = await visit.text("record-text");
    await visit.tab.click("#record");
    await visit.idle();
    const answers = await visit.answers();
    const partials = await visit.tab.evaluate(() => globalThis.partials);
    const figures = await visit.figures();
    await visit.tab.click("#finals .time");
    await visit.tab.waitForFunction(() => document.getElementById("play").textContent === "Stop", null, {
      timeout: 5000,
    });
    return { answers, partials, figures, duringText, played: true, seen: await visit.close() };
  },

  /** What the main thread does: loading, a clip, the microphone, and a long recording. */
  async tasks(site, { clip, recording, bundle }) {
    const visit = await Visit.open(site, { path: "/page/icon.svg" });
    const meter = new TaskMeter(site.browser, visit.tab);
    const longestMs = {};
    await meter.start();
    await visit.tab.goto(`${site.url}/?bundle=${bundle}`);
    await visit.ready();
    await visit.tab.setInputFiles("#file", clip);
    await visit.answers();
    await visit.tab.click("#play");
    await visit.tab.waitForTimeout(500);
    longestMs.clip = await meter.longestMs();
    await meter.start();
    await visit.tab.click("#record");
    await visit.tab.waitForTimeout(2500);
    await visit.tab.click("#record");
    await visit.idle();
    longestMs.microphone = await meter.longestMs();
    await meter.start();
    await visit.tab.setInputFiles("#file", recording);
    await visit.tab.waitForFunction(() => document.getElementById("clock").textContent.startsWith("2:"), null, {
      timeout: PATIENCE_MS,
    });
    await visit.tab.waitForTimeout(1500);
    longestMs.recording = await meter.longestMs();
    const loaded = await visit.loadedByDocument();
    const workers = visit.tab.workers().map((worker) => new URL(worker.url()).pathname);
    await visit.close();
    return { longestMs, loaded, workers };
  },

  /** A second visit after the server went away: a clip, the microphone, and what the first visit did not use. */
  async offline(site, { clip, noSound, bundle }) {
    const visit = await Visit.open(site, { path: `/page/?bundle=${bundle}` });
    await visit.ready();
    await visit.kept(["/page/", "/page/icon.svg", ...LAST_KEPT]);
    await site.stop();
    await visit.tab.reload();
    await visit.ready();
    await visit.tab.setInputFiles("#file", clip);
    const answers = await visit.answers();
    await visit.tab.click("#record");
    await visit.tab.waitForFunction(() => document.getElementById("record-text").textContent === "Stop", null, {
      timeout: PATIENCE_MS,
    });
    await visit.tab.waitForTimeout(500);
    await visit.tab.click("#record");
    await visit.idle();
    const noticed = await visit.tab.isVisible("#notice");
    await visit.tab.setInputFiles("#file", noSound);
    const notice = await visit.notice();
    await visit.close();
    return { answers, noticed, notice };
  },

  /** A bundle with one bit turned over. */
  async damaged(site, { bundle, parameters }) {
    const visit = await Visit.open(site, { path: address(bundle, parameters) });
    const notice = await visit.notice();
    const recordDisabled = await visit.tab.isDisabled("#record");
    return { notice, recordDisabled, seen: await visit.close() };
  },

  /** A telephone, 360 pixels wide, with two threads. */
  async narrow(site, { clip, bundle }) {
    const viewport = { width: 360, height: 640 };
    const visit = await Visit.open(site, { path: address(bundle, { threads: 2 }), viewport });
    const widths = [];
    const measure = async () => widths.push(await visit.tab.evaluate(() => document.documentElement.scrollWidth));
    await visit.ready();
    await measure();
    await visit.tab.setInputFiles("#file", clip);
    const answers = await visit.answers();
    await measure();
    await visit.tab.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await measure();
    return { widths, answers, figures: await visit.figures(), seen: await visit.close() };
  },

  /** Tab, arrows and Enter alone, dark colours on the way. */
  async keyboard(site, { clip, bundle }) {
    const visit = await Visit.open(site, { path: address(bundle), colorScheme: "light" });
    await visit.ready();
    const { keyboard } = visit.tab;
    const reached = [];
    const focused = () =>
      visit.tab.evaluate(() => {
        const { id, className, textContent } = document.activeElement;
        const style = getComputedStyle(document.activeElement);
        return {
          id,
          className,
          text: textContent.trim(),
          outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
        };
      });
    const go = async (id) => {
      for (let tries = 0; tries < 30; tries++) {
        await keyboard.press("Tab");
        reached.push(await focused());
        if (reached.at(-1).id === id) return;
      }
      throw new Error(`Tab does not reach ${id}`);
    };
    await go("theme");
    await keyboard.press("Enter");
    const theme = await visit.tab.evaluate(() => [
      document.documentElement.dataset.theme,
      localStorage.getItem("theme"),
    ]);
    await go("choose");
    visit.chosen = clip;
    await keyboard.press("Enter");
    const answers = await visit.answers();
    while (!(await focused()).className.startsWith("word")) await keyboard.press("Shift+Tab");
    const words = [await focused()];
    await keyboard.press("ArrowRight");
    words.push(await focused());
    await keyboard.press("Enter");
    await visit.tab.waitForFunction(() => document.getElementById("play").textContent === "Stop", null, {
      timeout: 5000,
    });
    await visit.tab.waitForFunction(() => document.getElementById("play").textContent === "Play", null, {
      timeout: 5000,
    });
    await go("self-test");
    await keyboard.press("Enter");
    await visit.tab.waitForFunction(
      () => document.getElementById("self-test-words").textContent.startsWith("Passed"),
      null,
      {
        timeout: PATIENCE_MS,
      },
    );
    await visit.tab.reload();
    const kept = await visit.tab.evaluate(() => document.documentElement.dataset.theme);
    await visit.close();
    return { reached, theme, answers, words, kept };
  },

  /** Microphones that cannot be had: refused, absent, and taken; then files that are no sound, or only a part of it. */
  async refused(site, { clip, file, cut, bundle }) {
    const visit = await Visit.open(site, { path: address(bundle) });
    await visit.ready();
    const notices = {};
    for (const name of ["NotAllowedError", "NotFoundError", "NotReadableError"]) {
      await visit.tab.evaluate((error) => {
        navigator.mediaDevices.getUserMedia = async () => {
          throw new DOMException("of the browser", error);
        };
      }, name);
      await visit.tab.click("#record");
      notices[name] = await visit.notice();
      await visit.tab.click("#notice-close");
    }
    const recordText = await visit.text("record-text");
    await visit.tab.setInputFiles("#file", clip);
    await visit.answers();
    await visit.tab.setInputFiles("#file", file);
    notices.noSound = await visit.notice();
    const left = await visit.tab.locator("#finals li").count();
    const status = await visit.text("status");
    const parts = {};
    for (const name of ["joined", "clip", "compressed"]) {
      await visit.tab.click("#notice-close");
      await visit.tab.setInputFiles("#file", cut[name]);
      parts[name] = await visit.notice();
    }
    await visit.tab.setInputFiles("#file", cut.recording);
    await visit.tab.waitForFunction(() => document.getElementById("now-detail").textContent, null, {
      timeout: PATIENCE_MS,
    });
    const warned = await visit.text("now-detail");
    const odd = await Visit.open(site, { path: address(bundle, { stream: "quick" }) });
    await odd.ready();
    notices.address = await odd.notice();
    await odd.tab.click("#record");
    await odd.tab.waitForFunction(() => document.getElementById("notice-text").textContent.includes("of kind 'quick'"));
    const oddly = { status: await odd.text("status"), invitation: await odd.text("invitation") };
    await odd.close();
    return { notices, recordText, left, status, parts, warned, oddly, seen: await visit.close() };
  },

  /** A page that may not share memory runs one thread. */
  async alone(site, { clip, bundle }) {
    await site.stop();
    await site.start({ isolated: false });
    const visit = await Visit.open(site, { path: address(bundle) });
    await visit.ready();
    await visit.tab.setInputFiles("#file", clip);
    const answers = await visit.answers();
    const figures = await visit.figures();
    const isolated = await visit.tab.evaluate(() => crossOriginIsolated);
    return { answers, figures, isolated, seen: await visit.close() };
  },
};
