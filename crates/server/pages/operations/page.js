// Reads the metrics and the state every two seconds while the page is visible, and shows them.

import { visible } from "./figures.js";
import { History } from "./history.js";
import { Metrics } from "./metrics.js";
import { View } from "./view.js";

const PAUSE = 2000;
const PATIENCE = 10_000;

const history = new History();
const view = new View();
const status = document.getElementById("status");
const pause = document.getElementById("pause");
let isPaused = false;
/** The wait for the next read; none while one is under way. */
let timer = null;
let isReading = false;

async function read(path, accept) {
  const answer = await fetch(path, { headers: { accept }, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer;
}

async function turn() {
  isReading = true;
  const time = performance.now() / 1000;
  try {
    const [page, state] = await Promise.all([
      read("../metrics", "text/plain").then((answer) => answer.text()),
      read("state", "application/json").then((answer) => answer.json()),
    ]);
    const metrics = new Metrics(page);
    history.add(metrics, time);
    view.show(metrics, state);
    if (!isPaused) say("Live", "live");
  } catch (error) {
    history.miss(time);
    say(`The hub does not answer: ${error.message}. Trying again.`, "broken");
  }
  view.draw(history, time);
  document.documentElement.dataset.turns = String(Number(document.documentElement.dataset.turns ?? 0) + 1);
  isReading = false;
  schedule(PAUSE);
}

/** Says a state once, so that a screen reader is not told each turn. */
function say(text, kind) {
  if (status.textContent !== visible(text)) status.textContent = visible(text);
  status.dataset.kind = kind;
}

function schedule(wait) {
  clearTimeout(timer);
  timer = null;
  if (isPaused || isReading || document.hidden) return;
  timer = setTimeout(turn, wait);
}

pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.setAttribute("aria-pressed", String(isPaused));
  if (isPaused) say("Paused", "paused");
  schedule(0);
});
document.addEventListener("visibilitychange", () => schedule(0));
schedule(0);
