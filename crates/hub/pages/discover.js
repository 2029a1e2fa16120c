// What a resource says about its hub: the Link header.

import { byId, element, size, visible, visibleLines } from "./dom.js";
import { fieldText } from "./hub.js";
import { pretty } from "./json.js";

/** How much of a body is read. */
const MOST = 64 << 10;

/** The links of a field: target, and parameters by name (RFC 8288). */
export function links(field) {
  const found = [];
  for (const [, target, parameters] of field.matchAll(/<([^>]*)>((?:\s*;\s*[^\s=;,]+\s*(?:=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*))?)*)/g)) {
    const pairs = Array.from(
      parameters.matchAll(/;\s*([^\s=;,]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?/g),
      ([, name, string, word]) => [name.toLowerCase(), string?.replace(/\\(.)/g, "$1") ?? word ?? ""],
    );
    found.push({ target, parameters: new Map(pairs) });
  }
  return found;
}

export class Discovery {
  /** `onTopic` gets the topic that the reader wants to subscribe to. */
  constructor(onTopic) {
    this.onTopic = onTopic;
    byId("discover").addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      this.#discover();
    });
  }

  async #discover() {
    const place = byId("discovered");
    const fail = (text) => place.replaceChildren(element("p", { className: "said", textContent: text, data: { state: "failed" } }));
    const url = URL.parse(byId("url").value, location.href);
    if (!url || url.origin !== location.origin) return fail(`Only URLs of ${location.origin} can be fetched from here.`);
    const giveUp = new AbortController();
    const timer = setTimeout(() => giveUp.abort(), 10_000);
    try {
      const response = await fetch(url, { cache: "no-store", signal: giveUp.signal });
      place.replaceChildren(...this.#described(response, await beginning(response)));
    } catch {
      fail("No answer came within ten seconds, or it leads to another origin.");
    } finally {
      clearTimeout(timer);
      giveUp.abort();
    }
  }

  #described(response, body) {
    const type = response.headers.get("Content-Type") ?? "no type";
    const status = element("p", { className: "note", textContent: `${response.status} ${visible(type)}, ${size(body.length)}${body.isCut ? " or more" : ""}` });
    const all = links(fieldText(response.headers.get("Link") ?? ""));
    const hub = all.find((link) => isOf(link, "mercure"));
    const itself = all.find((link) => isOf(link, "self"));
    const rows = all.flatMap(({ target, parameters }) => {
      const more = [...parameters].filter(([name]) => name !== "rel").map(([name, value]) => `; ${name}=${value}`);
      return [
        element("dt", { textContent: visible(parameters.get("rel") ?? "link") }),
        element("dd", { textContent: visible(target + more.join("")) }),
      ];
    });
    const summary = hub ? `Its hub is ${new URL(hub.target, response.url).href}` : "It names no Mercure hub.";
    const parts = [status, element("p", { className: "said", textContent: visible(summary), data: { state: hub ? "good" : "" } })];
    if (rows.length > 0) parts.push(element("dl", {}, ...rows));
    if (hub) {
      // Without a link to itself, a resource is its own topic.
      const topic = new URL(itself?.target ?? response.url, response.url).href;
      const button = element("button", { type: "button", textContent: "Take it as topic" });
      button.addEventListener("click", () => this.onTopic(topic));
      parts.push(element("div", { className: "buttons" }, button));
    }
    if (body.text) parts.push(element("pre", { textContent: visibleLines(pretty(body.text) ?? body.text), tabIndex: 0, ariaLabel: "Content" }));
    return parts;
  }
}

const isOf = ({ parameters }, relation) => (parameters.get("rel") ?? "").toLowerCase().split(/\s+/).includes(relation);

/** The first bytes of a body, as text. A stream gives none before something is published. */
async function beginning(response) {
  const isStream = (response.headers.get("Content-Type") ?? "").startsWith("text/event-stream");
  if (!response.body || isStream) return { text: "", length: 0, isCut: isStream };
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let [text, length, isCut] = ["", 0, false];
  for (let part = await reader.read(); !part.done && !isCut; part = await reader.read()) {
    isCut = length + part.value.length > MOST;
    const taken = part.value.subarray(0, MOST - length);
    length += taken.length;
    text += decoder.decode(taken, { stream: true });
  }
  return { text, length, isCut };
}
