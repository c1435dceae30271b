// One picture and its answer, as a card.

import { drawBars, isolated, percent } from "./bars.js";

const MOST_BARS = 10;
const MOST_MEMBERS = 20; // of a prediction set; a model that is unsure among hundreds need not name them all

export class Card {
  constructor(file) {
    this.file = file;
    const template = document.getElementById("answer");
    this.element = template.content.firstElementChild.cloneNode(true);
    this.part("h3").append(isolated(file.name));
    const image = this.part(".original img");
    image.onload = image.onerror = () => URL.revokeObjectURL(image.src);
    image.addEventListener("error", () => (this.part(".original").hidden = true)); // not all browsers show TIFF
    image.src = URL.createObjectURL(file);
  }

  part(selector) {
    return this.element.querySelector(selector);
  }

  get isDone() {
    return this.element.ariaBusy === "false";
  }

  get hasFailed() {
    return this.part(".best").classList.contains("failure");
  }

  wait(text = "Waiting …") {
    this.element.ariaBusy = "true";
    this.part(".best").textContent = text;
    this.part(".best").classList.remove("failure");
  }

  // `answer` of /classify/details, `stages` in milliseconds by name, `roundTrip` as the browser measured it.
  show(answer, stages, roundTrip) {
    const { class: name, confidence } = answer.prediction;
    this.part(".best").replaceChildren(isolated(name), `, ${percent(confidence)}`);
    this.part(".warning").hidden = !answer.low_confidence;
    this.showClasses(answer);
    this.showSet(answer.prediction_set);
    this.showSeen(answer.seen);
    const { name: model, version } = answer.model;
    const parts = Object.entries(stages).map(([stage, milliseconds]) => `${stage} ${milliseconds.toFixed(1)} ms`);
    this.tell(".stages", `${model} ${version}: ${parts.join(", ")}; with the network ${roundTrip.toFixed(0)} ms`);
    this.element.ariaBusy = "false";
  }

  fail(sentence) {
    for (const selector of [".warning", ".more", ".set", ".stages", ".seen"]) this.part(selector).hidden = true;
    this.part(".bars").replaceChildren();
    this.part(".best").textContent = sentence;
    this.part(".best").classList.add("failure");
    this.element.ariaBusy = "false";
  }

  tell(selector, ...content) {
    this.part(selector).replaceChildren(...content);
    this.part(selector).hidden = false;
  }

  showClasses(answer) {
    const members = new Set(answer.prediction_set);
    const ranked = Object.entries(answer.all_probabilities).sort(([, one], [, other]) => other - one);
    const rows = ranked.map(([name, share]) => ({ name, share, isMember: members.has(name) }));
    drawBars(this.part(".bars"), rows.slice(0, MOST_BARS));
    const more = rows.length - MOST_BARS;
    if (more > 0) this.tell(".more", `and ${more} more classes`);
    else this.part(".more").hidden = true;
  }

  showSet(names) {
    const shown = names.slice(0, MOST_MEMBERS).flatMap((name) => [isolated(name), " "]);
    const more = names.length - MOST_MEMBERS;
    if (!names.length) shown.push("none: the model would rather not say");
    if (more > 0) shown.push(`and ${more} more`);
    this.tell(".set", "Prediction set: ", ...shown);
  }

  showSeen(url) {
    const image = this.part(".seen img");
    image.onload = () => {
      const size = `${image.naturalWidth} × ${image.naturalHeight}`;
      image.alt = `${this.file.name} as the model saw it`;
      this.part(".seen figcaption").textContent = `as the model saw it, ${size}`;
      this.part(".seen").hidden = false;
    };
    image.src = url;
  }
}
