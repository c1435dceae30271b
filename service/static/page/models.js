// The models that are loaded, and which of them is chosen.

import { call } from "./api.js";

const select = document.getElementById("model");
const facts = document.getElementById("model-facts");
let models = [];

// Fill the choice; `onChange` hears of every other one.
export async function loadModels(onChange) {
  ({ models } = await (await call("models")).json());
  const options = models.map((model, index) => new Option(`${model.name} ${model.version}`, index));
  select.replaceChildren(...options);
  select.value = models.findIndex((model) => model.default);
  describe();
  select.onchange = () => {
    describe();
    onChange();
  };
}

// The chosen model as arguments of a call.
export function chosen() {
  const { name, version } = models[select.value];
  return new URLSearchParams({ model: name, version });
}

export function chosenName() {
  const { name, version } = models[select.value];
  return `${name} ${version}`;
}

function describe() {
  const { architecture, classes, variant, accuracy } = models[select.value];
  facts.textContent = `${architecture}, ${variant}, ${classes} classes, ${(100 * accuracy).toFixed(1)}% right on test`;
}
