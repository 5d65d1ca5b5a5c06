// The inbox: what waits for a person over all agents, what is asked, by whom, since when and until when.

import { get } from "../api.js";
import { decision, sayDeadline } from "../decision.js";
import { fill, h, toast } from "../dom.js";
import { line, moment, ms, when } from "../format.js";
import { feed } from "../live.js";

const ASKED_MAX = 100;
const TICK_MS = 5000;
// What is taken away without a run (a cancel, a deletion) is told by nobody.
const LOOK_EVERY_TICKS = 6;

export class ApprovalsView {
  title = "Approvals";

  constructor({ go, onCount }) {
    this.go = go;
    this.onCount = onCount;
    this.shown = new Map();
    this.list = h("ul", { class: "cards" });
    this.empty = h("div", { class: "empty", hidden: true }, h("h2", {}, "Nothing waits for you"), h("p", {}, "When an agent wants to call a tool that needs a person's word, it asks here."));
    this.el = h("div", { class: "view narrow" }, h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, "Approvals")), this.list, this.empty);
    this.leave = feed.subscribe((event) => {
      if (event.message_type === "run_changed" && event.run.status === "running") return;
      this.soon ||= setTimeout(() => ((this.soon = 0), this.load()), 200);
    });
    this.ticks = 0;
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.load();
  }

  async load() {
    try {
      const waiting = await waitingRuns();
      for (const [id, card] of this.shown) {
        if (waiting.some(([run]) => run.id === id)) continue;
        card.el.remove();
        this.shown.delete(id);
      }
      for (const [run, pending] of waiting) {
        if (this.shown.has(run.id)) continue;
        const card = this.card(run, pending);
        this.shown.set(run.id, card);
        this.list.append(card.el);
      }
      this.empty.hidden = this.shown.size > 0;
      this.onCount(this.shown.size);
    } catch (error) {
      this.empty.hidden = false;
      fill(this.empty, h("p", {}, error.message));
    }
  }

  card(run, pending) {
    const since = ms(run.completed_at) ?? ms(run.created_at);
    const age = h("span", { title: moment(since) }, when(since));
    const name = run.summary?.agent_name ?? "An agent";
    const el = h("li", { class: "card" },
      h("div", { class: "card-head" }, h("a", { href: `#/agents/${run.agent_id}`, class: "strong" }, name), h("span", { class: "muted" }, "asked ", age), h("a", { href: `#/runs/${run.id}` }, "Open the run")),
      run.summary?.input && h("p", { class: "quote", dir: "auto" }, line(run.summary.input, 240)),
      decision(run, pending, (next) => {
        toast("Answered");
        el.remove();
        this.shown.delete(run.id);
        this.load();
        if (next && this.shown.size === 0) this.go(`#/runs/${next}`);
      }));
    return { el, age, since };
  }

  tick() {
    for (const { el, age, since } of this.shown.values()) {
      age.textContent = when(since);
      sayDeadline(el);
    }
    this.ticks += 1;
    if (this.ticks % LOOK_EVERY_TICKS === 0 && !document.hidden) this.load();
  }

  dispose() {
    this.leave();
    clearInterval(this.timer);
    clearTimeout(this.soon);
  }
}

/** The runs that still ask, of all agents and conversations, with the question, as the server has them. */
export async function waitingRuns() {
  const wanted = "include=runstead.summary&include=runstead.pending_approval";
  const asked = await get(`v1/runs/?stop_reason=requires_approval&asking=true&limit=${ASKED_MAX}&${wanted}`);
  return asked.filter((run) => run.pending_approval).map((run) => [run, run.pending_approval]);
}
