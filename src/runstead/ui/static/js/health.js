// Whether the parts of the server are well, in the words of its own numbers: server, engine, store, log and providers.

import { get, request } from "./api.js";
import { h } from "./dom.js";
import { count, duration, size } from "./format.js";
import { badge } from "./status.js";

// A run that waits longer than this while nothing else of its lane runs is a sign that nobody takes work.
const WAITS_LONG_S = 60;

/** A part's name, whether it is well, and what there is to say. */
function fact(name, well, ...words) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, badge(well ? "success" : "failed", well ? "OK" : "Not well"), h("span", {}, words.filter(Boolean).join(", "))));
}

/** Prometheus's text as a map: `name` or `name{label}` by what stands in the text. */
function numbersOf(text) {
  const lines = text.split("\n").filter((line) => line && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
}

async function server() {
  const began = performance.now();
  try {
    const { version } = await get("v1/health/");
    return fact("Server", true, `Runstead ${version}`, `answers in ${duration(performance.now() - began)}`);
  } catch (error) {
    return fact("Server", false, error.message);
  }
}

async function engine(numbers) {
  try {
    await request("GET", "v1/ready/");
  } catch (error) {
    return fact("Engine", false, error.message);
  }
  const [created, running] = ["created", "running"].map((status) => numbers?.get(`runstead_runs_active{status="${status}"}`) ?? 0);
  const waited = numbers?.get("runstead_runs_waiting_oldest_seconds") ?? 0;
  const stuck = running === 0 && waited > WAITS_LONG_S;
  return fact("Engine", !stuck, `${count(running)} running`, `${count(created)} queued`, waited > 0 && `the oldest for ${duration(waited * 1000)}`);
}

function store(numbers) {
  const bytes = numbers.get("runstead_store_bytes");
  return fact("Store", true, size(bytes), `${count(numbers.get("runstead_messages"))} messages`);
}

function eventLog(numbers) {
  const kept = `${count(numbers.get('runstead_event_rows{part="total"}'))} rows`;
  const hot = numbers.get('runstead_log_size{what="hot_up"}');
  if (hot === 0) return fact("Log", false, "Redis cannot be reached: events go by the store", kept);
  return fact("Log", true, kept, hot === 1 && "Redis is there", `${count(numbers.get("runstead_streams_open"))} readers`);
}

/** Each provider by its newest calls; `steps` are the newest first. One whose newest call failed is not well. */
function providers(steps) {
  const of = new Map();
  for (const step of steps) {
    const name = step.provider_name ?? "unknown";
    const failed = step.status === "failed" && step.error_type !== "abandoned";
    const sum = of.get(name) ?? { calls: 0, failed: 0, down: failed };
    sum.calls += 1;
    sum.failed += failed;
    of.set(name, sum);
  }
  const words = [...of].map(([name, { calls, failed }]) => `${name}: ${failed ? `${count(failed)} of ${count(calls)} calls failed` : `${count(calls)} calls`}`);
  return fact("Providers", ![...of.values()].some(({ down }) => down), ...(words.length ? words : ["none was asked yet"]));
}

/** All parts, as they are now. */
export async function health() {
  const [text, steps] = await Promise.all([request("GET", "metrics").then((answer) => answer.text()), get("v1/steps/?limit=100")].map((part) => part.catch((error) => error)));
  const numbers = text instanceof Error ? null : numbersOf(text);
  return Promise.all([
    server(),
    engine(numbers),
    numbers ? store(numbers) : fact("Store", false, text.message),
    numbers ? eventLog(numbers) : fact("Log", false, text.message),
    steps instanceof Error ? fact("Providers", false, steps.message) : providers(steps),
  ]);
}
