// Reads the text format of Prometheus, as far as the hub writes it.

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)/;
const ESCAPES = { n: "\n", '"': '"', "\\": "\\" };

/** The labels of a series, as an object without a prototype, because names may be any. */
function labelsOf(text) {
  const labels = Object.create(null);
  let rest = text;
  while (rest !== "") {
    const label = LABEL.exec(rest);
    if (!label) throw new Error("a label of the metrics is malformed");
    labels[label[1]] = label[2].replace(/\\(.)/g, (whole, letter) => ESCAPES[letter] ?? whole);
    rest = rest.slice(label[0].length);
  }
  return labels;
}

function numberOf(text) {
  const named = { "+Inf": Infinity, "-Inf": -Infinity, NaN };
  const value = Object.hasOwn(named, text) ? named[text] : Number(text);
  if (Number.isNaN(value) && text !== "NaN") throw new Error("a value of the metrics is not a number");
  return value;
}

/** The series of a page, by their names. */
export class Metrics {
  #series = new Map();

  constructor(text) {
    for (const line of text.split("\n")) {
      if (line === "" || line.startsWith("#")) continue;
      const sample = SAMPLE.exec(line);
      if (!sample) throw new Error("a line of the metrics is malformed");
      const [, name, labels = "", value] = sample;
      if (!this.#series.has(name)) this.#series.set(name, []);
      this.#series.get(name).push({ labels: labelsOf(labels), value: numberOf(value) });
    }
  }

  /** The series of a name that have all of these labels. */
  all(name, labels = {}) {
    const wanted = Object.entries(labels);
    const known = this.#series.get(name) ?? [];
    return known.filter((series) => wanted.every(([label, value]) => series.labels[label] === value));
  }

  /** Their sum; `null` if there is none. */
  sum(name, labels) {
    const all = this.all(name, labels);
    return all.length === 0 ? null : all.reduce((sum, { value }) => sum + value, 0);
  }

  /** The sums by a label, as a map. */
  by(name, label) {
    const sums = new Map();
    for (const { labels, value } of this.all(name)) {
      sums.set(labels[label] ?? "", (sums.get(labels[label] ?? "") ?? 0) + value);
    }
    return sums;
  }

  /** The cumulative counts of a histogram over all its series, as pairs of bound and count. */
  buckets(name) {
    const counts = new Map();
    for (const { labels, value } of this.all(`${name}_bucket`)) {
      const bound = numberOf(labels.le ?? "+Inf");
      counts.set(bound, (counts.get(bound) ?? 0) + value);
    }
    return [...counts].sort(([one], [other]) => one - other);
  }
}
