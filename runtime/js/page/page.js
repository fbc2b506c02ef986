/** The page: what its buttons do. */

import { loadBundle, offeredBundles, rememberBundle } from "./bundles.js";
import { decodeFile } from "./file-sound.js";
import { keepLoaded, keepPage } from "./offline.js";
import { FIGURES, View } from "./view.js";
import { secondsText } from "./words.js";

const INVITATION = "Say something, or choose a recording.";
const $ = (id) => document.getElementById(id);
const parameters = new URLSearchParams(location.search);

let context = null;
const audioContext = () => (context ??= new AudioContext());
const view = new View($, audioContext);

let bundles = [];
/** The bundle in use: its engine, the worker that runs it, and what is known of it; null while none is loaded. */
let loaded = null;
let recording = null;
/** Bundles and files are numbered: what an older one answers is not shown any more. */
let latest = 0;

/** Buttons stay as they are while the engine works: one that is disabled under a finger loses the focus. */
function status(words, busy = false) {
  $("status").textContent = words;
  $("status").classList.toggle("busy", busy);
  for (const id of ["record", "choose", "self-test"]) $(id).disabled = !loaded;
}

/** Does something with the engine; an error of it is shown, and the engine stays in use. */
async function withEngine(words, work) {
  const number = ++latest;
  status(words, true);
  try {
    await work(() => number === latest);
  } catch (error) {
    if (number === latest) view.fail(error);
  }
  if (number === latest) status(loaded ? "Ready" : "Not ready");
}

async function load(bundle) {
  await recording?.stop();
  loaded?.worker.terminate(); // whatever it works on, nobody waits for it
  loaded = null;
  await withEngine(`Loading ${bundle.name}`, async (wanted) => {
    view.begin(null, false);
    view.transcript.say("Loading the model.");
    try {
      const found = await loadBundle(bundle, parameters);
      if (!wanted()) return found.worker.terminate();
      loaded = found;
      view.figures.set(FIGURES.ready, secondsText(found.readyS));
      view.figures.set(
        FIGURES.backEnd,
        `${found.engine.device}, ${found.threads} ${found.threads === 1 ? "thread" : "threads"}`,
      );
      view.figures.set(FIGURES.model, `${bundle.name}, ${found.engine.precision}`);
      rememberBundle(bundle.name);
    } finally {
      if (wanted()) view.transcript.say(loaded ? INVITATION : "");
    }
  });
}

async function recognise(file) {
  if (!loaded || !file) return;
  await recording?.stop();
  await withEngine(`Reading ${file.name}`, async (wanted) => {
    const sound = await decodeFile(file);
    if (!wanted()) return;
    view.begin(sound, false);
    view.transcript.say("Recognising.");
    try {
      const channels = await sound.channels();
      view.timeline.redraw();
      const began = performance.now();
      const result = await loaded.engine.run(channels, sound.rateHz, {
        onSegment: (segment) => wanted() && view.answer(segment),
      });
      if (!wanted()) return;
      view.factor((performance.now() - began) / 1e3, sound.durationS);
      view.result(result);
    } catch (error) {
      view.transcript.say("");
      throw error;
    }
  });
}

async function toggleRecording() {
  if (recording) return recording.stop();
  latest++;
  status("Waiting for the microphone", true);
  audioContext().resume(); // browsers want it while a click is handled
  try {
    const { Recording } = await import("./recording.js");
    if (recording) return recording.stop(); // a second click while that was loaded
    if (!loaded) return;
    const options = { kind: parameters.get("stream") ?? "auto" };
    recording = new Recording(view, loaded.engine, options, () => showRecording());
    if (await recording.start(audioContext())) showRecording("Listening");
  } catch (error) {
    showRecording();
    view.fail(error);
  }
}

/** The button and the status; without words: nothing is recorded any more. */
function showRecording(words = null) {
  if (!words) recording = null;
  document.body.classList.toggle("recording", recording !== null);
  $("record-text").textContent = recording ? "Stop" : "Record";
  status(words ?? "Ready", recording !== null);
  if (recording) view.transcript.say("Listening.");
}

/** Files that are dropped anywhere. */
function takeDrops() {
  const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    $("drop").hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) $("drop").hidden = true;
  });
  addEventListener("drop", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    $("drop").hidden = true;
    recognise(event.dataTransfer.files[0]);
  });
}

/** Dark or light: what is chosen here is kept; until then the system's choice is followed. */
function takeTheme() {
  const root = document.documentElement;
  const show = (theme) => {
    root.dataset.theme = theme;
    $("theme").setAttribute("aria-pressed", String(theme === "dark"));
    view.timeline.recolour();
  };
  $("theme").addEventListener("click", () => {
    show(root.dataset.theme === "dark" ? "light" : "dark");
    root.dataset.chosen = "";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {} // storage may be forbidden
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ({ matches }) => {
    if (root.dataset.chosen === undefined) show(matches ? "dark" : "light");
  });
  show(root.dataset.theme);
}

async function begin() {
  $("record").addEventListener("click", toggleRecording);
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    recognise($("file").files[0]);
    $("file").value = ""; // the same file may be chosen again
  });
  $("bundle").addEventListener("change", () => load(bundles[$("bundle").selectedIndex]));
  $("copy").addEventListener("click", () => navigator.clipboard?.writeText(view.transcript.text));
  $("self-test").addEventListener("click", () =>
    withEngine("Testing", async () => {
      const { selfTest } = await import("./self-test.js");
      $("self-test-words").textContent = await selfTest(loaded.engine);
    }),
  );
  takeDrops();
  takeTheme();
  [bundles] = await Promise.all([offeredBundles(), keepLoaded()]);
  $("bundle").replaceChildren(...bundles.map(({ name }) => new Option(name)));
  $("bundle").disabled = bundles.length < 2;
  if (bundles.length) {
    await load(bundles[0]);
    return keepPage();
  }
  status("No bundle");
  view.notice.show(
    "No bundle to load",
    "Name one in the address, as ?bundle=URL, or list some in bundles.json next to this page.",
  );
}

begin();
