// What the operations view computes, without a browser: the modules that the hub embeds.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ceiling, runs } from "../../crates/server/pages/operations/chart.js";
import { amount, bytes, quantile, rate, seconds, unitOf, visible } from "../../crates/server/pages/operations/figures.js";
import { History } from "../../crates/server/pages/operations/history.js";
import { Metrics } from "../../crates/server/pages/operations/metrics.js";

test("the metrics are read strictly", () => {
  const page = new Metrics(
    '# TYPE a_total counter\na_total{hub="x\\"\\\\\\n",reason="r"} 3\na_total{hub="y",reason="r"} 4.5\nb 1\nc_bucket{le="+Inf"} 7\nc_bucket{le="0.5"} 2\n',
  );
  assert.equal(page.sum("a_total"), 7.5);
  assert.equal(page.sum("a_total", { hub: 'x"\\\n' }), 3);
  assert.equal(page.sum("missing"), null);
  assert.deepEqual([...page.by("a_total", "reason")], [["r", 7.5]]);
  assert.deepEqual(page.buckets("c"), [[0.5, 2], [Infinity, 7]]);
  for (const wrong of ["a", "a one", 'a{b="c} 1', "a{b} 1", "<html>", 'a{b="c"}1']) {
    assert.throws(() => new Metrics(wrong), /metrics/, wrong);
  }
});

test("percentiles are linear within a bucket, and none without observations or after a restart", () => {
  const older = [[1, 10], [2, 10], [Infinity, 10]];
  const newer = [[1, 60], [2, 100], [Infinity, 110]];
  for (const [share, expected] of [[0.25, 0.5], [0.5, 1], [0.7, 1.5], [0.9, 2], [0.99, 2]]) {
    assert.ok(Math.abs(quantile(newer, older, share) - expected) < 1e-9, `${share}`);
  }
  assert.equal(quantile(older, older, 0.5), null);
  assert.equal(quantile(older, newer, 0.5), null);
  assert.equal(quantile([], [], 0.5), null);
  assert.equal(rate(30, 10, 2), 10);
  assert.equal(rate(1, 10, 2), null);
  assert.equal(rate(null, 10, 2), null);
});

test("values are short, and control characters show", () => {
  assert.deepEqual([0, 9999, 12_345, 250_000, 1e6, 1 / 3, null, Infinity].map(amount), [
    "0", "9999", "12.3 k", "250 k", "1 M", "0.333", "–", "∞",
  ]);
  assert.equal(bytes(268_435_456), "256 MiB");
  assert.deepEqual([0, 0.00025, 0.0125, 5, 600, 90_000].map(seconds), ["0 s", "250 µs", "12.5 ms", "5 s", "10 min", "25 h"]);
  assert.equal(unitOf("max_matcher_memory")(1024), "1 KiB");
  assert.equal(unitOf("dispatch_timeout")(5), "5 s");
  assert.equal(unitOf("max_streams")(2048), "2048");
  assert.equal(visible("<b>\u001b[2J\u202e</b>\n"), "<b>\\u{1b}[2J\\u{202e}</b>\\u{a}");
});

test("a line has gaps where there is no value, and the top is a round number", () => {
  assert.deepEqual([0, 0.7, 1, 3, 11, 200].map(ceiling), [1, 1, 1, 5, 20, 200]);
  assert.deepEqual(runs([[0, 1], [10, 2], [20, null], [30, 4]], 10, 110, 4), ["0.0,40.0", "60.0,0.0"]);
});

test("the history is bounded, and begins anew after a restart", () => {
  const history = new History();
  const read = (started, count) =>
    new Metrics(
      `process_start_time_seconds ${started}\ntalaria_hub_publishes_total ${count}\ntalaria_hub_publish_duration_seconds_bucket{le="1"} ${count}\ntalaria_hub_publish_duration_seconds_bucket{le="+Inf"} ${count}\n`,
    );
  for (let turn = 0; turn < 1000; turn += 1) history.add(read(1, turn * 4), turn * 2);
  assert.equal(history.length, 300);
  assert.deepEqual(history.points("publishes").at(-1), [1998, 2]);
  assert.deepEqual(history.points("publish p50").at(-1), [1998, 0.5]);
  history.miss(2000);
  assert.deepEqual(history.points("publishes").at(-1), [2000, null]);
  // The rate after a gap is that since the last answer.
  history.add(read(1, 4_008), 2002);
  assert.deepEqual(history.points("publishes").at(-1), [2002, 3]);
  history.add(read(2, 0), 2004);
  assert.equal(history.length, 1);
});
