/**
 * Reads a text/event-stream by the rules of WHATWG HTML. Returns a function that takes the text in pieces.
 *
 * @param {{ event(event: { id: string, type: string, data?: string }): void, comment?(): void, retry?(ms: number): void }} on
 *   `event` is told of every block; without data it only moves the last event id.
 */
export function parser(on) {
  let rest = "";
  let afterReturn = false;
  let id = "";
  let type = "";
  let data = [];
  const field = (name, value) => {
    if (name === "data") data.push(value);
    else if (name === "event") type = value;
    else if (name === "id" && !value.includes("\0")) id = value;
    else if (name === "retry" && /^\d+$/.test(value)) on.retry?.(Number(value));
  };
  const line = (text) => {
    if (text === "") {
      on.event({ id, type: type || "message", data: data.length ? data.join("\n") : undefined });
      type = "";
      data = [];
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) on.comment?.();
    else if (colon < 0) field(text, "");
    else field(text.slice(0, colon), text.slice(text[colon + 1] === " " ? colon + 2 : colon + 1));
  };
  return (text) => {
    if (text === "") return;
    const lines = (afterReturn && text[0] === "\n" ? text.slice(1) : text).split(/\r\n?|\n/);
    afterReturn = text.endsWith("\r");
    lines[0] = rest + lines[0];
    rest = lines.pop();
    lines.forEach(line);
  };
}
