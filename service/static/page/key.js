// The API key: asked for once, kept for this tab only.

const SLOT = "glimpse-key";
let asked = null; // the answer that all who wait for a key share

export function storedKey() {
  return sessionStorage.getItem(SLOT);
}

// Ask for a key other than `refused`, which the service did not take; null where the person would not give one.
export function askForKey(refused) {
  const stored = storedKey();
  if (stored !== refused) return Promise.resolve(stored); // somebody else has been told a new one meanwhile
  asked ??= show(refused).finally(() => (asked = null));
  return asked;
}

function show(refused) {
  const dialog = document.getElementById("key-dialog");
  const field = document.getElementById("key");
  document.getElementById("key-problem").hidden = refused === null;
  field.value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    let given = null;
    document.getElementById("key-form").onsubmit = (event) => {
      event.preventDefault();
      given = field.value.trim();
      sessionStorage.setItem(SLOT, given);
      dialog.close();
    };
    document.getElementById("key-cancel").onclick = () => dialog.close();
    dialog.onclose = () => resolve(given);
  });
}
