// The models that are loaded, and which of them is chosen.

import { callForJson } from "./api.js";

const select = document.getElementById("model");
const facts = document.getElementById("model-facts");
let models = [];

// Fill the choice; `onChange` hears of every other one.
export async function loadModels(onChange) {
  ({ models } = (await callForJson("models")).answer);
  select.replaceChildren(...models.map((model, index) => new Option(`${model.name} ${model.version}`, index)));
  select.value = Math.max(0, models.findIndex((model) => model.default));
  select.disabled = false;
  describe();
  select.onchange = () => {
    describe();
    onChange();
  };
}

// The chosen model as arguments of a call; null as long as none is known.
export function chosen() {
  const model = models[select.value];
  return model ? new URLSearchParams({ model: model.name, version: model.version }).toString() : null;
}

export function chosenName() {
  const { name, version } = models[select.value];
  return `${name} ${version}`;
}

function describe() {
  const { architecture, classes, variant, accuracy } = models[select.value];
  facts.textContent = `${architecture}, ${variant}, ${classes} classes, ${(100 * accuracy).toFixed(1)}% right on test`;
}
