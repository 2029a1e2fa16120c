// docs/tutorial.md in a browser: the page of the tutorial shows the price that its backend publishes.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { launch } from "./chromium.mjs";
import { freePort, keys, program, within } from "./hub.mjs";

const run = promisify(execFile);
const tutorial = readFileSync(new URL("../../docs/tutorial.md", import.meta.url), "utf8");

/** Writes the files of the tutorial, with another port, into a new folder. */
function write(port) {
  const folder = mkdtempSync(join(tmpdir(), "talaria-tutorial-"));
  for (const [, name, text] of tutorial.matchAll(/^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$/gms)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text.replaceAll("3000", port));
  }
  return folder;
}

test("the page of the tutorial shows the price that its backend publishes", { timeout: 120_000 }, async (t) => {
  const port = await freePort();
  const folder = write(port);
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    CADDY_ADMIN: "off",
    PUBLISHER_KEY: keys.publisher,
    SUBSCRIBER_KEY: keys.subscriber,
  };
  const hub = spawn(program, ["run"], { cwd: folder, env, stdio: "ignore" });
  t.after(() => {
    hub.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  const browser = await launch();
  t.after(() => browser.close());
  const page = await browser.newPage();
  const opened = async () => {
    while (!(await page.goto(`http://localhost:${port}/`).catch(() => undefined))?.ok());
  };
  await within("the hub to serve the page", opened());
  assert.equal(await page.textContent("#price"), "?");
  // The stream may begin after the first publish, so the price changes until the page shows it.
  for (let price = 1; (await page.textContent("#price")) === "?"; price += 1) {
    await run("node", ["publish.mjs", `${price}`], { cwd: folder, env });
  }
  for (const [command, file, price] of [
    ["node", "publish.mjs", "1012"],
    ["php", "publish.php", "1013"],
    ["python3", "publish.py", "1014"],
  ]) {
    await run(command, [file, price], { cwd: folder, env });
    await page.waitForFunction((price) => document.querySelector("#price").textContent === price, price);
  }
});
