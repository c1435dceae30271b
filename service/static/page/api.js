// A path in, the service's answer out: with the key where one is asked for, and again where it is busy.

import { askForKey, storedKey } from "./key.js";

const MOST_TRIES = 8;
const NO_ANSWER = "The service does not answer: it may have been stopped, or the network is down.";

// What the service refused, in its own sentence.
export class Refusal extends Error {}

// The whole response of a call that succeeded; otherwise a Refusal is thrown.
export async function call(path, options = {}) {
  for (let tries = 1; ; tries += 1) {
    const key = storedKey();
    const response = await ask(path, options, key);
    if (response.ok) return response;
    if (response.status === 401 && (await askForKey(key)) !== null) continue;
    if (response.status === 503 && tries < MOST_TRIES) {
      await pause(1000 * (Number(response.headers.get("Retry-After")) || 1));
      continue;
    }
    throw new Refusal(await sentence(response));
  }
}

async function ask(path, options, key) {
  const headers = key === null ? {} : { "X-API-Key": key };
  try {
    return await fetch(path, { ...options, headers: { ...options.headers, ...headers } });
  } catch {
    throw new Refusal(NO_ANSWER);
  }
}

async function sentence(response) {
  try {
    const { message } = (await response.json()).error;
    return `${message[0].toUpperCase()}${message.slice(1)}.`;
  } catch {
    return `Something between here and the service answered ${response.status} ${response.statusText}.`;
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
