// What the journeys of the clients of npm share: a list of operations, each a function that asserts, and a report as JSON on
// standard output, per operation `ok` or what went wrong. The same as journey.py; nothing here knows a client.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

export const DEADLINE_MS = 60_000;
const operations = [];

/** Make a named function a step of the journey. */
export function operation(act) {
  operations.push(act);
}

/** Do every operation, also after one failed, and print the report. */
export async function travel(world) {
  const report = {};
  for (const act of operations) {
    try {
      await act(world);
      report[act.name] = "ok";
    } catch (error) {
      report[act.name] = error?.stack ?? String(error);
    }
  }
  process.stdout.write(JSON.stringify(report), () => process.exit(0));
}

/** A message that tells the story model what to answer. */
export const story = (...turns) => JSON.stringify({ turns });

/** Distinct tokens, with pauses where asked for. */
export const tokens = (count, pauseMs = 0) =>
  Array.from({ length: count }, (_, n) => (pauseMs ? [`t${n} `, { pause_ms: pauseMs }] : [`t${n} `])).flat();

/** The same tokens; in the middle the model waits until the gate is opened. */
export const halved = (count, gate) => [...tokens(count / 2), { gate }, ...tokens(count).slice(count / 2)];

/** A message, to another agent, at which the story model opens a gate. */
export const opening = (gate) => story({ text: [{ open: gate }, "open"] });

/** What `tokens` come to. */
export const joined = (count) => Array.from({ length: count }, (_, n) => `t${n} `).join("");

/** Wait until something holds. */
export async function waitFor(holds) {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error("waited in vain");
    await pause(20);
  }
}

/** All that an iterable gives. */
export async function all(source) {
  const found = [];
  for await (const each of source) found.push(each);
  return found;
}

/** Kinds of events, pings left out and repetitions folded. */
export function kinds(events, kind) {
  const found = [];
  for (const event of events) {
    if (kind(event) !== "ping" && found.at(-1) !== kind(event)) found.push(kind(event));
  }
  return found;
}

/** 1, 2, 3, … */
export const counted = (length) => Array.from({ length }, (_, n) => n + 1);

/** Assert that these are all events from the first on, each once. A ping that fills silence repeats the number before it. */
export function inOrder(events, seq, kind) {
  const found = [];
  for (const event of events) {
    if (kind(event) !== "ping" || found.at(-1) !== seq(event)) found.push(seq(event));
  }
  assert.deepEqual(found, counted(found.at(-1)));
}
