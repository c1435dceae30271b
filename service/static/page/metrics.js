// Prometheus's text in, counts out; and what two scrapes say of the time between them.

// A map of metric name to its samples, [{ labels, value }].
export function parseMetrics(text) {
  const metrics = new Map();
  for (const line of text.split("\n")) {
    const found = line.match(/^(\w+)(?:\{(.*)\})? (\S+)$/);
    if (!found) continue;
    const [, name, labels, value] = found;
    if (!metrics.has(name)) metrics.set(name, []);
    metrics.get(name).push({ labels: parseLabels(labels ?? ""), value: Number(value) });
  }
  return metrics;
}

// The sums of a metric's samples by one label, of those that `filter` takes.
export function sums(metrics, name, label, filter = () => true) {
  const totals = new Map();
  for (const { labels, value } of metrics.get(name) ?? []) {
    if (filter(labels)) totals.set(labels[label], (totals.get(labels[label]) ?? 0) + value);
  }
  return totals;
}

// What was added to each sum between two of them; a service that started anew counts from 0.
export function added(newer, older) {
  const pairs = [...newer].map(([key, value]) => [key, value - (older.get(key) ?? 0)]);
  return pairs.some(([, value]) => value < 0) ? newer : new Map(pairs);
}

export function total(counts) {
  return [...counts.values()].reduce((one, other) => one + other, 0);
}

// The quantile of a histogram's cumulative counts by upper bound, as Prometheus estimates it; NaN where it is empty.
export function quantile(share, buckets) {
  const bounds = [...buckets].map(([bound, count]) => [Number(bound.replace("+Inf", "Infinity")), count]);
  bounds.sort(([one], [other]) => one - other);
  const rank = share * (bounds.at(-1)?.[1] ?? 0);
  let [lower, below] = [0, 0];
  for (const [bound, count] of bounds) {
    if (rank > 0 && count >= rank) {
      return bound === Infinity ? lower : lower + ((bound - lower) * (rank - below)) / (count - below);
    }
    [lower, below] = [bound, count];
  }
  return NaN;
}

function parseLabels(text) {
  const pairs = [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
  return Object.fromEntries(pairs.map(([, name, value]) => [name, unescape(value)]));
}

function unescape(value) {
  return value.replace(/\\(.)/g, (_, character) => (character === "n" ? "\n" : character));
}
