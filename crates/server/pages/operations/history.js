// The bounded history of what is read from the metrics.

import { quantile, rate } from "./figures.js";

/** The seconds that are kept, and those over which a percentile is computed. */
export const KEPT = 600;
const RECENT = 15;

const GAUGES = { connections: "talaria_connections", streams: "talaria_hub_streams" };
const COUNTERS = {
  publishes: ["talaria_hub_publishes_total"],
  deliveries: ["talaria_hub_deliveries_total"],
  refusals: ["talaria_hub_refusals_total", "talaria_requests_refused_total", "talaria_connections_refused_total"],
  disconnects: ["talaria_hub_disconnects_total"],
  processor: ["process_cpu_seconds_total"],
};
const HISTOGRAMS = {
  publish: "talaria_hub_publish_duration_seconds",
  delivery: "talaria_hub_delivery_delay_seconds",
  sync: "talaria_history_sync_duration_seconds",
  append: "talaria_cluster_append_duration_seconds",
};
const QUANTILES = { p50: 0.5, p95: 0.95, p99: 0.99 };

const mapped = (names, value) => Object.fromEntries(Object.entries(names).map(([key, name]) => [key, value(name)]));

/** The sum of several names; `null` if none has a series. */
function total(metrics, names) {
  const sums = names.map((name) => metrics.sum(name)).filter((sum) => sum !== null);
  return sums.length === 0 ? null : sums.reduce((sum, one) => sum + one, 0);
}

export class History {
  #samples = [];
  #started = null;

  /** Adds what a page of metrics says at a time in seconds; forgets what is too old, and all of it after a restart. */
  add(metrics, time) {
    const started = metrics.sum("process_start_time_seconds");
    if (started !== this.#started) [this.#samples, this.#started] = [[], started];
    const sample = {
      time,
      counters: mapped(COUNTERS, (names) => total(metrics, names)),
      buckets: mapped(HISTOGRAMS, (name) => metrics.buckets(name)),
    };
    const older = this.#samples.findLast(({ counters }) => counters !== null);
    // Where a tab is seldom let to run, the last read may be older.
    const basis = this.#samples.find((known) => known.buckets !== null && known.time >= time - RECENT) ?? older;
    sample.points = {
      ...mapped(GAUGES, (name) => metrics.sum(name)),
      ...Object.fromEntries(
        Object.entries(sample.counters).map(([key, value]) => [
          key,
          older ? rate(value, older.counters[key], time - older.time) : null,
        ]),
      ),
    };
    for (const key of Object.keys(HISTOGRAMS)) {
      for (const [name, share] of Object.entries(QUANTILES)) {
        const value = basis ? quantile(sample.buckets[key], basis.buckets[key], share) : null;
        sample.points[`${key} ${name}`] = value;
      }
    }
    // Only the samples that a percentile may begin with need their buckets.
    for (const known of this.#samples) if (known.time < time - RECENT) known.buckets = null;
    this.#samples.push(sample);
    this.#forget(time);
  }

  #forget(time) {
    this.#samples = this.#samples.filter((known) => known.time > time - KEPT);
  }

  /** Marks that the hub did not answer at a time, so that the lines have a gap. */
  miss(time) {
    this.#samples.push({ time, counters: null, buckets: null, points: {} });
    this.#forget(time);
  }

  /** The points of a series. */
  points(key) {
    return this.#samples.map(({ time, points }) => [time, points[key] ?? null]);
  }

  get length() {
    return this.#samples.length;
  }
}
