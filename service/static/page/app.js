// The page: which view is shown, and what both need.

import { Refusal } from "./api.js";
import { classifyAgain, startClassifying } from "./classify.js";
import { showExamples } from "./examples.js";
import { startLive } from "./live.js";
import { loadModels } from "./models.js";
import { showProblem } from "./problem.js";

const VIEWS = ["classify", "live"];

function showView() {
  const wanted = location.hash.slice(1);
  for (const name of VIEWS) {
    const isShown = name === (VIEWS.includes(wanted) ? wanted : VIEWS[0]);
    document.getElementById(`view-${name}`).hidden = !isShown;
    const link = document.querySelector(`nav a[href="#${name}"]`);
    if (isShown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function skipToContent(event) {
  event.preventDefault(); // an address of its own would be another view's
  document.getElementById("main").focus();
}

async function meetModels() {
  const useModel = () => {
    showExamples();
    classifyAgain();
  };
  try {
    await loadModels(useModel);
    useModel();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    showProblem(error.message, meetModels);
  }
}

window.addEventListener("hashchange", showView);
document.querySelector(".skip").onclick = skipToContent;
showView();
startClassifying();
startLive();
meetModels();
