// What the page shows: charts and tables, filled from the metrics and the state. Every text is set as text.

import { Chart } from "./chart.js";
import { amount, bytes, seconds, unitOf, visible } from "./figures.js";
import { KEPT } from "./history.js";

const perSecond = (value) => `${amount(value)}/s`;
const percent = (value) => (value === null ? "–" : `${amount(value * 100)} %`);
const percentiles = (key) => ["p50", "p95", "p99"].map((name) => [name, `${key} ${name}`]);

/** Key, title, series by their names in the history, and how values are shown. */
const CHARTS = [
  ["connections", "Connections and streams", [["connections", "connections"], ["streams", "streams"]], amount],
  ["publishes", "Publishes", [["publishes", "publishes"]], perSecond],
  ["deliveries", "Deliveries", [["deliveries", "deliveries"]], perSecond],
  ["publish-time", "Time to acknowledge a publish", percentiles("publish"), seconds],
  ["delivery-time", "Time from stored to handed over", percentiles("delivery"), seconds],
  ["sync-time", "Time of fsync", percentiles("sync"), seconds],
  ["append-time", "Time to store in the shared log", percentiles("append"), seconds],
  ["refusals", "Refusals and disconnects", [["refusals", "refusals"], ["disconnects", "disconnects"]], perSecond],
  ["processor", "Processor", [["cores", "processor"]], percent],
];

const byId = (id) => document.getElementById(id);

/** Fills the body of a table with rows of texts or elements. */
function fill(id, rows, empty) {
  const body = byId(id).tBodies[0];
  body.replaceChildren(
    ...rows.map((cells) => {
      const row = document.createElement("tr");
      row.append(
        ...cells.map((cell, place) => {
          const made = document.createElement(place === 0 ? "th" : "td");
          if (place === 0) made.scope = "row";
          made.append(cell instanceof Node ? cell : visible(cell));
          return made;
        }),
      );
      return row;
    }),
  );
  if (empty) {
    byId(empty).hidden = rows.length > 0;
    byId(id).hidden = rows.length === 0;
  }
}

function gauge(part, label) {
  const meter = document.createElement("meter");
  Object.assign(meter, { min: 0, max: 1, low: 0.6, high: 0.8, optimum: 0, value: part });
  meter.setAttribute("aria-label", label);
  return meter;
}

const yes = (value) => (value === null ? "unknown" : value === 1 ? "survived" : "may lose");

export class View {
  #charts = CHARTS.map(([key, title, series, show]) => {
    const chart = new Chart(key, title, series.map(([name]) => name), show);
    return { chart, series: series.map(([, of]) => of), key };
  });
  /** What was counted by reason when the page was opened. */
  #first = null;

  constructor() {
    byId("lines").append(...this.#charts.map(({ chart }) => chart.figure));
  }

  /** Draws the charts of a history up to a time. */
  draw(history, until) {
    for (const { chart, series, key } of this.#charts) {
      const lists = series.map((name) => history.points(name));
      chart.draw(lists, until - KEPT, until);
      if (key === "append-time") chart.figure.hidden = lists[0].every(([, value]) => value === null);
    }
  }

  /** Fills the tables. */
  show(metrics, state) {
    byId("program").textContent = visible(`version ${state.version}, started ${when(state.started)}`);
    this.#hubs(metrics, state);
    this.#nodes(metrics);
    this.#slow(metrics);
    this.#limits(metrics);
    this.#reasons(metrics);
    fill(
      "of-refusals",
      state.refusals.map(({ at, hub, status, reason, sentence, count }) => [
        when(at), hub ?? "–", status, reason, amount(count), sentence,
      ]),
      "no-refusals",
    );
    this.#topics(state);
  }

  #hubs(metrics, { hubs }) {
    const of = (name, hub) => metrics.sum(name, { hub });
    fill(
      "of-hubs",
      hubs.map(({ name }) => {
        const [floor, newest] = ["floor", "newest"].map((one) => of(`talaria_history_${one}_position`, name));
        return [
          name,
          of("talaria_hub_healthy", name) === 1 ? "ready" : "cannot store updates",
          amount(of("talaria_hub_streams", name)),
          amount(of("talaria_hub_interests", name)),
          amount(newest === null ? null : newest - floor),
          amount(floor),
          amount(newest),
          bytes(of("talaria_history_bytes", name)),
          bytes(of("talaria_ring_bytes", name)),
          amount(of("talaria_history_queue_updates", name)),
        ];
      }),
    );
    const kept = hubs.flatMap(({ name, storage }) => storage.map((text) => `${name}: ${text}`));
    byId("storage").replaceChildren(
      ...kept.map((text) => {
        const item = document.createElement("li");
        item.textContent = visible(text);
        return item;
      }),
    );
  }

  #nodes(metrics) {
    fill(
      "of-nodes",
      metrics.all("talaria_cluster_nodes").map(({ labels, value }) => {
        const of = (name) => metrics.sum(`talaria_cluster_${name}`, { hub: labels.hub });
        return [
          labels.hub,
          amount(value),
          amount(of("lag_positions")),
          bytes(of("log_bytes")),
          amount(of("nodes_buried_total")),
          amount(of("updates_lost_total")),
          amount(of("pages_read_total")),
          yes(of("survives_server_crash")),
          yes(of("survives_failover")),
        ];
      }),
      "no-nodes",
    );
  }

  #slow(metrics) {
    const ended = (reason) => metrics.sum("talaria_hub_disconnects_total", { reason });
    const rows = [
      ["took nothing for dispatch_timeout", amount(ended("slow"))],
      ["blocked their HTTP/2 connection", amount(ended("connection_cut"))],
      ["were passed by the log", amount(ended("log_passed"))],
      ["dispatch_timeout", seconds(metrics.sum("talaria_limit_bound", { limit: "dispatch_timeout" }))],
      ["lists of new updates, at most", bytes(metrics.sum("talaria_hub_lane_bytes"))],
    ];
    byId("of-slow").replaceChildren(
      ...rows.flatMap(([term, value]) => {
        const [name, shown] = [document.createElement("dt"), document.createElement("dd")];
        [name.textContent, shown.textContent] = [term, value];
        return [name, shown];
      }),
    );
  }

  #limits(metrics) {
    const rows = metrics.all("talaria_limit_bound").map(({ labels, value: bound }) => {
      const { limit, hub } = labels;
      const own = (series) => series.labels.limit === limit && series.labels.hub === hub;
      const one = (name) => metrics.all(name).find(own)?.value ?? null;
      const used = one("talaria_limit_used");
      const part = used === null || !(bound > 0) ? null : used / bound;
      return { limit, hub, used, bound, part, refused: one("talaria_limit_refusals_total") };
    });
    rows.sort((one, other) => (other.part ?? -1) - (one.part ?? -1) || one.limit.localeCompare(other.limit));
    fill(
      "of-limits",
      rows.map(({ limit, hub, used, bound, part, refused }) => {
        const show = unitOf(limit);
        const full = part === null ? "–" : gauge(part, `${limit} is ${percent(part)} full`);
        return [limit, hub ?? "all", show(used), show(bound), full, amount(refused)];
      }),
    );
  }

  #reasons(metrics) {
    const counted = [
      ["refused by a hub", "talaria_hub_refusals_total"],
      ["refused before a site", "talaria_requests_refused_total"],
      ["connection refused", "talaria_connections_refused_total"],
      ["disconnected", "talaria_hub_disconnects_total"],
    ].flatMap(([what, name]) => [...metrics.by(name, "reason")].map(([reason, count]) => ({ what, reason, count })));
    const key = ({ what, reason }) => `${what} ${reason}`;
    this.#first ??= new Map(counted.map((row) => [key(row), row.count]));
    const rows = counted.filter(({ count }) => count > 0).sort((one, other) => other.count - one.count);
    // After a restart of the hub the counts are less than at first.
    const since = (row) => Math.max(0, row.count - (this.#first.get(key(row)) ?? 0));
    fill(
      "of-reasons",
      rows.map((row) => [row.what, row.reason, amount(row.count), amount(since(row))]),
      "no-reasons",
    );
  }

  #topics({ hubs }) {
    const counting = hubs.filter(({ busiest }) => busiest !== null);
    const rows = counting.flatMap(({ name, busiest }) => {
      const span = Math.max(busiest.seconds, 1);
      return busiest.topics.map(({ topic, count, error }) => [
        name, topic, amount(count), amount(count - error), perSecond(count / span),
      ]);
    });
    byId("no-topics").textContent =
      counting.length > 0
        ? "Nothing was published in the last minutes."
        : "No hub counts topics. Write busiest_topics in its mercure block to see which are published to most.";
    fill("of-topics", rows, "no-topics");
  }
}

/** A time in seconds since 1970, as this browser writes it. */
function when(time) {
  return new Date(time * 1000).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
}
