// What keeps the whole page from working, as a sentence with a button to try again.

import { allowAsking } from "./key.js";

const box = document.getElementById("problem");

export function showProblem(sentence, tryAgain) {
  document.getElementById("problem-text").textContent = sentence;
  box.hidden = false;
  const button = document.getElementById("problem-again");
  button.hidden = !tryAgain;
  button.onclick = () => {
    hideProblem();
    allowAsking();
    tryAgain();
  };
}

export function hideProblem() {
  box.hidden = true;
}
