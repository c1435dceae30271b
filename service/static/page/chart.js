// Figures with their times in, lines in an SVG out.

const SVG = "http://www.w3.org/2000/svg";
const [HEIGHT, LEFT, TOP, BOTTOM, MARGIN] = [200, 46, 30, 170, 10];
const NARROWEST = 220;

// `points` hold `at` in seconds and a figure by each of `names`; what is NaN, and longer than `gap`, is left open.
export function drawChart(holder, points, names, { unit, now, span, gap }) {
  const width = Math.max(NARROWEST, holder.clientWidth); // in pixels, so that text keeps its size on a phone
  const shown = names.flatMap((name) => points.map((point) => point[name])).filter(Number.isFinite);
  const top = niceAbove(Math.max(1, ...shown));
  const x = (at) => width - MARGIN - ((width - MARGIN - LEFT) * (now - at)) / span;
  const y = (value) => BOTTOM - ((BOTTOM - TOP) * value) / top;
  const svg = make("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img" });
  svg.setAttribute("aria-label", summary(points.at(-1), names, unit));
  for (const share of [0, 0.5, 1]) svg.append(...gridLine(y(share * top), share * top, width));
  names.forEach((name, index) => {
    svg.append(make("path", { class: `line-${index}`, d: path(points, name, x, y, gap) }));
    if (names.length > 1) svg.append(...legend(index, name));
  });
  svg.append(label(LEFT, HEIGHT - 10, `${span / 60} min ago`), label(width - 34, HEIGHT - 10, "now"));
  holder.replaceChildren(svg);
}

function summary(point, names, unit) {
  const now = names.map((name) => `${name} ${Number.isFinite(point?.[name]) ? point[name].toFixed(1) : "none"}`);
  return `Now: ${now.join(", ")} ${unit}`;
}

function niceAbove(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((step) => step * power >= value);
}

function gridLine(height, value, width) {
  const line = make("line", { class: "grid", x1: LEFT, x2: width - MARGIN, y1: height, y2: height });
  return [line, label(2, height + 4, Number(value.toPrecision(3)).toString())];
}

function legend(index, name) {
  const left = LEFT + 62 * index;
  return [make("path", { class: `line-${index}`, d: `M${left} 12h22` }), label(left + 26, 16, name)];
}

function path(points, name, x, y, gap) {
  let drawn = "";
  let before = -Infinity;
  for (const point of points) {
    if (!Number.isFinite(point[name])) continue;
    const pen = point.at - before > gap ? "M" : "L";
    drawn += `${pen}${x(point.at).toFixed(1)} ${y(point[name]).toFixed(1)}`;
    before = point.at;
  }
  return drawn;
}

function label(left, height, text) {
  const element = make("text", { x: left, y: height });
  element.textContent = text;
  return element;
}

function make(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
