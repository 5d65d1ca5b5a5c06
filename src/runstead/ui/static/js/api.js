// The one way to the server: its public API, relative to where this page stands, with the reader's key where one is needed.

import { breathe } from "./dom.js";

const KEY = "runstead.key";
const SLICE_MS = 10;
const BASE = new URL(".", location.href.split("#")[0]);
let asking = null;
let gaveUp = -Infinity;
let promptForKey = null;

/** Who asks the reader for a key: given the server's words, it resolves to a key, or null where the reader gave up. */
export function keysFrom(ask) {
  promptForKey = ask;
}

/** What the server refused, or why it could not be asked (status 0). */
export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export function url(path) {
  return new URL(path.replace(/^\//, ""), BASE).href;
}

export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

export function forgetKey() {
  sessionStorage.removeItem(KEY);
}

async function newKey(refused, sent, words) {
  // Another request may have been refused for the same reason, and the reader asked already.
  if (sessionStorage.getItem(KEY) !== refused) return true;
  if (sent < gaveUp) return false;
  asking ??= promptForKey(words).finally(() => (asking = null));
  const given = await asking;
  if (given === null) {
    gaveUp = performance.now();
    return false;
  }
  sessionStorage.setItem(KEY, given);
  dispatchEvent(new Event("runstead.key"));
  return true;
}

async function detailOf(answer) {
  const text = await answer.text();
  try {
    const { detail } = JSON.parse(text);
    if (typeof detail === "string") return detail;
    if (Array.isArray(detail)) return detail.map((each) => `${(each.loc ?? []).slice(1).join(".")}: ${each.msg}`).join("; ");
    if (detail?.message) return detail.message;
  } catch {
    // Not the server's own words: a proxy's page, perhaps.
  }
  return `The server answered ${answer.status}.`;
}

/** A response that is a success. Asks for a key where one is needed. Throws `ApiError`. */
export async function request(method, path, { body, signal } = {}) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const headers = { accept: "application/json" };
    if (key !== null) headers.authorization = `Bearer ${key}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const sent = performance.now();
    let answer;
    try {
      answer = await fetch(url(path), { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "The server cannot be reached.");
    }
    if (answer.ok) return answer;
    const detail = await detailOf(answer);
    if (answer.status === 401 && (await newKey(key, sent, detail))) continue;
    throw new ApiError(answer.status, detail);
  }
}

/** The JSON of an answer. */
export async function ask(method, path, body, options = {}) {
  return (await request(method, path, { body, ...options })).json();
}

export const get = (path, options) => ask("GET", path, undefined, options);

/** A query string; lists are repeated, what is empty is left out. */
export function query(params) {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== "") pairs.append(name, each);
    }
  }
  return pairs.toString();
}

/** The events of a streaming answer, in batches as they arrive. An event is its JSON; the end of the run is `null`. */
export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let since = performance.now();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const frames = (rest + value).split("\n\n");
      rest = frames.pop();
      const batch = [];
      for (const frame of frames) {
        const data = dataOf(frame);
        if (data !== null) batch.push(data === "[DONE]" ? null : JSON.parse(data));
        if (performance.now() - since > SLICE_MS) {
          if (batch.length) yield batch.splice(0);
          await breathe();
          since = performance.now();
        }
      }
      if (batch.length) yield batch;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function dataOf(frame) {
  const lines = frame.split("\n").filter((line) => line.startsWith("data: "));
  return lines.length ? lines.map((line) => line.slice(6)).join("\n") : null;
}

/** A run that goes on by itself; its id is all that is kept of the answer. */
export async function begin(agent, conversation, messages) {
  const body = { messages, stream_tokens: true, background: true, streaming: true };
  const leave = new AbortController();
  const path = conversation ? `v1/conversations/${conversation}/messages` : `v1/agents/${agent}/messages/stream`;
  const answer = await request("POST", path, { body, signal: leave.signal });
  let run = answer.headers.get("x-run-id");
  for await (const batch of events(answer)) {
    run ??= batch.find((each) => each?.run_id)?.run_id;
    if (run) break;
  }
  leave.abort();
  return run;
}
