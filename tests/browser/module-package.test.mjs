// The package of clients/js: its size, files and types, and the examples of its page with React and Vue.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

import { launch } from "./chromium.mjs";
import { freePort, Hub } from "./hub.mjs";
import { application, client, contextOf, numbers } from "./module/tabs.mjs";

const run = promisify(execFile);
const folder = fileURLToPath(client);
const here = fileURLToPath(new URL(".", import.meta.url));
const page = readFileSync(new URL("README.md", client), "utf8");
const names = readdirSync(new URL("src", client));
const files = names.map((name) => readFileSync(new URL(`src/${name}`, client), "utf8"));
const TOPIC = "https://example.com/books/1";
let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

const compressed = (text) => gzipSync(text, { level: 9 }).length;
const sum = (all) => all.reduce((a, b) => a + b, 0);

test("the module has less than 6 KiB, minified and compressed, and the page says how much", async () => {
  const entry = (name) => ({ entryPoints: [`${folder}src/${name}`], bundle: true, minify: true, format: "esm", write: false });
  const bundle = async (name) => compressed((await build(entry(name))).outputFiles[0].contents);
  const sizes = [await bundle("index.js"), await bundle("worker.js"), sum(files.map(compressed))];
  console.log(`compressed: the page's bundle ${sizes[0]}, the worker's ${sizes[1]}, all files as shipped ${sizes[2]} bytes`);
  assert.ok(sizes[0] < 6 * 1024, `${sizes}`);
  const shown = sizes.map((size) => (size / 1024).toFixed(1));
  assert.deepEqual(/^Its size: (\S+) KiB .*?, and (\S+) KiB .*?; (\S+) KiB as shipped/ms.exec(page)?.slice(1), shown);
});

test("the package holds its files and depends on nothing", async () => {
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json"], { cwd: folder });
  const packed = JSON.parse(stdout);
  const [listed] = Array.isArray(packed) ? packed : Object.values(packed);
  const sources = names.map((name) => `src/${name}`);
  const others = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "index.d.ts", "package.json"];
  assert.deepEqual(listed.files.map(({ path }) => path).sort(), [...others, ...sources].sort());
  const described = JSON.parse(readFileSync(new URL("package.json", client), "utf8"));
  for (const kind of ["dependencies", "peerDependencies", "scripts"]) assert.equal(described[kind], undefined);
});

test("the types fit what applications write, and the sources", async () => {
  const compiler = ["node_modules/typescript/bin/tsc", "--project", "module/types/tsconfig.json"];
  await run(process.execPath, compiler, { cwd: here });
});

test("importing does nothing, so servers may render", async () => {
  const script = `const before = Reflect.ownKeys(globalThis).length;
    await import(${JSON.stringify(new URL("src/index.js", client).href)});
    if (Reflect.ownKeys(globalThis).length !== before) throw new Error("globals");`;
  await run(process.execPath, ["--input-type=module", "--eval", script]);
});

/** The example of the page below a heading, for the hub at `url`, with what an application adds. */
async function example(heading, url, more) {
  const [, code] = new RegExp(`^## ${heading}\\n\\n\`\`\`\\w+\\n(.*?)^\`\`\``, "ms").exec(page);
  const address = "https://hub.example/.well-known/mercure";
  assert.ok(code.includes(address));
  const module = (builder) =>
    builder.onResolve({ filter: /^talaria-client$/ }, () => ({ path: "/client/index.js", external: true }));
  const define = { "process.env.NODE_ENV": '"development"', __VUE_OPTIONS_API__: "true" };
  const { outputFiles } = await build({
    stdin: { contents: code.replace(address, url) + more, resolveDir: here, loader: "jsx" },
    plugins: [{ name: "module", setup: module }],
    define: { ...define, __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false" },
    jsx: "automatic",
    format: "esm",
    bundle: true,
    write: false,
  });
  return outputFiles[0].text;
}

const APPLICATIONS = {
  React: `
import { StrictMode, useState as useCount } from "react";
import { createRoot } from "react-dom/client";
function Application() {
  const [number, setNumber] = useCount(1);
  window.show = setNumber;
  return number > 0 && <Book iri={"https://example.com/books/" + number} />;
}
createRoot(document.body.appendChild(document.createElement("div"))).render(<StrictMode><Application /></StrictMode>);
window.hub = hub;`,
  Vue: `
import { createApp, h } from "vue";
const Book = {
  props: ["iri"],
  setup(props) {
    const book = useResource(props.iri);
    return () => h("p", book.value ? book.value.title : "no update yet");
  },
};
const number = ref(1);
window.show = (value) => (number.value = value);
const iri = () => "https://example.com/books/" + number.value;
const Application = { render: () => number.value > 0 && h(Book, { iri: iri(), key: iri() }) };
createApp(Application).mount(document.body.appendChild(document.createElement("div")));
window.hub = hub;`,
};

for (const [name, more] of Object.entries(APPLICATIONS)) {
  test(`the example with ${name} shows updates of its resource in every tab`, { timeout: 300_000 }, async (t) => {
    const port = await freePort();
    const script = await example(name, `http://127.0.0.1:${port}/.well-known/mercure`, more);
    const html = '<!doctype html><title>example</title><body><script type="module" src="/example.js"></script>';
    const app = await application({ "/example": () => html, "/example.js": () => script });
    t.after(() => app.close());
    const hub = await Hub.start(t, port, `anonymous\ncors_origins ${app.origin}`);
    const context = await contextOf(t, browser);
    const pages = [];
    for (const _ of numbers(1, 2)) {
      const tab = await context.newPage();
      await tab.goto(`${app.origin}/example`);
      await tab.waitForFunction(() => window.hub?.state === "open");
      pages.push(tab);
    }
    const publish = (number, title) => {
      const iri = `https://example.com/books/${number}`;
      return hub.publish(iri, JSON.stringify({ "@id": iri, title }));
    };
    const shows = (tab, text) => tab.waitForFunction((text) => document.querySelector("p")?.textContent === text, text);
    assert.equal(await pages[0].textContent("p"), "no update yet");
    await publish(1, "one");
    for (const tab of pages) await shows(tab, "one");
    await pages[1].evaluate(() => window.show(2));
    await pages[1].evaluate(() => new Promise((resolve) => setTimeout(resolve)));
    const again = setInterval(() => publish(2, "two").catch(() => {}), 200);
    t.after(() => clearInterval(again));
    await shows(pages[1], "two");
    await publish(1, "three");
    await shows(pages[0], "three");
    assert.equal(await pages[1].textContent("p"), "two");
    await pages[1].evaluate(() => window.show(0));
    await pages[1].waitForFunction(() => !document.querySelector("p"));
  });
}
