// The list of updates: bounded, and drawn once a frame however fast updates come.

import { byId, copy, element, size, visible, visibleLines } from "./dom.js";
import { pretty } from "./json.js";

/** How many updates are kept, and how many characters of all of them together. */
const KEPT = 500;
const KEPT_CHARACTERS = 8 << 20;
/** How much of an update is shown at once; the rest is there to copy. */
const SHOWN = 200_000;
const PREVIEW = 300;

const time = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false,
});

export class Updates {
  #kept = [];
  #characters = 0;
  #received = 0;
  /** Kept, and not drawn yet. */
  #waiting = [];
  /** Drawn, and no longer kept. */
  #gone = [];
  #isPaused = false;
  #isScheduled = false;
  #rows = new WeakMap();
  #list = byId("list");

  /** `onResume` is called with the id of the update after which the reader wants to subscribe. */
  constructor(onResume) {
    this.onResume = onResume;
    byId("search").addEventListener("input", () => this.#drawAll());
    byId("clear").addEventListener("click", () => this.#clear());
    byId("pause").addEventListener("click", () => this.#pause());
    this.#list.addEventListener("toggle", ({ target }) => this.#fill(target), { capture: true });
    this.#list.addEventListener("click", ({ target }) => this.#act(target));
  }

  /** Takes an event of the stream. */
  add({ id, type, data, retry }) {
    const update = { id, type, data, retry, at: new Date() };
    this.#received += 1;
    this.#kept.push(update);
    this.#characters += data.length;
    while (this.#kept.length > KEPT || (this.#characters > KEPT_CHARACTERS && this.#kept.length > 1)) {
      const oldest = this.#kept.shift();
      this.#characters -= oldest.data.length;
      if (oldest.row) this.#gone.push(oldest.row);
    }
    this.#waiting.push(update);
    if (this.#waiting.length > 2 * KEPT) this.#waiting.splice(0, KEPT);
    this.#schedule();
  }

  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#draw();
    });
  }

  #draw() {
    if (!this.#isPaused) {
      const kept = this.#waiting.slice(-KEPT).filter((update) => this.#isAsked(update));
      this.#list.prepend(...kept.reverse().map((update) => this.#row(update)));
      this.#waiting = [];
      for (const row of this.#gone.splice(0)) row.remove();
      while (this.#list.childElementCount > KEPT) this.#list.lastElementChild.remove();
    }
    this.#count();
  }

  /** Draws every update that is kept and asked for. */
  #drawAll() {
    this.#waiting = [];
    this.#gone = [];
    const asked = this.#kept.filter((update) => this.#isAsked(update));
    this.#list.replaceChildren(...asked.reverse().map((update) => this.#row(update)));
    this.#count();
  }

  #isAsked({ id, type, data }) {
    const words = byId("search").value.toLowerCase();
    return words === "" || [id, type, data].some((text) => text.toLowerCase().includes(words));
  }

  #row(update) {
    if (update.row) return update.row;
    const { id, type, data, retry, at } = update;
    const meta = element("span", { className: "meta" },
      element("time", { dateTime: at.toISOString(), textContent: time.format(at) }),
      element("span", { className: "event", textContent: visible(type || "message") }),
      element("span", { className: "event-id", textContent: visible(id) }));
    if (retry !== undefined) meta.append(element("span", { textContent: `retry ${retry}` }));
    const preview = element("code", { className: "preview", textContent: visible(data.slice(0, PREVIEW)) });
    const details = element("details", {}, element("summary", {}, meta, preview));
    this.#rows.set(details, update);
    update.row = element("li", {}, details);
    return update.row;
  }

  /** Fills an update that is opened, and empties one that is closed. */
  #fill(details) {
    const update = this.#rows.get(details);
    if (!update) return;
    while (details.childElementCount > 1) details.lastElementChild.remove();
    if (!details.open) return;
    const { id, type, data, retry, at } = update;
    const facts = [
      ["Id", visible(id)],
      ["Type", visible(type || "message")],
      ["Retry", retry === undefined ? "not set" : `${retry} ms`],
      ["Received", at.toISOString()],
      ["Data", size(new Blob([data]).size)],
    ];
    const shown = data.length > SHOWN ? `${data.slice(0, SHOWN)}…` : (pretty(data) ?? data);
    details.append(
      element("dl", {}, ...facts.flatMap(([name, value]) =>
        [element("dt", { textContent: name }), element("dd", { textContent: value })])),
      element("pre", { textContent: visibleLines(shown), tabIndex: 0, ariaLabel: "Data" }),
      element("div", { className: "buttons" },
        button("data", "Copy data"), button("id", "Copy id"), button("resume", "Subscribe after it")));
  }

  #act(target) {
    const { action } = target.dataset;
    const update = action && this.#rows.get(target.closest("details"));
    if (!update) return;
    if (action === "resume") this.onResume(update.id);
    else copy(update[action], target);
  }

  #pause() {
    this.#isPaused = !this.#isPaused;
    const button = byId("pause");
    button.ariaPressed = `${this.#isPaused}`;
    button.textContent = this.#isPaused ? "Go on" : "Pause";
    if (!this.#isPaused) this.#drawAll();
    this.#count();
  }

  #clear() {
    this.#kept = [];
    this.#characters = 0;
    this.#received = 0;
    this.#drawAll();
  }

  #count() {
    const shown = this.#list.childElementCount;
    const waiting = this.#isPaused && this.#waiting.length > 0 ? ", more have come since" : "";
    byId("counts").textContent = this.#received
      ? `${this.#received.toLocaleString()} received, ${shown.toLocaleString()} shown${waiting}`
      : "No update yet";
  }
}

const button = (action, textContent) => element("button", { type: "button", textContent, data: { action } });
