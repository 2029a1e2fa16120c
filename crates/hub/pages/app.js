// The page: puts its parts together.

import { Discovery } from "./discover.js";
import { byId, say } from "./dom.js";
import { Access, loadFacts } from "./hub.js";
import { Inspector } from "./inspector.js";
import { Publisher } from "./publish.js";
import { Subscription } from "./subscribe.js";
import { ActiveSubscriptions } from "./subscriptions.js";
import { Updates } from "./updates.js";

const access = new Access();
const publisher = new Publisher(access);
const updates = new Updates((id) => {
  byId("last-event-id").value = id;
  byId("last-event-id").focus();
});
new Subscription(access, (event) => updates.add(event));
new ActiveSubscriptions(access);
const inspector = new Inspector();
new Discovery((topic) => {
  byId("topics").value = topic;
  document.querySelector('input[name="matcher"][value="match"]').checked = true;
  byId("topics").focus();
});

function readToken() {
  access.token = byId("token").value.trim();
  access.carrier = document.querySelector('input[name="carrier"]:checked').value;
  inspector.show(access.token);
  publisher.show();
}

async function newToken() {
  const response = await fetch("playground-token", { cache: "no-store" });
  if (!response.ok) return;
  byId("token").value = await response.text();
  readToken();
}

/** What a visitor of a playground can press Subscribe and Publish with. */
function fillIn(resources) {
  const topic = new URL(`${resources}books/1.jsonld`, location.href);
  const book = { "@id": topic.pathname, title: "The Odyssey", stock: 3 };
  byId("topics").value = topic.href;
  byId("publish-topics").value = topic.href;
  byId("data").value = JSON.stringify(book, null, 2);
  topic.searchParams.set("body", JSON.stringify(book));
  byId("url").value = topic.pathname + topic.search;
}

async function begin() {
  try {
    const facts = await loadFacts();
    access.learn(facts);
    inspector.learn(facts);
    byId("selector").hidden = !facts.generations.includes("0.x");
    byId("watch").disabled = !facts.subscriptions;
    if (!facts.subscriptions) say(byId("active-said"), "This hub does not announce subscriptions: `subscriptions` is off.");
    if (facts.resources) fillIn(facts.resources);
    if (facts.playground) {
      byId("mode").textContent = "playground";
      document.title = "Playground · Talaria";
      byId("banner").hidden = false;
      byId("token-new").hidden = false;
      await newToken();
    }
  } catch (error) {
    byId("trouble").hidden = false;
    byId("trouble").textContent = `The page could not read what the hub says of itself. ${error.message}`;
  }
  readToken();
}

byId("token").addEventListener("input", readToken);
for (const carrier of document.querySelectorAll('input[name="carrier"]')) carrier.addEventListener("change", readToken);
byId("token-new").addEventListener("click", newToken);
byId("token-clear").addEventListener("click", () => {
  byId("token").value = "";
  readToken();
});
byId("theme").addEventListener("change", ({ target }) => {
  document.documentElement.dataset.theme = target.value;
});

await begin();
document.documentElement.dataset.ready = "";
