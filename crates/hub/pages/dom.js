// The page's elements. Text from outside is set as text, never as markup.

export const byId = (id) => document.getElementById(id);

/** Makes an element with these properties and children. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  const { data = {}, ...others } = properties;
  Object.assign(made, others);
  Object.assign(made.dataset, data);
  made.append(...children);
  return made;
}

/** What is not seen: controls, formats (but not the joiner within an emoji), separators, halves of pairs. */
const UNSEEN = /(?<!\p{Extended_Pictographic}\ufe0f?)\u200d|(?!\u200d)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Shows what a browser would hide or obey, such as controls and marks that turn the direction of text. */
export function visible(text) {
  return text.replace(UNSEEN, (found) => {
    const code = found.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    return code === 0x7f ? "\u2421" : `\\u{${code.toString(16).toUpperCase()}}`;
  });
}

/** As `visible`, but lines and tabs stay. */
export const visibleLines = (text) =>
  text
    .split("\n")
    .map((line) => line.split("\t").map(visible).join("\t"))
    .join("\n");

/** Says something at a place: what went wrong, or what was done. */
export function say(place, text, state = "") {
  place.textContent = visibleLines(text);
  place.dataset.state = state;
}

/** Copies text, and says so on the button that asked for it. */
export async function copy(text, button) {
  const label = (button.dataset.label ??= button.textContent);
  const done = await copied(text);
  button.textContent = done ? "Copied" : "Not copied";
  setTimeout(() => (button.textContent = label), 1500);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedBySelection(text);
  }
}

/** Without TLS, browsers have no clipboard for scripts, but copy what is selected. */
function copiedBySelection(text) {
  const field = element("textarea", { value: text, className: "hidden" });
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return done;
}

/** The lines of a field that are not empty. */
export const lines = (text) => text.split(/\r?\n/).filter((line) => line !== "");

/** A size in the unit that a reader takes in at once. */
export function size(bytes) {
  return bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KiB`;
}
