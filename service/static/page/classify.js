// Pictures in by every way there is, cards with their answers out.

import { callForJson, Refusal } from "./api.js";
import { takePhotos } from "./camera.js";
import { Card } from "./card.js";
import { chosen } from "./models.js";

const AT_ONCE = 4;
const UNREADABLE = "It can't be read: it is a folder, or has changed or gone since it was chosen.";

const answers = document.getElementById("answers");
const summary = document.getElementById("summary");
const spoken = document.getElementById("spoken"); // the same for who can't see it, when all is done
const clear = document.getElementById("clear");
const files = document.getElementById("files");
let cards = []; // newest first, as they are shown
let waiting = [];
let running = 0;
let round = new AbortController(); // what is on its way

export function startClassifying() {
  files.onchange = () => {
    add([...files.files]);
    files.value = "";
  };
  takePhotos(add);
  acceptDrops(document.getElementById("drop"));
  document.addEventListener("paste", (event) => add([...event.clipboardData.files]));
  clear.onclick = () => {
    cards = [];
    answers.replaceChildren();
    startAgain([]);
    files.focus();
  };
}

// Ask about all that is shown again, as after the choice of another model.
export function classifyAgain() {
  startAgain([...cards]);
}

export function add(added) {
  if (!added.length) return;
  location.hash = "#classify"; // they may have been dropped on another view
  const fresh = added.map((file) => new Card(file));
  cards = [...fresh, ...cards];
  answers.prepend(...fresh.map((card) => card.element));
  waiting = [...waiting, ...fresh];
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

// Give up what is on its way, and ask about these.
function startAgain(wanted) {
  round.abort();
  round = new AbortController();
  running = 0;
  for (const card of wanted) card.wait();
  waiting = wanted;
  work();
}

function work() {
  count();
  while (chosen() !== null && running < AT_ONCE && waiting.length) {
    running += 1;
    const { signal } = round;
    classify(waiting.shift(), signal).finally(() => {
      if (signal.aborted) return;
      running -= 1;
      work();
    });
  }
}

async function classify(card, signal) {
  try {
    const body = await read(card.file);
    const onBusy = () => card.wait("The service is busy, trying again …");
    const path = `classify/details?${chosen()}`;
    const { answer, response, milliseconds } = await callForJson(path, { method: "POST", body, signal, onBusy });
    signal.throwIfAborted();
    card.show(answer, stagesOf(response), milliseconds);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Refusal)) throw error;
    card.fail(error.message);
  }
}

async function read(file) {
  try {
    return await file.arrayBuffer();
  } catch {
    throw new Refusal(UNREADABLE);
  }
}

function stagesOf(response) {
  const header = response.headers.get("Server-Timing") ?? "";
  const found = header.matchAll(/(\w+);dur=([\d.]+)/g);
  return Object.fromEntries([...found].map(([, name, value]) => [name, Number(value)]));
}

function count() {
  const done = cards.filter((card) => card.isDone);
  const failed = done.filter((card) => card.hasFailed).length;
  const pictures = cards.length === 1 ? "1 picture" : `${cards.length} pictures`;
  const failures = failed ? `, ${failed} of them failed` : "";
  summary.textContent = cards.length ? `${done.length} of ${pictures} answered${failures}` : "";
  clear.hidden = !cards.length;
  const isOver = done.length === cards.length;
  if (isOver) spoken.textContent = cards.length === 1 ? cards[0].part(".best").textContent : summary.textContent;
}
