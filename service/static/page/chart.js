// Series of numbers over time in, lines in an SVG out.

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [480, 200, 46, 470, 30, 170];

// `series` is [{ name, values }], all as long as `slots` at most and ending now; what is NaN leaves a gap.
export function drawChart(holder, series, slots, { unit, span }) {
  const shown = series.flatMap(({ values }) => values).filter(Number.isFinite);
  const top = niceAbove(Math.max(1e-9, ...shown));
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  svg.setAttribute("aria-label", summary(series, unit));
  for (const share of [0, 0.5, 1]) svg.append(...gridLine(share, top));
  series.forEach(({ name, values }, index) => {
    const points = values.map((value, position) => [x(position + slots - values.length, slots), y(value, top)]);
    svg.append(make("path", { class: `line-${index}`, d: path(points) }));
    if (series.length > 1) svg.append(...legend(index, name));
  });
  svg.append(label(LEFT, HEIGHT - 10, `${span} ago`), label(RIGHT - 24, HEIGHT - 10, "now"));
  holder.replaceChildren(svg);
}

function summary(series, unit) {
  const now = series.map(({ name, values }) => {
    const last = values.at(-1);
    return `${name} ${Number.isFinite(last) ? last.toFixed(1) : "none"}`;
  });
  return `Now: ${now.join(", ")} ${unit}`;
}

function niceAbove(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((step) => step * power >= value);
}

function gridLine(share, top) {
  const height = y(share * top, top);
  const line = make("line", { class: "grid", x1: LEFT, x2: RIGHT, y1: height, y2: height });
  return [line, label(2, height + 4, Number((share * top).toPrecision(3)).toString())];
}

function legend(index, name) {
  const left = LEFT + 80 * index;
  return [make("path", { class: `line-${index}`, d: `M${left} 12h24` }), label(left + 30, 16, name)];
}

function label(left, height, text) {
  const element = make("text", { x: left, y: height });
  element.textContent = text;
  return element;
}

function path(points) {
  let pen = "M";
  return points.reduce((drawn, [left, height]) => {
    if (!Number.isFinite(height)) {
      pen = "M";
      return drawn;
    }
    const step = `${drawn}${pen}${left.toFixed(1)} ${height.toFixed(1)}`;
    pen = "L";
    return step;
  }, "");
}

function x(position, slots) {
  return LEFT + ((RIGHT - LEFT) * position) / (slots - 1);
}

function y(value, top) {
  return BOTTOM - ((BOTTOM - TOP) * value) / top;
}

function make(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
