// What the service does now: its metrics, scraped every other second while anybody looks.

import { call, Refusal } from "./api.js";
import { drawBars } from "./bars.js";
import { drawChart } from "./chart.js";
import { added, parseMetrics, quantile, sums, total } from "./metrics.js";

const SECONDS = 2; // between scrapes
const WINDOW = 5; // scrapes that the figures reach back
const SLOTS = 150; // scrapes that the charts show, five minutes
const MOST_SHARES = 10;
const STAGES = ["read", "queue", "decode", "infer"];
const QUANTILES = { p50: 0.5, p95: 0.95, p99: 0.99 };

const view = document.getElementById("view-live");
const problem = document.getElementById("problem");
let scrapes = []; // oldest first
let points = []; // what the charts show of each

export function startLive() {
  document.getElementById("window").textContent = `${SECONDS * WINDOW} seconds`;
  scrape();
}

async function scrape() {
  try {
    if (!view.hidden && !document.hidden) await look();
  } finally {
    setTimeout(scrape, 1000 * SECONDS);
  }
}

async function look() {
  try {
    const text = await (await call("metrics")).text();
    note(parseMetrics(text));
    problem.hidden = true;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    problem.textContent = error.message;
    problem.hidden = false;
  }
}

function note(metrics) {
  const scraped = { at: performance.now() / 1000, metrics };
  const before = scrapes.at(-Math.min(WINDOW, scrapes.length)) ?? scraped;
  scrapes = [...scrapes, scraped].slice(-SLOTS);
  const point = between(before, scraped);
  points = [...points, point].slice(-SLOTS);
  showTiles(point, metrics);
  showCharts();
  showStages(before, scraped);
  showShares(scrapes[0].metrics, metrics);
}

// Rates per second and latencies in milliseconds of classify calls between two scrapes.
function between(older, newer) {
  const seconds = Math.max(newer.at - older.at, 1e-3);
  const statuses = counted(older, newer, "glimpse_requests_total", "status", isClassify);
  const buckets = counted(older, newer, "glimpse_request_seconds_bucket", "le", isClassify);
  const rate = (isMeant) => total(new Map([...statuses].filter(([status]) => isMeant(status)))) / seconds;
  const latencies = Object.entries(QUANTILES).map(([name, share]) => [name, 1000 * quantile(share, buckets)]);
  return {
    ...Object.fromEntries(latencies),
    rate: rate(() => true),
    refused: rate((status) => status === "503"),
    wrong: rate((status) => status.startsWith("4")),
    broken: rate((status) => status.startsWith("5") && status !== "503"),
  };
}

function counted(older, newer, name, label, filter) {
  return added(sums(newer.metrics, name, label, filter), sums(older.metrics, name, label, filter));
}

function isClassify({ route }) {
  return route.startsWith("/classify");
}

function showTiles(point, metrics) {
  const gauge = (name) => total(sums(metrics, name, ""));
  const rows = [
    ["Requests/s", point.rate.toFixed(1)],
    ...Object.keys(QUANTILES).map((name) => [name, milliseconds(point[name])]),
    ["Bad input/s (4xx)", point.wrong.toFixed(1)],
    ["Refused/s (503)", point.refused.toFixed(1)],
    ["Broken/s (5xx)", point.broken.toFixed(1)],
    ["In flight", Math.max(0, gauge("glimpse_requests_in_flight") - 1)], // but for this scrape
    ["Workers", gauge("glimpse_workers")],
  ];
  document.getElementById("tiles").replaceChildren(...rows.map(tile));
}

function tile([name, value]) {
  const group = document.createElement("div");
  const term = document.createElement("dt");
  term.textContent = name;
  const figure = document.createElement("dd");
  figure.textContent = value;
  group.append(term, figure);
  return group;
}

function showCharts() {
  const series = (name) => ({ name, values: points.map((point) => point[name]) });
  const span = `${(SECONDS * SLOTS) / 60} min`;
  const [rate, latency] = [document.getElementById("chart-rate"), document.getElementById("chart-latency")];
  drawChart(rate, [series("rate")], SLOTS, { unit: "requests per second", span });
  drawChart(latency, Object.keys(QUANTILES).map(series), SLOTS, { unit: "milliseconds", span });
}

function showStages(older, newer) {
  const rows = STAGES.map((stage) => {
    const ofStage = (labels) => labels.stage === stage;
    const sum = total(counted(older, newer, "glimpse_stage_seconds_sum", "stage", ofStage));
    const count = total(counted(older, newer, "glimpse_stage_seconds_count", "stage", ofStage));
    const buckets = counted(older, newer, "glimpse_stage_seconds_bucket", "le", ofStage);
    return [stage, milliseconds((1000 * sum) / count), milliseconds(1000 * quantile(0.95, buckets))];
  });
  document.getElementById("stages").replaceChildren(...rows.map(tableRow));
}

function tableRow([name, ...figures]) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  row.append(head);
  for (const figure of figures) row.insertCell().textContent = figure;
  return row;
}

// The classes of the last minutes, or since the start where there were none.
function showShares(older, newer) {
  const name = "glimpse_predictions_total";
  const all = sums(newer, name, "predicted");
  const recent = added(all, sums(older, name, "predicted"));
  const shown = total(recent) ? recent : all;
  const whole = total(shown);
  const ranked = [...shown].filter(([, count]) => count > 0).sort(([, one], [, other]) => other - one);
  const rows = ranked.map(([predicted, count]) => ({ name: predicted, share: count / whole }));
  drawBars(document.getElementById("shares"), rows.slice(0, MOST_SHARES));
  const minutes = Math.max(1, Math.round((SECONDS * scrapes.length) / 60));
  const since = total(recent) ? `last ${minutes === 1 ? "minute" : `${minutes} minutes`}` : "since the start";
  document.getElementById("shares-since").textContent = `${since}: ${whole}`;
}

function milliseconds(value) {
  return Number.isFinite(value) ? `${value.toFixed(1)} ms` : "–";
}
