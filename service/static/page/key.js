// The API key: asked for once, kept for this tab only, and only when the service has taken it.

const SLOT = "glimpse-key";
const SENDABLE = /^[!-~]+$/; // what a header can hold, and the service allows
let key = sessionStorage.getItem(SLOT);
let asked = null; // the answer that all who wait for a key share
let isDeclined = false; // a person who has said no is not asked again until they want to

export function currentKey() {
  return key;
}

export function keepKey() {
  if (key !== null) sessionStorage.setItem(SLOT, key);
}

export function allowAsking() {
  isDeclined = false;
}

// A key other than `refused`, which the service did not take; null where the person would not give one.
export function askForKey(refused) {
  if (key !== refused) return Promise.resolve(key); // somebody else has been told a new one meanwhile
  if (isDeclined) return Promise.resolve(null);
  asked ??= show(refused).finally(() => (asked = null));
  return asked;
}

async function show(refused) {
  sessionStorage.removeItem(SLOT);
  key = null;
  const dialog = document.getElementById("key-dialog");
  const field = document.getElementById("key");
  const problem = document.getElementById("key-problem");
  const say = (text) => {
    problem.textContent = text;
    problem.hidden = !text;
  };
  say(refused === null ? "" : "The service does not know this key.");
  field.value = "";
  dialog.showModal();
  await new Promise((resolve) => {
    document.getElementById("key-form").onsubmit = (event) => {
      event.preventDefault();
      const given = field.value.trim();
      if (!SENDABLE.test(given)) return say("A key has letters, digits and signs of ASCII only, and no spaces.");
      key = given;
      dialog.close();
    };
    document.getElementById("key-cancel").onclick = () => dialog.close();
    dialog.onclose = resolve;
  });
  isDeclined = key === null;
  return key;
}
