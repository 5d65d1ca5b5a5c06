// The inbox: what waits for a person over all agents, what is asked, by whom and since when.

import { get } from "../api.js";
import { decision, pendingOf } from "../decision.js";
import { fill, h, toast } from "../dom.js";
import { line, moment, ms, when } from "../format.js";
import { feed } from "../live.js";

const ASKED_MAX = 100;

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
    this.timer = setInterval(() => this.tick(), 5000);
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
    for (const { age, since } of this.shown.values()) age.textContent = when(since);
  }

  dispose() {
    this.leave();
    clearInterval(this.timer);
    clearTimeout(this.soon);
  }
}

/** The runs that ended with a question which nobody has answered, with the question; the newest of each conversation. */
export async function waitingRuns() {
  const asked = await get(`v1/runs/?stop_reason=requires_approval&limit=${ASKED_MAX}&include=runstead.summary`);
  const lanes = new Map();
  for (const run of asked) {
    const lane = run.conversation_id ?? run.agent_id;
    if (!lanes.has(lane)) lanes.set(lane, run);
  }
  const found = await Promise.all([...lanes.values()].map(async (run) => [run, await pendingOf(run).catch(() => null)]));
  return found.filter(([, pending]) => pending !== null);
}
