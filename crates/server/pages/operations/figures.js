// What is computed from samples, and how numbers and texts are shown. Pure functions.

/** The growth of a counter within seconds, for each of them; `null` without two values, and after a restart. */
export function rate(newer, older, seconds) {
  if (newer === null || older === null || newer < older || !(seconds > 0)) return null;
  return (newer - older) / seconds;
}

/**
 * The quantile of what a histogram observed between two reads of its cumulative buckets, linear within a bucket as
 * Prometheus computes it; `null` if it observed nothing. Beyond the last bound it is that bound.
 */
export function quantile(newer, older, share) {
  const before = new Map(older);
  const counts = newer.map(([bound, count]) => [bound, count - (before.get(bound) ?? 0)]);
  const total = counts.at(-1)?.[1] ?? 0;
  if (!(total > 0) || counts.some(([, count]) => count < 0)) return null;
  const rank = share * total;
  let [lower, below] = [0, 0];
  for (const [bound, count] of counts) {
    if (count >= rank && count > below) {
      if (bound === Infinity) return lower;
      return lower + ((bound - lower) * (rank - below)) / (count - below);
    }
    [lower, below] = [bound === Infinity ? lower : bound, count];
  }
  return lower;
}

/** A number with at most three digits that count, and a letter for thousands and more. */
export function amount(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return "∞";
  for (const [size, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (Math.abs(value) >= size) return `${trimmed(value / (letter === "k" ? 1e3 : size))} ${letter}`;
  }
  return Number.isInteger(value) ? String(value) : trimmed(value);
}

function trimmed(value) {
  return String(Number(value.toPrecision(3)));
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let place = 0;
  while (value >= 1024 && place < units.length - 1) [value, place] = [value / 1024, place + 1];
  return `${trimmed(value)} ${units[place]}`;
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0 s";
  if (value < 0.001) return `${trimmed(value * 1e6)} µs`;
  if (value < 1) return `${trimmed(value * 1e3)} ms`;
  if (value < 120) return `${trimmed(value)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  return value < 172_800 ? `${Math.round(value / 3600)} h` : `${Math.round(value / 86_400)} d`;
}

/** The unit of a limit, by the name of its directive. */
export function unitOf(limit) {
  if (/timeout/.test(limit)) return seconds;
  if (/memory|size|bytes|subscription_events/.test(limit) && !/topics|fields/.test(limit)) return bytes;
  return amount;
}

/** A text with its control and format characters escaped, so that none of them hides or turns others. */
export function visible(text) {
  return String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}
