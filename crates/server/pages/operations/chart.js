// A line chart of the last minutes, drawn as SVG: one polyline for each series, and the newest value as text.

const NAMESPACE = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [300, 80];

function element(name, attributes = {}) {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

/** The least of 1, 2, 5, 10, 20, … times a power of ten that is not below a value. */
export function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999999) ?? value;
}

/**
 * The points of the runs of a series without gaps, as attributes of polylines. Points are pairs of time and value; a
 * value of `null` is a gap.
 */
export function runs(points, from, until, top) {
  const runs = [[]];
  for (const [time, value] of points) {
    if (time < from) continue;
    if (value === null) {
      runs.push([]);
      continue;
    }
    const x = ((time - from) / (until - from)) * WIDTH;
    const y = HEIGHT - (Math.min(value, top) / top) * HEIGHT;
    runs.at(-1).push(`${x.toFixed(1)},${y.toFixed(1)}`);
  }
  return runs.filter((run) => run.length > 0).map((run) => run.join(" "));
}

/** A chart in a `figure` with its title, legend and newest values. */
export class Chart {
  #svg = element("svg", { viewBox: `0 -4 ${WIDTH} ${HEIGHT + 8}`, preserveAspectRatio: "none", role: "img" });
  #top = document.createElement("span");
  #legend;
  #show;
  #title;

  /** `series` are names, `show` writes a value. */
  constructor(key, title, series, show) {
    this.figure = document.createElement("figure");
    this.figure.dataset.chart = key;
    const caption = document.createElement("figcaption");
    caption.textContent = title;
    const legend = document.createElement("p");
    this.#legend = series.map((name, place) => {
      const value = document.createElement("output");
      value.dataset.series = name;
      const label = document.createElement("span");
      label.className = `line line-${place}`;
      label.textContent = name;
      legend.append(label, " ", value, " ");
      return { name, value };
    });
    this.#top.className = "top";
    this.figure.append(caption, legend, this.#top, this.#svg);
    [this.#show, this.#title] = [show, title];
  }

  /** Draws lists of points, one for each series, between two times. */
  draw(lists, from, until) {
    const values = lists.flat().filter(([time, value]) => time >= from && value !== null);
    const top = ceiling(Math.max(0, ...values.map(([, value]) => value)));
    this.#top.textContent = this.#show(top);
    const lines = lists.flatMap((points, place) =>
      runs(points, from, until, top).map((line) =>
        // A single point is shown as a short line.
        element("polyline", { class: `line-${place}`, points: line.includes(" ") ? line : `${line} ${line}` }),
      ),
    );
    this.#svg.replaceChildren(
      ...[0, HEIGHT / 2, HEIGHT].map((y) => element("line", { class: "grid", x1: 0, x2: WIDTH, y1: y, y2: y })),
      ...lines,
    );
    const newest = lists.map((points, place) => {
      const { name, value } = this.#legend[place];
      const shown = this.#show(points.at(-1)?.[1] ?? null);
      value.textContent = shown;
      return `${name} ${shown}`;
    });
    this.#svg.setAttribute("aria-label", `${this.#title}, now: ${newest.join(", ")}`);
  }
}
