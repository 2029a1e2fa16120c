// The table of active subscriptions: the list of the hub, kept up to date by its events.

import { byId, element, say, visible } from "./dom.js";
import { Unsendable, fieldText, hubUrl, sentence } from "./hub.js";
import { links } from "./discover.js";
import { Stream } from "./stream.js";

/** How many rows are shown. */
const SHOWN = 500;
const PATH = `${new URL(hubUrl).pathname}/subscriptions`;

export class ActiveSubscriptions {
  #active = new Map();
  #stream;
  #isDrawing = false;

  constructor(access) {
    this.access = access;
    byId("watch").addEventListener("click", () => (this.#stream ? this.#stop("Stopped") : this.watch()));
  }

  /** Reads the list, and follows what changes. */
  async watch() {
    this.#stop("Asking the hub …");
    const watched = (this.#stream = { stop() {} });
    this.#press(true);
    try {
      const response = await this.access.ask(`${hubUrl}/subscriptions`);
      if (this.#stream !== watched) return;
      if (!response.ok) return this.#fail(await sentence(response));
      const list = await response.json();
      this.#active = new Map(list.subscriptions.map((one) => [one.id, one]));
      this.#follow(cursorOf(response) ?? list.lastEventID);
    } catch (error) {
      this.#fail(error instanceof Unsendable ? error.message : "The hub cannot be reached.");
    }
  }

  /** Every event of the hub has a topic below the list, whichever generation it is of. */
  #follow(lastEventId) {
    const query = new URLSearchParams({ match_urlpattern: `${PATH}/*` });
    let isFirst = true;
    this.#stream = new Stream(this.access, `${hubUrl}?${query}`, lastEventId, {
      opened: (cursor, asked) => {
        // What happened meanwhile is lost, so the list is read again.
        if (!isFirst && cursor !== asked) return this.watch();
        isFirst = false;
        this.#draw();
      },
      event: ({ data }) => this.#take(data),
      waiting: (why) => say(byId("active-said"), `${why}; reconnecting`, "failed"),
      failed: (why) => this.#fail(why),
    });
  }

  #take(data) {
    let event;
    try {
      event = JSON.parse(data);
    } catch {
      return;
    }
    if (typeof event?.id !== "string" || typeof event.active !== "boolean") return;
    if (event.active) this.#active.set(event.id, event);
    else this.#active.delete(event.id);
    this.#draw();
  }

  /** Draws the table once a frame. */
  #draw() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      if (!this.#stream) return;
      const first = [...this.#active.values()].slice(-SHOWN).reverse();
      byId("active").replaceChildren(...first.map(row));
      const count = this.#active.size;
      const shown = count > SHOWN ? `, the newest ${SHOWN} shown` : "";
      say(byId("active-said"), `${count.toLocaleString()} active${shown}`, "good");
    });
  }

  #fail(why) {
    this.#stop("");
    say(byId("active-said"), why, "failed");
  }

  #stop(text) {
    this.#stream?.stop();
    this.#stream = undefined;
    this.#press(false);
    byId("active").replaceChildren();
    say(byId("active-said"), text);
  }

  #press(isOn) {
    byId("watch").ariaPressed = `${isOn}`;
    byId("watch").textContent = isOn ? "Stop" : "Watch";
  }
}

/** The id from which to follow the list. */
function cursorOf(response) {
  const all = links(fieldText(response.headers.get("Link") ?? ""));
  return all.map(({ parameters }) => parameters.get("last-event-id")).find((id) => id !== undefined);
}

function row({ match, topic, match_type: type, subscriber, payload }) {
  const cells = [match ?? topic, type ?? "0.x selector", subscriber, payload === undefined ? "" : JSON.stringify(payload)];
  return element("tr", {}, ...cells.map((text) => element("td", { textContent: visible(`${text ?? ""}`) })));
}
