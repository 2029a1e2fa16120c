// The form that publishes, and the command that does the same.

import { byId, copy, lines, say, visibleLines } from "./dom.js";
import { Unsendable, hubUrl, sentence } from "./hub.js";

export class Publisher {
  constructor(access) {
    this.access = access;
    const form = byId("publish");
    form.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      this.#publish();
    });
    form.addEventListener("input", () => this.show());
    byId("curl-copy").addEventListener("click", ({ target }) => copy(this.command(), target));
  }

  /** Shows the command for what the form says now. */
  show() {
    byId("curl").textContent = visibleLines(this.command());
  }

  /** The fields of each request: one for all topics, or one for each. */
  #requests() {
    const topics = lines(byId("publish-topics").value);
    const groups = byId("lines").value === "each" ? topics.map((topic) => [topic]) : [topics];
    const others = ["id", "type", "retry"]
      .map((name) => [name, byId(name).value])
      .filter(([, value]) => value !== "");
    const hidden = byId("private").checked ? [["private", "on"]] : [];
    return groups.map((group) => [
      ...group.map((topic) => ["topic", topic]),
      ["data", byId("data").value],
      ...others,
      ...hidden,
    ]);
  }

  async #publish() {
    if (lines(byId("publish-topics").value).length === 0) {
      say(byId("publish-said"), "Name at least one topic.", "failed");
      return byId("publish-topics").focus();
    }
    say(byId("publish-said"), "Publishing …");
    const done = [];
    try {
      for (const fields of this.#requests()) {
        const response = await this.access.ask(hubUrl, { method: "POST", body: new URLSearchParams(fields) });
        if (!response.ok) return say(byId("publish-said"), [...done, await sentence(response)].join("\n"), "failed");
        done.push(`Published ${(await response.text()).trim()}`);
      }
      say(byId("publish-said"), done.join("\n"), "good");
    } catch (error) {
      const why = error instanceof Unsendable ? error.message : "The hub cannot be reached, so the outcome is unknown.";
      say(byId("publish-said"), [...done, why].join("\n"), "failed");
    }
  }

  /** The same requests for a shell. */
  command() {
    return this.#requests()
      .map((fields) =>
        [
          "curl",
          ...this.#credentials(),
          ...fields.map(([name, value]) => `--data-urlencode ${quoted(`${name}=${value}`)}`),
          quoted(hubUrl),
        ].join(" \\\n  "),
      )
      .join("\n");
  }

  #credentials() {
    const { token, carrier, cookieName } = this.access;
    if (!token) return [];
    if (carrier === "header") return ['--header "Authorization: Bearer $TOKEN"'];
    return [`--cookie "${cookieName}=$TOKEN"`, `--header ${quoted(`Origin: ${location.origin}`)}`];
  }
}

/** Text as one word of a shell. Bash and zsh read `$'…'`, where control characters can be written. */
function quoted(text) {
  if (!/[\0-\x1f\x7f]/.test(text)) return `'${text.replaceAll("'", "'\\''")}'`;
  const escaped = text.replace(/[\0-\x1f\x7f\\']/g, (char) =>
    char === "\\" || char === "'" ? `\\${char}` : char === "\n" ? "\\n" : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `$'${escaped}'`;
}
