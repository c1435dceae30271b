// What the service does now: its metrics, scraped every other second while anybody looks.

import { call, Refusal } from "./api.js";
import { drawBars } from "./bars.js";
import { drawChart } from "./chart.js";
import { added, parseMetrics, quantile, sums, total } from "./metrics.js";

// In seconds: between scrapes, what the figures reach back, what the charts show, and what is no pause yet.
const [STEP, WINDOW, SPAN, GAP] = [2, 10, 300, 7];
const MOST_SHARES = 10;
const STAGES = ["read", "queue", "decode", "infer"];
const QUANTILES = { p50: 0.5, p95: 0.95, p99: 0.99 };

const view = document.getElementById("view-live");
const problem = document.getElementById("live-problem");
let timer = null;
let scrapes = []; // of this run of the service, oldest first
let points = []; // what the charts show of each

export function startLive() {
  document.getElementById("window").textContent = `${WINDOW} seconds`;
  document.addEventListener("visibilitychange", watch);
  window.addEventListener("hashchange", watch);
  watch();
}

// Look now, and from then on as long as anybody does.
async function watch() {
  clearTimeout(timer);
  if (view.hidden || document.hidden) return;
  timer = setTimeout(watch, 1000 * (scrapes.length > 1 ? STEP : STEP / 4));
  await look();
}

async function look() {
  try {
    const { text } = await call("metrics");
    note(parseMetrics(text));
    say("");
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    say(error.message);
    showTiles({}, new Map());
  }
}

function say(text) {
  if (problem.textContent !== text) problem.textContent = text;
  problem.hidden = !text;
}

function note(metrics) {
  const now = { at: performance.now() / 1000, metrics };
  // Whoever starts counts from 0, or a worker of many does; what is from before says nothing any more.
  if (scrapes.length && startOf(scrapes.at(-1)) !== startOf(now)) scrapes = [];
  scrapes = [...scrapes, now].filter(({ at }) => now.at - at <= SPAN);
  const before = scrapes.find(({ at }) => now.at - at <= WINDOW + STEP / 2);
  const point = before === now ? { at: now.at } : { at: now.at, ...between(before, now) };
  points = [...points, point].filter(({ at }) => now.at - at <= SPAN);
  showTiles(point, metrics);
  showCharts(now.at);
  showStages(before, now);
  showShares(scrapes[0], now);
}

function startOf({ metrics }) {
  return total(sums(metrics, "glimpse_start_time_seconds", ""));
}

// Rates per second and latencies in milliseconds of classify calls between two scrapes.
function between(older, newer) {
  const seconds = newer.at - older.at;
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
  const gauge = (name) => (metrics.has(name) ? total(sums(metrics, name, "")) : NaN);
  const rows = [
    ["Requests/s", figure(point.rate)],
    ...Object.keys(QUANTILES).map((name) => [name, figure(point[name], " ms")]),
    ["Bad input/s (4xx)", figure(point.wrong)],
    ["Refused/s (503)", figure(point.refused)],
    ["Broken/s (5xx)", figure(point.broken)],
    ["In flight", figure(Math.max(0, gauge("glimpse_requests_in_flight") - 1), "", 0)], // but for this scrape
    ["Workers", figure(gauge("glimpse_workers"), "", 0)],
  ];
  document.getElementById("tiles").replaceChildren(...rows.map(tile));
}

function tile([name, value]) {
  const group = document.createElement("div");
  const term = document.createElement("dt");
  term.textContent = name;
  const description = document.createElement("dd");
  description.textContent = value;
  group.append(term, description);
  return group;
}

function showCharts(now) {
  const [rate, latency] = [document.getElementById("chart-rate"), document.getElementById("chart-latency")];
  const options = { now, span: SPAN, gap: GAP };
  drawChart(rate, points, ["rate"], { ...options, unit: "requests per second" });
  drawChart(latency, points, Object.keys(QUANTILES), { ...options, unit: "milliseconds" });
}

function showStages(older, newer) {
  const rows = STAGES.map((stage) => {
    const ofStage = (labels) => labels.stage === stage;
    const sum = total(counted(older, newer, "glimpse_stage_seconds_sum", "stage", ofStage));
    const count = total(counted(older, newer, "glimpse_stage_seconds_count", "stage", ofStage));
    const buckets = counted(older, newer, "glimpse_stage_seconds_bucket", "le", ofStage);
    return [stage, figure((1000 * sum) / count, " ms"), figure(1000 * quantile(0.95, buckets), " ms")];
  });
  document.getElementById("stages").replaceChildren(...rows.map(tableRow));
}

function tableRow([name, ...figures]) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  row.append(head);
  for (const text of figures) row.insertCell().textContent = text;
  return row;
}

// The classes of the last minutes, or since the start where there were none.
function showShares(older, newer) {
  const name = "glimpse_predictions_total";
  const all = sums(newer.metrics, name, "predicted");
  const recent = added(all, sums(older.metrics, name, "predicted"));
  const shown = total(recent) ? recent : all;
  const whole = total(shown);
  const ranked = [...shown].filter(([, count]) => count > 0).sort(([, one], [, other]) => other - one);
  const rows = ranked.map(([predicted, count]) => ({ name: predicted, share: count / whole }));
  drawBars(document.getElementById("shares"), rows.slice(0, MOST_SHARES));
  const seconds = Math.round(newer.at - older.at);
  const since = total(recent) ? `in the last ${seconds} seconds` : "since the start";
  document.getElementById("shares-since").textContent = `${since}: ${whole}`;
}

function figure(value, unit = "", digits = 1) {
  return Number.isFinite(value) ? `${value.toFixed(digits)}${unit}` : "–";
}
