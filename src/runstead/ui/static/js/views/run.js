// One run: what is said, as it is said; where its time went; what failed and with which input; and what to do about it.

import { ask, get } from "../api.js";
import { composer } from "../composer.js";
import { Conversation, failure, textOf } from "../conversation.js";
import { showDecision } from "../decision.js";
import { confirm } from "../dialog.js";
import { announce, button, copy, fill, h, icon, setText, toast } from "../dom.js";
import { RawEvents } from "../events.js";
import { count, duration, line, modelName, moment, money, ms } from "../format.js";
import { keep, takeKept } from "../kept.js";
import { Follower, feed } from "../live.js";
import { snippets } from "../snippets.js";
import { active, badge, elapsed, reasonWord, setBadge, standing, word } from "../status.js";
import { Timeline, legend, numbers } from "../timeline.js";

const POLL_MS = 1000;
const REFRESH_MS = 250;
const TICK_MS = 500;
const NEAR_END_PX = 80;
// What a model says.
const SPOKEN = new Set(["assistant_message", "reasoning_message", "hidden_reasoning_message", "tool_call_message", "approval_request_message"]);
// Times in events are whole seconds: one that comes this soon is news, and was said now.
const NEWS_MS = 2000;
const INPUTS = new Set(["user_message", "system_message", "approval_response_message"]);

function heardAt(event) {
  const [at, now] = [ms(event.date), Date.now()];
  return at !== null && now - at > NEWS_MS ? [at, false] : [now, true];
}

export class RunView {
  title = "Run";

  constructor({ id, go }) {
    this.id = id;
    this.go = go;
    this.run = null;
    this.steps = [];
    this.seen = new Set();
    this.input = "";
    this.main = document.getElementById("main");
    this.build();
    this.leave = feed.subscribe((event) => this.told(event));
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.load();
  }

  build() {
    this.name = h("h1", { tabindex: "-1", dir: "auto" }, "Run");
    this.status = badge("created");
    this.meta = h("p", { class: "run-meta muted" });
    this.actions = h("div", { class: "buttons" });
    this.failed = h("div", {});
    this.talk = h("div", {});
    this.question = h("div", {});
    this.line = h("span", { class: "line-state muted", role: "status" });
    this.timeline = new Timeline();
    this.timeline.again = () => this.draw();
    this.facts = h("dl", { class: "facts" });
    this.raw = new RawEvents();
    this.reply = h("div", {});
    const tab = (id, text, on) => h("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}`, "aria-selected": String(on), tabindex: on ? "0" : "-1", on: { click: () => this.tab(id) } }, text);
    this.tabs = h("div", { role: "tablist", class: "tabs", "aria-label": "What to see of the run", on: { keydown: (event) => this.tabKey(event) } }, tab("talk", "Conversation", true), tab("raw", "Events", false), tab("time", "Timeline", false));
    this.working = h("p", { class: "working", hidden: true }, badge("running", "Working"), (this.ahead = h("a", { hidden: true })), h("span", { class: "num" }));
    // Which of them is seen is the style's business: beside a wide conversation there is room for the timeline, too.
    this.grid = h("div", { class: "run-grid", "data-tab": "talk" },
      h("div", { class: "run-main" }, h("div", { class: "tab-row" }, this.tabs, this.line),
        h("div", { role: "tabpanel", id: "panel-talk", "aria-labelledby": "tab-talk", tabindex: "0" }, this.failed, this.talk, this.working, this.question, this.reply),
        h("div", { role: "tabpanel", id: "panel-raw", "aria-labelledby": "tab-raw" }, this.raw.el)),
      h("aside", { class: "run-side", id: "panel-time", "aria-label": "Timeline and facts" },
        h("section", { class: "panel" }, h("div", { class: "panel-head" }, h("h2", {}, "Timeline"), legend()), this.timeline.el),
        h("section", { class: "panel" }, h("h2", {}, "Facts"), this.facts)));
    this.el = h("div", { class: "view run" },
      h("div", { class: "view-head run-head" },
        h("a", { class: "back", href: "#/runs", on: { click: (event) => this.back(event) } }, icon("back"), "Runs"),
        h("div", { class: "run-title" }, this.status, this.name), this.meta, this.actions),
      this.grid);
  }

  /** Back to the list as it was looked at, if it was. */
  back(event) {
    const list = sessionStorage.getItem("runstead.list");
    if (!list) return;
    event.preventDefault();
    this.go(list);
  }

  tab(id) {
    this.grid.dataset.tab = id;
    for (const el of this.tabs.children) {
      const on = el.id === `tab-${id}`;
      el.setAttribute("aria-selected", String(on));
      el.tabIndex = on ? 0 : -1;
    }
    if (id === "raw") this.raw.shown();
  }

  tabKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    const seen = [...this.tabs.children].filter((el) => el.offsetParent);
    const next = seen[(seen.indexOf(event.target) + step + seen.length) % seen.length];
    this.tab(next.id.slice(4));
    next.focus();
  }

  async load() {
    try {
      this.run = await get(`v1/runs/${this.id}?include=runstead.summary`);
    } catch (error) {
      fill(this.el, h("div", { class: "empty" }, h("h1", { tabindex: "-1" }, error.status === 404 ? "This run is not here" : "The run could not be read"), h("p", {}, error.status === 404 ? "It was deleted, or it belongs to somebody else." : error.message), h("a", { class: "button", href: "#/runs" }, "Back to the runs")));
      return;
    }
    this.stick = active(this.run);
    this.conversation = new Conversation({ live: this.stick });
    this.conversation.onPaint(() => this.keepEnd());
    this.main.addEventListener("scroll", (this.scrolled = () => (this.stick = this.atEnd())), { passive: true });
    fill(this.talk, this.conversation.el);
    this.show();
    const inputs = await this.inputs();
    this.conversation.add(inputs);
    if (this.run.background) this.follow();
    else this.poll();
    this.refresh();
  }

  /** What the run was given: it is in its messages, not in its events. */
  async inputs() {
    const found = [];
    try {
      for (const message of await get(`v1/runs/${this.id}/messages?limit=50`)) {
        if (!INPUTS.has(message.message_type)) break;
        found.push(message);
        this.seen.add(`${message.id}/${message.message_type}`);
      }
    } catch {
      // The run's own view says what can be said.
    }
    this.timeline.answers = found.some((message) => message.message_type === "approval_response_message");
    const said = found.find((message) => message.message_type === "user_message");
    this.content = said?.content ?? null;
    this.input = textOf(said?.content);
    return found;
  }

  follow() {
    // Before a reload this run was followed up to here. One that is over is soon read again from its start.
    const kept = active(this.run) ? takeKept(this.id) : [];
    if (kept.length) this.heard(kept);
    addEventListener("pagehide", (this.hidden = () => this.keep()));
    this.follower = new Follower(this.id, {
      after: kept.at(-1)?.seq_id,
      onEvents: (events) => this.heard(events),
      onState: (state, error) => this.lineIs(state, error),
    }).start();
  }

  keep() {
    if (active(this.run) && this.raw.events[0]?.seq_id === 1) keep(this.id, this.raw.events);
  }

  lineIs(state, error) {
    const words = { live: active(this.run) ? "Live" : "", away: "Connection lost; trying again", resting: "Paused while hidden", ended: "" };
    setText(this.line, words[state] ?? "");
    this.line.className = `line-state muted is-${state}`;
    if (state === "refused" && (error.status === 410 || error.status === 400)) {
      setText(this.line, error.status === 410 ? "Its events are no longer kept; these are its messages" : "");
      this.poll();
    } else if (state === "refused") setText(this.line, error.message);
    if (state === "ended") this.refreshSoon();
  }

  heard(events) {
    this.raw.add(events);
    this.conversation.add(events);
    for (const event of events) {
      if (event.message_type === "tool_return_message") this.timeline.called(event.step_id, event.name);
      if (event.message_type === "error_message") this.error = event;
      const call = [event.tool_calls ?? event.tool_call].flat()[0];
      if (call?.name) this.timeline.called(event.step_id, call.name);
      if (SPOKEN.has(event.message_type)) this.timeline.spoke(event.step_id, ...heardAt(event));
    }
    if (this.timeline.key === "") this.draw();
    const step = events.findLast((event) => event.step_id)?.step_id;
    const over = events.some((event) => event.message_type === "stop_reason" || event.message_type === "error_message");
    if (over || (step && step !== this.step)) this.refreshSoon();
    this.step = step ?? this.step;
  }

  /** A run that cannot be followed is read as far as it is stored, until it is over. */
  async poll() {
    clearTimeout(this.polling);
    if (this.over) return;
    // Only what is read after the end is the whole.
    let whole = false;
    try {
      if (!document.hidden) {
        const ended = !active(this.run);
        const found = await get(`v1/runs/${this.id}/messages?limit=1000`);
        const fresh = found.filter((message) => !this.seen.has(`${message.id}/${message.message_type}`));
        for (const message of fresh) this.seen.add(`${message.id}/${message.message_type}`);
        if (fresh.length) this.heard(fresh);
        await this.refresh();
        whole = ended;
      }
    } catch (error) {
      setText(this.line, error.message);
    }
    if (!whole && !this.over) this.polling = setTimeout(() => this.poll(), POLL_MS);
  }

  told(event) {
    if (!this.run) return;
    if (event.run_id !== this.id) {
      // Who waits in line moves when another one goes.
      if (this.run.status === "created" && event.run?.agent_id === this.run.agent_id) this.refreshSoon();
      return;
    }
    if (event.message_type === "run_deleted") {
      toast("This run was deleted");
      this.go("#/runs");
    } else if (event.message_type === "run_changed") {
      this.run = event.run;
      this.show();
      this.refreshSoon();
    }
  }

  refreshSoon() {
    this.refreshing ||= setTimeout(() => ((this.refreshing = 0), this.refresh()), REFRESH_MS);
  }

  async refresh() {
    try {
      const [run, steps] = await Promise.all([get(`v1/runs/${this.id}?include=runstead.summary`), get(`v1/runs/${this.id}/steps?order=asc&limit=1000`)]);
      if (this.over) return;
      this.run = run;
      this.steps = steps;
      this.show();
    } catch (error) {
      if (error.status === 404) this.go("#/runs");
    }
  }

  show() {
    const { run } = this;
    const summary = run.summary ?? {};
    setBadge(this.status, standing(run));
    setText(this.name, line(summary.input, 120) || "Answer to an approval");
    document.title = `${word(standing(run))}: ${line(summary.input, 40) || "run"} · Runstead`;
    fill(this.meta, h("a", { href: `#/agents/${run.agent_id}` }, summary.agent_name ?? "deleted agent"), " · ", modelName(summary.model), " · ", moment(ms(run.created_at)));
    this.showActions();
    this.showFailure();
    this.showFacts();
    this.draw();
    if (this.going && !active(run)) announce(`The run is ${word(run.status).toLowerCase()}`);
    this.going = active(run);
    this.working.hidden = !this.going;
    this.showPlace();
    const asks = standing(run) === "approval";
    if (asks && !this.asked) showDecision(this.question, run, (next) => this.go(`#/runs/${next}`));
    this.asked = asks;
    if (!active(run) && summary.agent_name && !this.composer && !asks) {
      this.composer = composer({ agent: run.agent_id, conversation: run.conversation_id, label: `Message to ${summary.agent_name}`, onSent: (next) => this.go(`#/runs/${next}`) });
      fill(this.reply, this.composer.el);
    }
  }

  /** What it waits for: the runs ahead of it in its conversation or of its agent. */
  showPlace() {
    const { run } = this;
    const ahead = run.status === "created" ? (run.line_position ?? 0) : 0;
    setBadge(this.working.firstChild, run.status, run.status === "created" ? "Waiting in line" : "Working");
    this.ahead.hidden = ahead === 0;
    if (ahead === 0) return;
    setText(this.ahead, ahead === 1 ? "behind one run" : `behind ${count(ahead)} runs`);
    this.ahead.href = `#/runs/${run.waiting_for}`;
  }

  showActions() {
    const key = `${active(this.run)}/${this.run.cancel_requested_at}`;
    if (key === this.actionsKey) return;
    this.actionsKey = key;
    this.menu ??= this.makeMenu();
    fill(this.actions, this.menu,
      active(this.run) && button(this.run.cancel_requested_at ? "Cancelling" : "Cancel", { drawing: "stop", onclick: () => this.cancel(), disabled: Boolean(this.run.cancel_requested_at) }),
      button("Delete", { drawing: "trash", kind: "danger quiet", onclick: () => this.delete() }));
  }

  /** What can be copied of the run; reckoned when it is opened, from what is known by then. */
  makeMenu() {
    const list = h("div", { class: "menu-list" });
    const menu = h("details", { class: "menu" }, h("summary", { class: "button" }, icon("copy"), h("span", {}, "Copy")), list);
    const close = () => (menu.open = false);
    const entry = (name, text) => button(name, { kind: "quiet", onclick: () => (copy(text, name), close()) });
    const away = (event) => menu.contains(event.target) || close();
    menu.addEventListener("toggle", () => {
      if (!menu.open) {
        document.removeEventListener("pointerdown", away);
        return;
      }
      document.addEventListener("pointerdown", away);
      fill(list, snippets(this.run, this.content).map(([name, text]) => entry(name, text)), entry("Run id", this.id));
    });
    menu.addEventListener("keydown", (event) => event.key === "Escape" && (close(), menu.firstChild.focus()));
    menu.addEventListener("focusout", (event) => event.relatedTarget && !menu.contains(event.relatedTarget) && close());
    return menu;
  }

  showFailure() {
    const { run } = this;
    const key = `${run.status}/${this.steps.length}/${Boolean(this.error)}/${this.input.length}`;
    if (this.failureKey === key) return;
    this.failureKey = key;
    if (run.status !== "failed") {
      fill(this.failed);
      return;
    }
    const index = this.steps.findLastIndex((step) => step.status === "failed" && step.error_type !== "abandoned");
    const step = this.steps[index];
    const told = step?.error_data ?? this.error ?? run.metadata?.error;
    const where = step ? `Failed in step ${numbers(this.steps)[index] ?? "0, the summary"}, ${step.model_handle}` : `Failed: ${reasonWord(run.stop_reason)}`;
    const panel = failure(where, step?.error_type ?? run.stop_reason, told?.message ?? (typeof told === "string" ? told : null), told?.detail);
    if (this.input) panel.lastChild.append(h("p", { class: "on", dir: "auto" }, "Input: ", line(this.input, 300)));
    fill(this.failed, panel);
  }

  showFacts() {
    const { run } = this;
    const usage = run.summary?.usage ?? {};
    const facts = [
      ["Took", (this.took = h("span", { class: "num" }, duration(elapsed(run))))],
      ["First token", run.ttft_ns === null ? "–" : duration(run.ttft_ns / 1e6)],
      ["Tokens", `${count(usage.prompt_tokens)} in, ${count(usage.completion_tokens)} out`],
      usage.prompt_tokens_details?.cached_tokens ? ["From cache", count(usage.prompt_tokens_details.cached_tokens)] : null,
      usage.completion_tokens_details?.reasoning_tokens ? ["Reasoning", count(usage.completion_tokens_details.reasoning_tokens)] : null,
      run.summary?.cost_usd ? ["Cost", money(run.summary.cost_usd)] : null,
      ["Steps", count(run.summary?.step_count)],
      ["End", run.stop_reason ? reasonWord(run.stop_reason) : "–"],
      ["Mode", run.background ? "Background" : "Foreground"],
      run.conversation_id ? ["Conversation", h("a", { href: `#/agents/${run.agent_id}/conversations/${run.conversation_id}` }, h("code", {}, run.conversation_id))] : null,
      run.callback_url ? ["Callback", run.callback_sent_at ? `${run.callback_status_code ?? run.callback_error}` : "not told yet"] : null,
      ["Run", h("code", {}, run.id)],
    ];
    fill(this.facts, facts.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  draw() {
    this.timeline.draw(this.run, this.steps);
  }

  tick() {
    if (!this.run || document.hidden || !active(this.run)) return;
    setText(this.took, duration(elapsed(this.run)));
    setText(this.working.lastChild, duration(elapsed(this.run)));
    this.draw();
  }

  atEnd() {
    return this.main.scrollHeight - this.main.scrollTop - this.main.clientHeight < NEAR_END_PX;
  }

  /** Who reads the end goes on reading the end. */
  keepEnd() {
    if (this.stick && active(this.run)) this.main.scrollTop = this.main.scrollHeight;
  }

  async cancel() {
    try {
      await ask("POST", `v1/agents/${this.run.agent_id}/messages/cancel`, { run_ids: [this.id] });
      toast("The run is cancelled");
      this.refresh();
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  async delete() {
    const text = active(this.run) ? "It is cancelled first. What it said stays in the agent's history." : "What it said stays in the agent's history; its events and its timeline go.";
    if (!(await confirm("Delete this run?", text, "Delete"))) return;
    try {
      await ask("DELETE", `v1/runs/${this.id}`);
      toast("The run is deleted");
      this.go("#/runs");
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  dispose() {
    this.over = true;
    this.leave();
    this.follower?.stop();
    if (this.hidden) removeEventListener("pagehide", this.hidden);
    this.raw.stop();
    clearInterval(this.timer);
    clearTimeout(this.polling);
    clearTimeout(this.refreshing);
    if (this.scrolled) this.main.removeEventListener("scroll", this.scrolled);
  }
}
