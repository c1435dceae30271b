// Pictures in by every way there is, cards with their answers out.

import { call, Refusal } from "./api.js";
import { takePhotos } from "./camera.js";
import { Card } from "./card.js";
import { chosen } from "./models.js";

const AT_ONCE = 4;

const answers = document.getElementById("answers");
const summary = document.getElementById("summary");
const clear = document.getElementById("clear");
let cards = []; // newest first, as they are shown
let waiting = [];
let running = 0;

export function startClassifying() {
  const files = document.getElementById("files");
  files.onchange = () => {
    add([...files.files]);
    files.value = "";
  };
  takePhotos(add);
  acceptDrops(document.getElementById("drop"));
  document.addEventListener("paste", (event) => add([...event.clipboardData.files]));
  clear.onclick = () => {
    cards = waiting = [];
    answers.replaceChildren();
    count();
    document.getElementById("files").focus();
  };
}

// Ask about all that is shown again, as after the choice of another model.
export function classifyAgain() {
  for (const card of cards) card.wait();
  waiting = [...cards];
  work();
}

export function add(files) {
  const added = files.map((file) => new Card(file));
  if (!added.length) return;
  cards = [...added, ...cards];
  answers.prepend(...added.map((card) => card.element));
  waiting = [...waiting, ...added];
  work();
}

function acceptDrops(zone) {
  // Anywhere on the page, or the browser would leave it for a picture that misses the zone.
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) zone.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    add([...event.dataTransfer.files]);
  });
}

function work() {
  count();
  while (running < AT_ONCE && waiting.length) {
    running += 1;
    classify(waiting.shift()).finally(() => {
      running -= 1;
      work();
    });
  }
}

async function classify(card) {
  const wanted = chosen().toString();
  card.wanted = wanted;
  try {
    const started = performance.now();
    const response = await call(`classify/details?${wanted}`, { method: "POST", body: card.file });
    const answer = await response.json();
    if (card.wanted === wanted) card.show(answer, stagesOf(response), performance.now() - started);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (card.wanted === wanted) card.fail(error.message);
  }
}

function stagesOf(response) {
  const header = response.headers.get("Server-Timing") ?? "";
  return Object.fromEntries([...header.matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, value]) => [name, Number(value)]));
}

function count() {
  const failed = cards.filter((card) => card.part(".best.failure")).length;
  const done = cards.filter((card) => card.element.ariaBusy === "false").length;
  const pictures = cards.length === 1 ? "1 picture" : `${cards.length} pictures`;
  const failures = failed ? `, ${failed} of them failed` : "";
  summary.textContent = cards.length ? `${done} of ${pictures} answered${failures}` : "";
  clear.hidden = !cards.length;
}
