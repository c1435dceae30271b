// Pictures of the chosen model's bundle, to try it on with one click.

import { callForJson, Refusal } from "./api.js";
import { add } from "./classify.js";
import { chosen, chosenName } from "./models.js";

export async function showExamples() {
  const group = document.getElementById("examples");
  const wanted = chosen();
  let examples = []; // as where they are switched off
  try {
    ({ examples } = (await callForJson(`model/examples?${wanted}`)).answer);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
  if (chosen() !== wanted) return; // another model's are on their way
  group.querySelector("ul").replaceChildren(...examples.map(entry));
  group.hidden = !examples.length;
}

function entry(url, index) {
  const name = `example ${index + 1} of ${chosenName()}`;
  const image = new Image();
  image.src = url;
  image.alt = `Classify ${name}`;
  const button = document.createElement("button");
  button.type = "button";
  button.append(image);
  button.onclick = () => add([toFile(url, `${name}.png`)]);
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function toFile(url, name) {
  const bytes = Uint8Array.from(atob(url.split(",")[1]), (character) => character.charCodeAt(0));
  return new File([bytes], name, { type: "image/png" });
}
