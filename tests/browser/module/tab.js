// A tab of the tests: subscribes as its address says, and keeps what it received across reloads.
import { connect } from "/client/index.js";

const { url, topics = [], options, mints, subscribe } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const token = mints ? async ({ refused }) => window.mint(refused) : undefined;
const seen = JSON.parse(sessionStorage.getItem("seen") ?? "[]");
const record = ({ data }) => {
  seen.push(data);
  sessionStorage.setItem("seen", JSON.stringify(seen));
};

const hub = connect(url, { ...options, token });
Object.assign(window, { hub, record, seen, losses: [], failures: [] });
hub.onloss = (loss) => window.losses.push(loss);
hub.onerror = (failure) => window.failures.push(failure);
if (topics.length) window.subscription = hub.subscribe(topics, record, subscribe);
