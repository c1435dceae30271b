// One picture and its answer, as a card.

import { drawBars, percent } from "./bars.js";

const MOST_BARS = 10;

export class Card {
  constructor(file) {
    this.file = file;
    const template = document.getElementById("answer");
    this.element = template.content.firstElementChild.cloneNode(true);
    this.part("h3").textContent = file.name;
    const image = this.part(".original img");
    image.onload = image.onerror = () => URL.revokeObjectURL(image.src);
    image.addEventListener("error", () => (this.part(".original").hidden = true)); // not all browsers show TIFF
    image.src = URL.createObjectURL(file);
  }

  part(selector) {
    return this.element.querySelector(selector);
  }

  // Whatever is still on its way belongs to another model.
  wait() {
    this.wanted = null;
    this.element.ariaBusy = "true";
    this.say("Waiting …", false);
  }

  // `answer` of /classify/details, `stages` in milliseconds by name, `roundTrip` as the browser measured it.
  show(answer, stages, roundTrip) {
    const { class: name, confidence } = answer.prediction;
    this.say(`${name}, ${percent(confidence)}`, false);
    this.part(".warning").hidden = !answer.low_confidence;
    this.showClasses(answer);
    this.showSeen(answer.seen);
    const set = answer.prediction_set.join(", ") || "none: the model would rather not say";
    this.tell(".set", `Prediction set: ${set}`);
    const { name: model, version } = answer.model;
    const parts = Object.entries(stages).map(([stage, milliseconds]) => `${stage} ${milliseconds.toFixed(1)} ms`);
    this.tell(".stages", `${model} ${version}: ${parts.join(", ")}; with the network ${roundTrip.toFixed(0)} ms`);
  }

  fail(sentence) {
    for (const selector of [".warning", ".more", ".set", ".stages", ".seen"]) this.part(selector).hidden = true;
    this.part(".bars").replaceChildren();
    this.say(sentence, true);
  }

  say(text, isFailure) {
    const best = this.part(".best");
    best.textContent = text;
    best.classList.toggle("failure", isFailure);
    if (text !== "Waiting …") this.element.ariaBusy = "false";
  }

  tell(selector, text) {
    this.part(selector).textContent = text;
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
