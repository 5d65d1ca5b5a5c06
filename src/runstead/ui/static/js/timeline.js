// A run to scale: waiting, then each step's model call (until its first token, and while it spoke) and each of its tools.
// Names stand on the rows, colours say how it ended, and an attempt that was given up is marked as such.

import { fill, h } from "./dom.js";
import { count, duration, modelName, money, ms, tokens } from "./format.js";
import { active, badge, elapsed } from "./status.js";

const ROWS_SHOWN_MAX = 60;
const TICKS_MAX = 4;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
// What people count in.
const TICK_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR];
// A label that begins further right is written to the left of its mark.
const AXIS_END = 0.92;

function percent(value, total) {
  return `${total > 0 ? Math.min(100, Math.max(0, (value / total) * 100)) : 0}%`;
}

/** One stretch of time. It is told in words to who cannot see it. */
function bar(kind, from, to, span, label) {
  return h("span", { class: `bar ${kind}`, role: "img", "aria-label": label, title: label, css: { left: percent(from, span), width: percent(to - from, span) } });
}

function ticks(span) {
  const step = TICK_STEPS.find((each) => span / each <= TICKS_MAX) ?? Math.ceil(span / TICKS_MAX / (24 * HOUR)) * 24 * HOUR;
  return Array.from({ length: Math.floor(span / step) + 1 }, (_, index) => index * step);
}

const lost = (step) => step.error_type === "abandoned";
const compacts = (step) => step.tags?.includes("compaction");

/** Each step's number as people count: a summary has none, an attempt that was given up has that of the one after it. */
export function numbers(steps) {
  let said = 0;
  return steps.map((step) => (compacts(step) ? null : lost(step) ? said + 1 : (said += 1)));
}

/** What each step's time went to, in milliseconds from the run's beginning. */
export function stretches(run, steps) {
  const began = ms(run.created_at);
  let before = 0;
  return steps.map((step) => {
    const start = Math.max(0, ms(step.created_at) - began);
    if (lost(step) && !step.model_ns) {
      // Written down by who found it: it began after what was before, and was lost by then.
      const gone = { step, start: before, first: before, said: start, end: start, gone: true };
      before = start;
      return gone;
    }
    const model = (step.model_ns ?? 0) / 1e6;
    const first = Math.min(step.ttft_ns === null ? model : step.ttft_ns / 1e6, model);
    const tools = (step.tools_ns ?? 0) / 1e6;
    before = start + model + tools;
    return { step, start, first: start + first, said: start + model, end: before };
  });
}

function stepStatus(step) {
  if (lost(step)) return "abandoned";
  if (step.stop_reason === "requires_approval") return "approval";
  return step.status;
}

function speed(step) {
  const talking = ((step.model_ns ?? 0) - (step.ttft_ns ?? 0)) / 1e9;
  return talking > 0.005 && step.completion_tokens > 1 ? `${count(Math.round((step.completion_tokens - 1) / talking))} tok/s` : null;
}

const toolWords = (tool) => `${tool.name}${tool.status === "error" ? " failed" : ""} ${duration(tool.took_ns / 1e6)}`;

export class Timeline {
  constructor() {
    this.axis = h("div", { class: "axis", "aria-hidden": "true" });
    this.rows = h("ol", { class: "rows" });
    this.all = false;
    this.el = h("div", { class: "timeline" }, this.axis, this.rows);
    this.names = new Map();
    this.heard = new Map();
    this.answers = false;
    this.key = "";
  }

  /** Which tools a step called. */
  called(stepId, name) {
    if (!stepId || !name) return;
    const names = this.names.get(stepId) ?? new Set();
    if (!names.has(name)) this.key = "";
    names.add(name);
    this.names.set(stepId, names);
  }

  /** When a step was first heard of: its first token, until the step itself says when that was. `exact`: to the moment. */
  spoke(stepId, at, exact) {
    if (stepId && !this.heard.has(stepId)) this.heard.set(stepId, { at, exact });
  }

  /** `steps` oldest first. */
  draw(run, steps, now = Date.now()) {
    const span = Math.max(elapsed(run, now) ?? 0, 1);
    const parts = stretches(run, steps);
    const working = parts.at(-1)?.step.status === "pending" && run.status === "running" ? parts.at(-1) : null;
    if (working) working.end = Math.max(working.end, span);
    const end = Math.max(span, ...parts.map((each) => each.end));
    fill(this.axis, ticks(end).map((at) => h("span", { class: at / end > AXIS_END ? "end" : null, css: { left: percent(at, end) } }, at === 0 ? "0" : duration(at).replace(/\.0 s$/, " s").replace(/ 0 (s|min|h)$/, ""))));
    const waited = parts.length ? parts[0].start : active(run) && run.status === "created" ? span : null;
    const rows = [];
    if (waited !== null && waited >= 1) rows.push(this.waiting(waited, end));
    const shown = this.all ? parts : parts.slice(-ROWS_SHOWN_MAX);
    const hidden = parts.length - shown.length;
    if (hidden) rows.push(this.folded(hidden));
    const named = numbers(steps);
    rows.push(...shown.map((each, index) => this.row(each, named[hidden + index], end)));
    if (run.status === "running" && !working) rows.push(this.current(run, steps, parts.at(-1)?.end ?? 0, span, end));
    // Rows are made anew only where they say something new: a reader's place in them is kept.
    const key = JSON.stringify([steps.length, steps.at(-1)?.status, run.status, this.all, active(run) ? now : 0, this.names.size]);
    if (key !== this.key) fill(this.rows, rows);
    this.key = key;
  }

  waiting(waited, end) {
    return h("li", {}, h("div", { class: "row-head" }, h("span", { class: "row-name muted" }, this.answers ? "Waiting in line, then the answered calls" : "Waiting in line"), h("span", { class: "num" }, duration(waited))),
      h("div", { class: "lane" }, bar("wait", 0, waited, end, `Waited ${duration(waited)}`)));
  }

  folded(count_) {
    return h("li", {}, h("button", { type: "button", class: "button small", on: { click: () => ((this.all = true), (this.key = ""), this.again?.()) } }, `${count(count_)} earlier steps`));
  }

  row(part, number, end) {
    const { step, start, end: over } = part;
    const status = stepStatus(step);
    const chip = (text, title) => h("span", { class: "chip", title }, text);
    return h("li", { class: `step is-${status}` },
      h("div", { class: "row-head" },
        h("span", { class: "row-name" }, `${number === null ? "Summary" : `${number}.`} ${modelName(step.model_handle)}`),
        step.attempt > 1 ? chip(`attempt ${step.attempt}`, "The process that worked on the run before this one is gone") : null,
        step.retries ? chip(step.retries === 1 ? "1 retry" : `${count(step.retries)} retries`, "The model failed before it said anything, and was asked again") : null,
        status === "success" ? null : badge(status, status === "pending" ? "Tools running" : undefined),
        h("span", { class: "num" }, duration(over - start))),
      h("div", { class: "lane" }, this.bars(part, end)),
      this.facts(part),
      this.tools(part, end),
      step.error_data?.message ? h("p", { class: "row-error", dir: "auto" }, step.error_data.message) : null);
  }

  bars({ step, start, first, said, end: over, gone }, end) {
    if (gone) return bar("lost", start, over, end, `Lost with its process after ${duration(over - start)} at most`);
    const names = [...(this.names.get(step.id) ?? [])].join(", ");
    const [only, ...others] = step.tool_times ?? [];
    const failed = only?.status === "error" && !others.length;
    return [
      first > start ? bar("ttft", start, first, end, `Time to first token: ${duration(first - start)}`) : null,
      said > first ? bar("model", first, said, end, `Model speaking: ${duration(said - first)}`) : null,
      over > said ? bar(failed ? "tools failed" : "tools", said, over, end, `Tools${names ? ` (${names})` : ""}: ${duration(over - said)}`) : null,
    ];
  }

  facts({ step, start, first, said, end: over }) {
    const times = step.tool_times ?? [];
    const names = [...(this.names.get(step.id) ?? [])].join(", ");
    return h("div", { class: "row-facts" },
      step.ttft_ns === null ? null : h("span", {}, `first token ${duration(first - start)}`),
      h("span", {}, `${tokens(step.prompt_tokens)} in, ${tokens(step.completion_tokens)} out`),
      speed(step) && h("span", {}, speed(step)),
      step.cost_usd ? h("span", {}, money(step.cost_usd)) : null,
      times.length === 1 ? h("span", {}, toolWords(times[0])) : null,
      times.length === 0 && names ? h("span", {}, over > said ? `${names} ${duration(over - said)}` : names) : null);
  }

  /** Where there are several tools, a lane for each: some run one after the other, some side by side. */
  tools({ step, said }, end) {
    const times = step.tool_times ?? [];
    if (times.length < 2) return null;
    return h("ul", { class: "tool-lanes", "aria-label": "Tools" }, times.map((tool) => {
      const from = said + tool.after_ns / 1e6;
      const words = toolWords(tool);
      return h("li", { class: tool.status === "error" ? "is-failed" : null },
        h("span", { class: "tool-words" }, words), h("div", { class: "lane thin" }, bar("tools", from, from + tool.took_ns / 1e6, end, words)));
    }));
  }

  current(run, steps, from, now, end) {
    const number = (numbers(steps).findLast((each) => each !== null) ?? 0) + (steps.length && lost(steps.at(-1)) ? 0 : 1);
    const [id, heard] = [...this.heard].at(-1) ?? [];
    const speaks = heard && !steps.some((step) => step.id === id);
    const first = speaks ? Math.min(now, Math.max(from, heard.at - ms(run.created_at))) : from;
    return h("li", { class: "step is-running" },
      h("div", { class: "row-head" }, h("span", { class: "row-name" }, `${number}. ${speaks ? "speaking" : "working"}`), h("span", { class: "num" }, duration(Math.max(0, now - from)))),
      h("div", { class: "lane" }, speaks
        ? [bar("ttft", from, first, end, `Until the first token: ${duration(first - from)}`), bar("model", first, Math.max(now, first), end, `Speaking for ${duration(now - first)}`)]
        : bar("now", from, Math.max(now, from), end, `Going on for ${duration(now - from)}`)),
      speaks && heard.exact && h("div", { class: "row-facts" }, h("span", {}, `first token ${duration(first - from)}`)));
  }
}

/** The legend of the bars. */
export function legend() {
  return h("div", { class: "legend", "aria-hidden": "true" },
    [["wait", "waiting"], ["ttft", "first token"], ["model", "speaking"], ["tools", "tools"]].map(([kind, text]) => h("span", {}, h("span", { class: `swatch ${kind}` }), text)));
}
