// A run to scale: waiting, then each step's model call (until its first token, and while it spoke) and tools.
// Names stand on the rows, colours say how it ended, and an attempt that was given up is marked as such.

import { fill, h } from "./dom.js";
import { count, duration, modelName, money, ms, tokens } from "./format.js";
import { active, badge, elapsed } from "./status.js";

const ROWS_SHOWN_MAX = 60;
const TICKS = 4;

function percent(value, total) {
  return `${total > 0 ? Math.min(100, Math.max(0, (value / total) * 100)) : 0}%`;
}

/** One stretch of time. It is told in words to who cannot see it. */
function bar(kind, from, to, span, label) {
  return h("span", { class: `bar ${kind}`, role: "img", "aria-label": label, title: label, css: { left: percent(from, span), width: percent(to - from, span) } });
}

function niceTicks(span) {
  return Array.from({ length: TICKS + 1 }, (_, index) => (span * index) / TICKS);
}

/** What each step's time went to, in milliseconds from the run's beginning. */
export function stretches(run, steps) {
  const began = ms(run.created_at);
  let before = 0;
  return steps.map((step) => {
    const start = Math.max(0, ms(step.created_at) - began);
    if (step.error_type === "abandoned" && !step.model_ns) {
      // Written down by who found it: it began after what was before, and was lost by then.
      const lost = { step, start: before, first: before, said: start, end: start };
      before = start;
      return lost;
    }
    const model = (step.model_ns ?? 0) / 1e6;
    const first = Math.min(step.ttft_ns === null ? model : step.ttft_ns / 1e6, model);
    const tools = (step.tools_ns ?? 0) / 1e6;
    before = start + model + tools;
    return { step, start, first: start + first, said: start + model, end: before };
  });
}

function stepStatus(step) {
  if (step.error_type === "abandoned") return "abandoned";
  if (step.stop_reason === "requires_approval") return "approval";
  return step.status;
}

function speed(step) {
  const talking = ((step.model_ns ?? 0) - (step.ttft_ns ?? 0)) / 1e9;
  return talking > 0.005 && step.completion_tokens > 1 ? `${Math.round((step.completion_tokens - 1) / talking)} tok/s` : null;
}

export class Timeline {
  constructor() {
    this.axis = h("div", { class: "axis", "aria-hidden": "true" });
    this.rows = h("ol", { class: "rows" });
    this.all = false;
    this.el = h("div", { class: "timeline" }, this.axis, this.rows);
    this.names = new Map();
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

  /** `steps` oldest first; `speaking`: the step that goes on now began at that moment (milliseconds), if any. */
  draw(run, steps, now = Date.now()) {
    const span = Math.max(elapsed(run, now) ?? 0, 1);
    const parts = stretches(run, steps);
    const end = Math.max(span, ...parts.map((each) => each.end));
    fill(this.axis, niceTicks(end).map((at) => h("span", { css: { left: percent(at, end) } }, at === 0 ? "0" : duration(at))));
    const waited = parts.length ? parts[0].start : active(run) && run.status === "created" ? span : null;
    const rows = [];
    if (waited !== null && waited >= 1) rows.push(this.waiting(waited, end));
    const shown = this.all ? parts : parts.slice(-ROWS_SHOWN_MAX);
    if (shown.length < parts.length) rows.push(this.folded(parts.length - shown.length));
    rows.push(...shown.map((each, index) => this.row(each, parts.length - shown.length + index + 1, end)));
    if (run.status === "running") rows.push(this.current(parts.at(-1)?.end ?? 0, parts.length + 1, span, end));
    // Rows are made anew only where they say something new: a reader's place in them is kept.
    const key = JSON.stringify([steps.length, steps.at(-1)?.status, run.status, this.all, active(run) ? now : 0, this.names.size]);
    if (key !== this.key) fill(this.rows, rows);
    this.key = key;
  }

  waiting(waited, end) {
    return h("li", {}, h("div", { class: "row-head" }, h("span", { class: "row-name muted" }, "Waiting in line"), h("span", { class: "num" }, duration(waited))),
      h("div", { class: "lane" }, bar("wait", 0, waited, end, `Waited ${duration(waited)}`)));
  }

  folded(count_) {
    return h("li", {}, h("button", { type: "button", class: "button small", on: { click: () => ((this.all = true), (this.key = ""), this.again?.()) } }, `${count(count_)} earlier steps`));
  }

  row({ step, start, first, said, end: over }, number, end) {
    const status = stepStatus(step);
    const names = [...(this.names.get(step.id) ?? [])].join(", ");
    const retried = step.attempt > 1 ? h("span", { class: "chip" }, `attempt ${step.attempt}`) : null;
    const tools = over - said;
    return h("li", { class: `step is-${status}` },
      h("div", { class: "row-head" },
        h("span", { class: "row-name" }, `${number}. ${modelName(step.model_handle)}`), retried,
        status === "success" ? null : badge(status, status === "pending" ? "Tools running" : undefined),
        h("span", { class: "num" }, duration(over - start))),
      h("div", { class: "lane" },
        bar("ttft", start, first, end, `Time to first token: ${duration(first - start)}`),
        bar("model", first, said, end, `Model speaking: ${duration(said - first)}`),
        tools > 0 ? bar("tools", said, over, end, `Tools${names ? ` (${names})` : ""}: ${duration(tools)}`) : null),
      h("div", { class: "row-facts" },
        step.ttft_ns === null ? null : h("span", {}, `first token ${duration(first - start)}`),
        h("span", {}, `${tokens(step.prompt_tokens)} in, ${tokens(step.completion_tokens)} out`),
        speed(step) && h("span", {}, speed(step)),
        step.cost_usd ? h("span", {}, money(step.cost_usd)) : null,
        names && h("span", {}, tools > 0 ? `${names} ${duration(tools)}` : names)),
      step.error_data?.message ? h("p", { class: "row-error", dir: "auto" }, step.error_data.message) : null);
  }

  current(from, number, now, end) {
    return h("li", { class: "step is-running" },
      h("div", { class: "row-head" }, h("span", { class: "row-name" }, `${number}. working`), h("span", { class: "num" }, duration(Math.max(0, now - from)))),
      h("div", { class: "lane" }, bar("now", from, Math.max(now, from), end, `Going on for ${duration(now - from)}`)));
  }
}

/** The legend of the bars. */
export function legend() {
  return h("div", { class: "legend", "aria-hidden": "true" },
    [["wait", "waiting"], ["ttft", "first token"], ["model", "speaking"], ["tools", "tools"]].map(([kind, text]) => h("span", {}, h("span", { class: `swatch ${kind}` }), text)));
}
