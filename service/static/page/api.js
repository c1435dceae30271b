// A path in, the service's answer out: with the key where one is asked for, and again where it is busy.

import { askForKey, currentKey, keepKey } from "./key.js";

const MOST_TRIES = 8;
const LONGEST_PAUSE = 10_000; // milliseconds
const NO_ANSWER = "The service does not answer: it may have been stopped, or the network is down.";
const FOREIGN = "Something between here and the service answers in its place.";
const NEEDS_KEY = "This service asks for a key.";

// What the service refused, in its own sentence.
export class Refusal extends Error {}

// The response of a call that succeeded, its text, and the milliseconds that it took once the service took it;
// otherwise a Refusal is thrown, or what `signal` aborts with. `onBusy` hears that it is to be tried again.
export async function call(path, { onBusy = () => {}, ...options } = {}) {
  for (let tries = 1; ; tries += 1) {
    const key = currentKey();
    const started = performance.now();
    const { response, text } = await ask(path, options, key);
    if (response.ok) {
      keepKey();
      return { response, text, milliseconds: performance.now() - started };
    }
    if (response.status === 401) {
      if ((await askForKey(key)) !== null) continue;
      throw new Refusal(NEEDS_KEY);
    }
    if (response.status !== 503 || tries === MOST_TRIES) throw new Refusal(sentence(response, text));
    onBusy();
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    await pause(Math.min(1000 * seconds, LONGEST_PAUSE), options.signal);
  }
}

export async function callForJson(path, options) {
  const { text, ...rest } = await call(path, options);
  try {
    return { answer: JSON.parse(text), ...rest };
  } catch {
    throw new Refusal(FOREIGN);
  }
}

async function ask(path, options, key) {
  const headers = key === null ? {} : { "X-API-Key": key };
  try {
    const response = await fetch(path, { ...options, headers });
    return { response, text: await response.text() };
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new Refusal(NO_ANSWER, { cause: error });
  }
}

function sentence(response, text) {
  try {
    const { message } = JSON.parse(text).error;
    return `${message[0].toUpperCase()}${message.slice(1)}.`;
  } catch {
    return `${FOREIGN} It says ${response.status} ${response.statusText}.`;
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
