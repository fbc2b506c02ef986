/** The page: what its buttons do. */

import { loadBundle, offeredBundles, rememberBundle } from "./bundles.js";
import { $, onClick, write } from "./elements.js";
import { decodeFile } from "./file-sound.js";
import { keepLoaded, keepPage } from "./offline.js";
import { showFactor, showFigure, showNotice } from "./panels.js";
import { recolour, redraw } from "./timeline.js";
import { answersText, say } from "./transcript.js";
import { audioContext, begin, fail, showAnswer, showResult } from "./view.js";
import { secondsText } from "./words.js";

const INVITATION = "Say something, or choose a recording.";
const root = document.documentElement;
const parameters = new URLSearchParams(location.search);

let bundles = [];
/** The bundle in use: its engine, the worker that runs it, and what is known of it; null while none is loaded. */
let loaded = null;
/** What the microphone does, once somebody has asked for it. @type {typeof import("./recording.js") | null} */
let recorder = null;
/** Bundles and files are numbered: what an older one answers is not shown any more. */
let latest = 0;

/** Buttons stay as they are while the engine works: one that is disabled under a finger loses the focus. */
function showStatus(words, busy = false) {
  write("status", words);
  $("status").classList.toggle("busy", busy);
  for (const id of ["record", "choose", "self-test"]) $(id).disabled = !loaded;
}

/** Does something with the engine; an error of it is shown, and the engine stays in use. */
async function withEngine(words, work) {
  const number = ++latest;
  const isWanted = () => number === latest;
  showStatus(words, true);
  try {
    await work(isWanted);
  } catch (error) {
    if (isWanted()) fail(error);
  }
  if (isWanted()) showStatus(loaded ? "Ready" : "Not ready");
}

async function load(bundle) {
  await recorder?.stop();
  loaded?.worker.terminate(); // whatever it works on, nobody waits for it
  loaded = null;
  await withEngine(`Loading ${bundle.name}`, async (isWanted) => {
    begin(null, false);
    say("Loading the model.");
    try {
      const found = await loadBundle(bundle, parameters);
      const { engine, worker, threads, readyS } = found;
      if (!isWanted()) return worker.terminate();
      loaded = found;
      showFigure("ready", secondsText(readyS));
      showFigure("back-end", `${engine.device}, ${threads} ${threads === 1 ? "thread" : "threads"}`);
      showFigure("model", `${bundle.name}, ${engine.precision}`);
      rememberBundle(bundle.name);
      if (parameters.has("stream")) (await import("./address-faults.js")).checkKind(parameters.get("stream"));
    } finally {
      if (isWanted()) say(loaded ? INVITATION : "");
    }
  });
}

async function recognise(file) {
  if (!loaded || !file) return;
  await recorder?.stop();
  await withEngine(`Reading ${file.name}`, async (isWanted) => {
    begin(null, false); // what was said before is not the answer to a file that cannot be read
    say("");
    const sound = await decodeFile(file);
    if (!isWanted()) return;
    begin(sound, false);
    say("Recognising.");
    try {
      const channels = await sound.channels();
      redraw();
      const began = performance.now();
      const onSegment = (segment) => isWanted() && showAnswer(segment);
      const result = await loaded.engine.run(channels, sound.rateHz, { onSegment });
      if (!isWanted()) return;
      showFactor((performance.now() - began) / 1e3, sound.durationS);
      showResult(result);
    } catch (error) {
      say("");
      throw error;
    }
  });
}

async function toggleRecording() {
  const context = audioContext();
  context.resume(); // browsers want it while a click is handled
  latest++;
  try {
    recorder = await import("./recording.js");
    await recorder.toggle({ context, loaded, kind: parameters.get("stream") ?? "auto", showStatus });
  } catch (error) {
    showStatus("Ready");
    fail(error);
  }
}

/** A file that is dropped anywhere. */
function takeDrag(event) {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  const isDrop = event.type === "drop";
  $("drop").hidden = isDrop || (event.type === "dragleave" && !event.relatedTarget);
  if (isDrop) recognise(event.dataTransfer.files[0]);
}

/** Dark or light: what is chosen here is kept; until then the system's choice is followed. */
function showTheme(theme) {
  root.dataset.theme = theme;
  $("theme").ariaPressed = theme === "dark";
  recolour();
}

function changeTheme() {
  showTheme(root.dataset.theme === "dark" ? "light" : "dark");
  root.dataset.chosen = "";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {} // storage may be forbidden
}

async function testItself() {
  const { selfTest } = await import("./self-test.js");
  write("self-test-words", await selfTest(loaded.engine));
}

async function start() {
  onClick("record", toggleRecording);
  onClick("choose", () => $("file").click());
  $("file").addEventListener("change", () => {
    recognise($("file").files[0]);
    $("file").value = ""; // the same file may be chosen again
  });
  $("bundle").addEventListener("change", () => load(bundles[$("bundle").selectedIndex]));
  onClick("copy", () => navigator.clipboard?.writeText(answersText()));
  onClick("self-test", () => withEngine("Testing", testItself));
  for (const type of ["dragover", "dragleave", "drop"]) addEventListener(type, takeDrag);
  onClick("theme", changeTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ({ matches }) => {
    if (root.dataset.chosen === undefined) showTheme(matches ? "dark" : "light");
  });
  showTheme(root.dataset.theme);
  [bundles] = await Promise.all([offeredBundles(), keepLoaded()]);
  $("bundle").replaceChildren(...bundles.map(({ name }) => new Option(name)));
  $("bundle").disabled = bundles.length < 2;
  if (bundles.length) {
    await load(bundles[0]);
    return keepPage();
  }
  showStatus("No bundle");
  showNotice(...(await import("./address-faults.js")).NO_BUNDLE);
}

start();
