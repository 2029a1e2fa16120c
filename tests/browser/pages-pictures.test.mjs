// The pictures of docs/debugger.md. With RENEW=1 they are made anew.

import { mkdirSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { launch } from "./chromium.mjs";
import { lists, openDebugger, publish, reads, startHub } from "./page.mjs";

const folder = new URL("../../docs/images/", import.meta.url);
/** The look of each picture, and the place of the page that it shows. */
const PICTURES = {
  "playground-light": ["light, wide", { width: 1280, height: 1060 }, "body"],
  "playground-dark": ["dark, wide", { width: 1280, height: 1060 }, "body"],
  "playground-phone": ["light, phone", { width: 390, height: 780 }, "#updates"],
};
let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

for (const [name, [look, viewport, place]] of Object.entries(PICTURES)) {
  test(`the picture ${name}`, { timeout: 120_000 }, async (t) => {
    const hub = await startHub(t, "playground\ntransport memory");
    const page = await openDebugger(t, browser, hub, look, { viewport });
    await page.click("#subscribe button[type=submit]");
    await reads(page, "#connection", "Connected");
    await page.click("#watch");
    await page.waitForSelector("#active tr");
    const topics = await page.inputValue("#publish-topics");
    await publish(page, { topics, data: '{"title":"The Odyssey","stock":3}', type: "added" });
    await publish(page, { topics, data: '{"title":"The Odyssey","stock":2}', type: "sold", retry: "3000" });
    await publish(page, { topics, data: "closed for today" });
    await lists(page, 3);
    await page.click("#list > li:nth-child(2) summary");
    await page.waitForSelector("#list pre");
    await page.evaluate((place) => {
      document.activeElement.blur();
      document.querySelector(place).scrollIntoView();
    }, place);
    const picture = await page.screenshot();
    if (!process.env.RENEW) return;
    mkdirSync(folder, { recursive: true });
    writeFileSync(new URL(`${name}.png`, folder), picture);
  });
}
