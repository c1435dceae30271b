// The page: which view is shown, and what both need.

import { Refusal } from "./api.js";
import { classifyAgain, startClassifying } from "./classify.js";
import { showExamples } from "./examples.js";
import { startLive } from "./live.js";
import { loadModels } from "./models.js";

const VIEWS = ["classify", "live"];

function showView() {
  const wanted = location.hash.slice(1);
  if (wanted && !VIEWS.includes(wanted)) return; // the link to the content
  for (const name of VIEWS) {
    const isShown = name === (wanted || VIEWS[0]);
    document.getElementById(`view-${name}`).hidden = !isShown;
    const link = document.querySelector(`nav a[href="#${name}"]`);
    if (isShown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

async function start() {
  window.addEventListener("hashchange", showView);
  showView();
  try {
    await loadModels(() => {
      showExamples();
      classifyAgain();
    });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const problem = document.getElementById("problem");
    problem.textContent = `${error.message} Load the page again to try once more.`;
    problem.hidden = false;
    return;
  }
  startClassifying();
  startLive();
  await showExamples();
}

start();
