// Names and shares in, a list of bars out; the text says all that the bars show.

export function drawBars(list, rows) {
  list.replaceChildren(...rows.map(bar));
}

export function percent(share) {
  return `${(100 * share).toFixed(1)}%`;
}

// A name in any script, which must not turn what stands around it.
export function isolated(text) {
  const element = document.createElement("bdi");
  element.textContent = text;
  return element;
}

function bar({ name, share, isMember = false }) {
  const row = document.createElement("li");
  row.classList.toggle("member", isMember);
  const track = part("track");
  track.ariaHidden = "true";
  const fill = part("fill");
  fill.style.width = percent(share);
  track.append(fill);
  row.append(part("name", isolated(name)), track, part("value", percent(share)));
  return row;
}

function part(className, ...content) {
  const span = document.createElement("span");
  span.className = className;
  span.append(...content);
  return span;
}
