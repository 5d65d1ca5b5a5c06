// One agent: talk to it, read and mend what it remembers, see its tools and its other conversations.
// What is sent from here is a run in the background: leaving changes nothing, coming back shows it as it stands.

import { ask, get } from "../api.js";
import { composer } from "../composer.js";
import { Conversation } from "../conversation.js";
import { showDecision } from "../decision.js";
import { button, fill, h, icon, setText, toast } from "../dom.js";
import { count, line, moment, ms, when } from "../format.js";
import { Follower, feed } from "../live.js";
import { active, badge, setBadge, standing } from "../status.js";

const HISTORY = 60;
const FOLLOWED_MAX = 50;
const TABS = [["chat", "Chat"], ["memory", "Memory"], ["tools", "Tools"], ["conversations", "Conversations"]];
const NEAR_END_PX = 120;
const INPUTS = new Set(["user_message", "approval_response_message"]);

export class AgentView {
  title = "Agent";

  constructor({ id, tab, go }) {
    this.id = id;
    this.go = go;
    this.main = document.getElementById("main");
    this.waiting = [];
    this.name = h("h1", { tabindex: "-1" }, "Agent");
    this.meta = h("p", { class: "muted" });
    this.tabs = h("nav", { class: "tabs", "aria-label": "Parts of the agent" });
    this.body = h("div", { class: "agent-body" });
    this.el = h("div", { class: "view narrow agent" },
      h("div", { class: "view-head" }, h("a", { class: "back", href: "#/agents" }, icon("back"), "Agents"), this.name, this.meta), this.tabs, this.body);
    this.leave = feed.subscribe((event) => this.told(event));
    this.load(tab);
  }

  async load(tab) {
    try {
      this.agent = await get(`v1/agents/${this.id}?include=agent.blocks&include=agent.tools`);
    } catch (error) {
      fill(this.el, h("div", { class: "empty" }, h("h1", { tabindex: "-1" }, error.status === 404 || error.status === 422 ? "This agent is not here" : "The agent could not be read"), h("p", {}, error.message), h("a", { class: "button", href: "#/agents" }, "Back to the agents")));
      return;
    }
    setText(this.name, this.agent.name);
    document.title = `${this.agent.name} · Runstead`;
    fill(this.meta, this.agent.model ?? "no model", " · ", h("a", { href: `#/runs?agent=${this.id}` }, "its runs"), " · made ", moment(ms(this.agent.created_at)));
    this.open(tab);
  }

  /** The address changed: another part of the same agent. */
  update(_params, { tab }) {
    if (this.agent) this.open(tab);
  }

  open(tab = "chat") {
    this.closeChat();
    fill(this.tabs, TABS.map(([id, text]) => h("a", { href: `#/agents/${this.id}/${id}`, "aria-current": id === tab ? "page" : null }, text)));
    this.tabId = tab;
    if (tab === "memory") this.memory();
    else if (tab === "tools") this.tools();
    else if (tab === "conversations") this.conversations();
    else this.chat();
  }

  async chat() {
    const talk = (this.talk = new Conversation({ live: true, label: `Conversation with ${this.agent.name}` }));
    this.stick = true;
    this.ready = false;
    this.early = [];
    // Runs whose input is on the page or being read, those of which it is being read, and those that are followed, were, or will be.
    this.shown = new Set();
    this.reading = new Set();
    this.followed = new Set();
    talk.onPaint(() => this.stick && (this.main.scrollTop = this.main.scrollHeight));
    this.main.addEventListener("scroll", (this.scrolled = () => (this.stick = this.main.scrollHeight - this.main.scrollTop - this.main.clientHeight < NEAR_END_PX)), { passive: true });
    this.status = h("div", { class: "chat-status", hidden: true });
    this.question = h("div", {});
    this.greeting = h("p", { class: "empty small", hidden: true }, `${this.agent.name} has not been spoken to yet. Say something.`);
    const box = composer({ agent: this.id, label: `Message to ${this.agent.name}`, onSent: (run, text) => this.sent(run, text) });
    fill(this.body, h("div", { class: "chat" }, this.greeting, talk.el, this.question, this.status, box.el));
    try {
      const running = await get(`v1/runs/?agent_id=${this.id}&active=true&order=asc&limit=${FOLLOWED_MAX}`);
      // The newest ones, oldest first.
      const found = await get(`v1/agents/${this.id}/messages?limit=${HISTORY}`);
      if (this.talk !== talk) return;
      // What an unfinished run said comes from its events, also where it began meanwhile; what was said to it comes from the history.
      const live = new Set([...running, ...this.early].map((run) => run.id));
      const before = found.filter((message) => message.message_type !== "system_message" && (!live.has(message.run_id) || message.message_type === "user_message"));
      talk.addWhole(before);
      for (const message of found) this.shown.add(message.run_id);
      this.greeting.hidden = before.length > 0 || this.early.length > 0;
      this.ready = true;
      for (const run of running) this.follow(run.id);
      for (const run of this.early) this.begun(run);
      if (live.size === 0) this.settle();
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  sent(run, text) {
    this.greeting.hidden = true;
    this.stick = true;
    fill(this.question);
    if (this.ready) this.begun({ id: run, text });
    else this.early.push({ id: run, text });
  }

  /** A run began: sent from here, with its text, or told of by the feed; which of the two comes first is not known. */
  begun({ id, text, background }) {
    if (this.reading.has(id)) return;
    if (text === undefined && !(background && this.shown.has(id))) {
      this.elsewhere({ id, background });
      return;
    }
    if (!this.shown.has(id)) this.talk.add([{ message_type: "user_message", id: `sent-${id}`, content: text }]);
    this.follow(id);
  }

  /** Show what a run says, once those before it are over; each run once. */
  follow(run) {
    this.shown.add(run);
    if (this.followed.has(run)) return;
    this.followed.add(run);
    if (this.follower) this.waiting.push(run);
    else this.attach(run);
  }

  attach(run) {
    this.mark = badge("running", "Working");
    this.status.hidden = false;
    fill(this.status, this.mark, h("a", { href: `#/runs/${run}` }, "Open the run"), button("Cancel", { kind: "small", drawing: "stop", onclick: () => this.cancel(run) }));
    this.follower = new Follower(run, {
      onEvents: (events) => this.talk.add(events),
      onState: (state) => {
        if (state === "away") setBadge(this.mark, "created", "Connection lost; trying again");
        else if (state === "live") setBadge(this.mark, "running", "Working");
        else if (state === "ended") this.ended();
        else if (state === "refused") {
          // A run in the foreground is shown when it is over.
          this.shown.delete(run);
          this.ended();
        }
      },
    }).start();
  }

  ended() {
    this.follower = null;
    const next = this.waiting.shift();
    if (next) this.attach(next);
    else this.settle();
  }

  /** Nothing is said any more: how did the last run end, and does it ask for something? */
  async settle() {
    const talk = this.talk;
    try {
      const [last] = await get(`v1/runs/?agent_id=${this.id}&limit=1&include=runstead.summary`);
      if (!last || this.talk !== talk || this.follower) return;
      this.status.hidden = false;
      fill(this.status, badge(standing(last)), h("span", { class: "muted" }, when(ms(last.completed_at))), h("a", { href: `#/runs/${last.id}` }, "Open the run"));
      if (standing(last) === "approval") showDecision(this.question, last, (run) => (fill(this.question), this.follow(run)));
      else fill(this.question);
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  /** Somebody else began a run of this agent, or a quick one is over before it was seen to begin. */
  told(event) {
    if (this.tabId !== "chat" || !this.talk || event.message_type !== "run_changed" || event.run.agent_id !== this.id || event.run.conversation_id) return;
    if (!event.run.background && active(event.run)) return;
    if (!this.ready) this.early.push(event.run);
    else if (!this.shown.has(event.run_id)) this.elsewhere(event.run);
  }

  async elsewhere(run) {
    this.shown.add(run.id);
    this.reading.add(run.id);
    const { talk } = this;
    const said = await get(`v1/runs/${run.id}/messages?limit=1000`).catch(() => []);
    if (this.talk !== talk) return;
    this.reading.delete(run.id);
    this.greeting.hidden = true;
    this.talk.addWhole(run.background ? said.filter((message) => INPUTS.has(message.message_type)) : said);
    if (run.background) this.follow(run.id);
    else this.settle();
  }

  async cancel(run) {
    await ask("POST", `v1/agents/${this.id}/messages/cancel`, { run_ids: [run] }).catch((error) => toast(error.message, "bad"));
  }

  memory() {
    const blocks = this.agent.memory?.blocks ?? this.agent.blocks ?? [];
    if (blocks.length === 0) return fill(this.body, h("div", { class: "empty" }, h("h2", {}, "No memory blocks"), h("p", {}, "This agent remembers what was said, and nothing beside it.")));
    return fill(this.body, h("ul", { class: "cards" }, blocks.map((block) => this.block(block))));
  }

  block(block) {
    const id = `block-${block.id}`;
    const area = h("textarea", { id, rows: String(Math.min(14, Math.max(3, block.value.split("\n").length + 1))), readonly: block.read_only, dir: "auto", value: block.value, spellcheck: "false" });
    const size = h("span", { class: "muted num" });
    const save = button("Save", { kind: "primary small", type: "submit" });
    const state = () => {
      setText(size, `${count(area.value.length)} of ${count(block.limit)} characters`);
      save.hidden = area.value === block.value;
      size.classList.toggle("over", area.value.length > block.limit);
    };
    area.addEventListener("input", state);
    const send = async () => {
      try {
        const kept = await ask("PATCH", `v1/agents/${this.id}/core-memory/blocks/${encodeURIComponent(block.label)}`, { value: area.value });
        block.value = kept.value;
        state();
        toast(`${block.label} saved`);
      } catch (error) {
        toast(error.message, "bad");
      }
    };
    state();
    return h("li", { class: "card" }, h("form", { on: { submit: (event) => (event.preventDefault(), send()) } },
      h("div", { class: "card-head" }, h("label", { for: id, class: "strong" }, block.label), block.read_only && h("span", { class: "chip" }, "read only"), size, save),
      block.description && h("p", { class: "muted" }, block.description), area));
  }

  tools() {
    const { tools } = this.agent;
    if (!tools.length) return fill(this.body, h("div", { class: "empty" }, h("h2", {}, "No tools"), h("p", {}, "This agent can speak, and nothing else.")));
    return fill(this.body, h("ul", { class: "cards" }, tools.map((tool) => h("li", { class: "card" },
      h("div", { class: "card-head" }, h("code", { class: "call-name" }, tool.name), h("span", { class: "chip" }, tool.tool_type.replaceAll("_", " ")), tool.default_requires_approval && badge("approval", "Asks first")),
      h("p", { class: "muted" }, line(tool.description, 400)),
      h("details", {}, h("summary", {}, "Parameters"), h("pre", { class: "field-text", tabindex: "0", role: "group", "aria-label": `Parameters of ${tool.name}` }, JSON.stringify(tool.json_schema?.parameters ?? {}, null, 2)))))));
  }

  async conversations() {
    fill(this.body);
    const found = await get(`v1/conversations/?agent_id=${this.id}&limit=100`).catch((error) => (error.status === 404 ? [] : Promise.reject(error))).catch((error) => (toast(error.message, "bad"), []));
    if (this.tabId !== "conversations") return;
    if (!found.length) {
      fill(this.body, h("div", { class: "empty" }, h("h2", {}, "No other conversations"), h("p", {}, "Everything so far was said in the agent's own history: the chat.")));
      return;
    }
    fill(this.body, h("ul", { class: "cards" }, found.map((each) => h("li", { class: "card" }, h("div", { class: "card-head" },
      h("span", { class: "strong" }, line(each.summary, 120) || "Conversation"), h("span", { class: "muted" }, when(ms(each.last_message_at ?? each.created_at))),
      h("a", { href: `#/runs?conversation=${encodeURIComponent(each.id)}` }, "Its runs")), h("code", { class: "muted" }, each.id)))));
  }

  closeChat() {
    this.follower?.stop();
    this.follower = null;
    this.waiting = [];
    this.talk = null;
    if (this.scrolled) this.main.removeEventListener("scroll", this.scrolled);
  }

  dispose() {
    this.leave();
    this.closeChat();
    this.agent = null;
  }
}
