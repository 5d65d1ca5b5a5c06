// How the server does: runs over time, how fast models answer, who uses how much, and whether all parts are well.
// Everything is reckoned here, from the newest runs and steps that the API lists; the page says how many these are.

import { get } from "../api.js";
import { dots, quantile, ranked, stacked } from "../chart.js";
import { fill, h } from "../dom.js";
import { count, duration, modelName, money, ms, tokens } from "../format.js";
import { health } from "../health.js";
import { feed } from "../live.js";
import { STATUSES, word } from "../status.js";

const LISTED = 1000;
const COLUMNS = 40;
const RANKED = 8;
const AGAIN_MS = 3000;
const SHORT_MS = 36 * 3_600_000;

function timeFormat(from, to) {
  const near = new Intl.DateTimeFormat(undefined, to - from < SHORT_MS ? { hour: "2-digit", minute: "2-digit", ...(to - from < 600_000 ? { second: "2-digit" } : {}) } : { month: "short", day: "numeric" });
  return (at) => near.format(at);
}

function grouped(items, key, add) {
  const sums = new Map();
  for (const item of items) {
    const name = key(item);
    const sum = sums.get(name) ?? { name, runs: 0, input: 0, output: 0, cost: 0, of: item };
    add(sum, item);
    sums.set(name, sum);
  }
  return [...sums.values()].sort((a, b) => b.input + b.output - a.input - a.output).slice(0, RANKED);
}

export class OverviewView {
  title = "Overview";

  constructor() {
    this.head = h("div", { class: "chips", role: "group", "aria-label": "Runs by status" });
    this.grid = h("div", { class: "plots" });
    this.health = h("dl", { class: "health" });
    this.note = h("p", { class: "muted" });
    this.el = h("div", { class: "view" }, h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, "Overview"), this.head),
      h("section", { class: "panel" }, h("h2", {}, "Health"), this.health), this.grid, this.note);
    this.leave = feed.subscribe(() => (this.soon ||= setTimeout(() => ((this.soon = 0), this.load()), AGAIN_MS)));
    this.load();
  }

  async load() {
    health().then((facts) => fill(this.health, facts));
    try {
      const [runs, steps, counts] = await Promise.all([get(`v1/runs/?limit=${LISTED}&include=runstead.summary`), get(`v1/steps/?limit=${LISTED}`), get("v1/runs/counts")]);
      fill(this.head, STATUSES.map((status) => h("a", { class: `chip-link is-${status}`, href: `#/runs?status=${status}` }, word(status), " ", h("span", { class: "num" }, count(counts.by_status[status])))));
      if (runs.length === 0) {
        fill(this.grid, h("div", { class: "empty" }, h("h2", {}, "Nothing has run yet"), h("p", {}, "Plots appear with the first run."), h("a", { class: "button primary", href: "#/agents" }, "Go to the agents")));
        return;
      }
      fill(this.grid, this.overTime(runs), this.firstTokens(runs), this.speeds(steps), this.byModel(steps), this.byAgent(runs));
      this.note.textContent = `Plots and tables show the newest ${count(runs.length)} of ${count(counts.total)} runs and the newest ${count(steps.length)} steps.`;
    } catch (error) {
      fill(this.grid, h("p", { class: "error" }, error.message));
    }
  }

  panel(title, words, ...children) {
    return h("section", { class: "panel" }, h("div", { class: "panel-head" }, h("h2", {}, title), h("span", { class: "muted num" }, words)), children);
  }

  overTime(runs) {
    const from = ms(runs.at(-1).created_at);
    const to = Math.max(ms(runs[0].created_at), from + 60_000);
    const columns = Array.from({ length: COLUMNS }, () => ({}));
    for (const run of runs) {
      const column = columns[Math.min(COLUMNS - 1, Math.floor(((ms(run.created_at) - from) / (to - from)) * COLUMNS))];
      column[run.status] = (column[run.status] ?? 0) + 1;
    }
    const label = `Runs by status over time: ${STATUSES.map((status) => `${runs.filter((run) => run.status === status).length} ${word(status)}`).join(", ")}`;
    return this.panel("Runs over time", `${count(runs.length)} runs`, stacked({ label, columns, series: ["completed", "failed", "cancelled", "running", "created"], from, to, formatTime: timeFormat(from, to), format: (value) => (Number.isInteger(value) ? count(value) : "") }),
      h("div", { class: "legend", "aria-hidden": "true" }, STATUSES.map((status) => h("span", {}, h("span", { class: `swatch fill is-${status}` }), word(status)))));
  }

  plot(title, points, format, unit) {
    if (points.length === 0) return this.panel(title, "", h("p", { class: "muted" }, "No numbers yet."));
    const values = points.map(([, value]) => value).sort((a, b) => a - b);
    const [middle, high] = [quantile(values, 0.5), quantile(values, 0.95)];
    const from = Math.min(...points.map(([at]) => at));
    const to = Math.max(...points.map(([at]) => at), from + 60_000);
    const words = `median ${format(middle)}, 95th ${format(high)}`;
    return this.panel(title, words, dots({ label: `${title}${unit}: ${words}, over ${points.length} values`, points, from, to, formatTime: timeFormat(from, to), format }));
  }

  firstTokens(runs) {
    return this.plot("Time to first token", runs.filter((run) => run.ttft_ns !== null).map((run) => [ms(run.created_at), run.ttft_ns / 1e6]), (value) => duration(value), " of runs");
  }

  speeds(steps) {
    const points = steps.map((step) => [ms(step.created_at), (step.completion_tokens - 1) / (((step.model_ns ?? 0) - (step.ttft_ns ?? 0)) / 1e9), step.completion_tokens]);
    const kept = points.filter(([, value, said]) => said > 4 && Number.isFinite(value) && value > 0);
    return this.plot("Tokens a second", kept, (value) => count(Math.round(value)), " of model calls");
  }

  table(title, groups, what, href) {
    const priced = groups.some((each) => each.cost > 0);
    const rows = groups.map((each) => ({ name: each.name, href: href(each), values: [each.input + each.output, each.input, each.output, each.runs, ...(priced ? [each.cost] : [])] }));
    const heads = [what, "Tokens", "In", "Out", what === "Model" ? "Calls" : "Runs", ...(priced ? ["Cost"] : [])];
    return this.panel(title, "", ranked({ caption: title, heads, rows, formats: [tokens, tokens, tokens, count, (value) => (value > 0 ? money(value) : "–")] }));
  }

  byModel(steps) {
    const add = (sum, step) => {
      sum.runs += 1;
      sum.input += step.prompt_tokens;
      sum.output += step.completion_tokens;
      sum.cost += step.cost_usd ?? 0;
    };
    return this.table("Usage by model", grouped(steps, (step) => modelName(step.model_handle), add), "Model", () => null);
  }

  byAgent(runs) {
    const add = (sum, run) => {
      sum.runs += 1;
      sum.input += run.summary.usage.prompt_tokens;
      sum.output += run.summary.usage.completion_tokens;
      sum.cost += run.summary.cost_usd ?? 0;
    };
    return this.table("Usage by agent", grouped(runs, (run) => run.summary.agent_name ?? "deleted agent", add), "Agent", (each) => `#/runs?agent=${each.of.agent_id}`);
  }

  dispose() {
    this.leave();
    clearTimeout(this.soon);
  }
}
