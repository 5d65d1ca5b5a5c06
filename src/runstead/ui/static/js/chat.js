// A talk with an agent: its own history, or one of its conversations. What is said here is a run in the background.
// It shows the history, follows what goes on one run after the other, and says how the last one ended.

import { ask, get, query } from "./api.js";
import { composer } from "./composer.js";
import { Conversation, failure } from "./conversation.js";
import { showDecision } from "./decision.js";
import { button, fill, h, toast } from "./dom.js";
import { ms, when } from "./format.js";
import { Follower, feed } from "./live.js";
import { active, badge, setBadge, standing } from "./status.js";

const HISTORY = 60;
const FOLLOWED_MAX = 50;
// Runs without an answer among which those of the history are looked for.
const BROKEN_MAX = 200;
const NEAR_END_PX = 120;
const INPUTS = new Set(["user_message", "approval_response_message"]);

/** A list that begins with the newest, turned round; what one message says in several parts stays in its order. */
function oldestFirst(found) {
  const groups = [];
  for (const message of found) {
    if (groups.at(-1)?.[0].id === message.id) groups.at(-1).push(message);
    else groups.push([message]);
  }
  return groups.reverse().flat();
}

/** A message as what a reader sees of it, or null. */
function seen(message) {
  return message.message_type === "system_message" ? null : message;
}

export class Chat {
  /** `conversation`: its id, or null for the agent's own history. */
  constructor({ agent, conversation = null }) {
    this.agent = agent;
    this.conversation = conversation;
    this.main = document.getElementById("main");
    this.waiting = [];
    this.stick = true;
    this.ready = false;
    this.early = [];
    // Runs whose input is on the page or being read, those of which it is being read, and those that are followed, were, or will be.
    this.shown = new Set();
    this.reading = new Set();
    this.followed = new Set();
    this.talk = this.part({ live: true });
    this.talk.onPaint(() => this.stick && (this.main.scrollTop = this.main.scrollHeight));
    this.scrolled = () => (this.stick = this.main.scrollHeight - this.main.scrollTop - this.main.clientHeight < NEAR_END_PX);
    this.main.addEventListener("scroll", this.scrolled, { passive: true });
    this.more = button("Earlier messages", { kind: "small", onclick: () => this.earlier() });
    this.more.hidden = true;
    this.past = h("div", { class: "conversation" });
    this.status = h("div", { class: "chat-status", hidden: true });
    this.queue = h("div", { class: "conversation" });
    this.question = h("div", {});
    this.greeting = h("p", { class: "empty small", hidden: true }, conversation ? "Nothing was said here yet." : `${agent.name} has not been spoken to yet. Say something.`);
    const box = composer({ agent: agent.id, conversation, label: `Message to ${agent.name}`, onSent: (run, text) => this.sent(run, text) });
    this.el = h("div", { class: "chat" }, h("div", { class: "earlier" }, this.more), this.greeting, this.past, this.talk.el, this.question, this.status, this.queue, box.el);
    this.leave = feed.subscribe((event) => this.told(event));
    this.load();
  }

  part(options = {}) {
    return new Conversation({ label: `Conversation with ${this.agent.name}`, ...options });
  }

  /** The runs of this history, of which the API is asked more. */
  runs(more) {
    return `v1/runs/?${query({ agent_id: this.agent.id, conversation_id: this.conversation, ...more })}`;
  }

  mine(run) {
    return (run.conversation_id ?? null) === this.conversation;
  }

  /** A page of the history before a message, oldest first. */
  async history(before) {
    // The agent's own list of messages would hold those of all its conversations, too.
    const own = this.conversation ? {} : { agent_id: this.agent.id };
    const found = await get(`v1/conversations/${encodeURIComponent(this.conversation ?? "default")}/messages?${query({ ...own, limit: HISTORY, before })}`);
    return oldestFirst(found);
  }

  async load() {
    try {
      const running = (await get(this.runs({ active: true, order: "asc", limit: FOLLOWED_MAX }))).filter((run) => this.mine(run));
      const [found, broken] = await Promise.all([this.history(), this.brokenRuns()]);
      if (this.over) return;
      this.broken = broken;
      // What an unfinished run said comes from its events, also where it began meanwhile; what was said to it comes from the history.
      const live = new Set([...running, ...this.early].map((run) => run.id));
      const before = found.filter((message) => seen(message) && !live.has(message.run_id));
      this.showHistory(this.talk, before);
      for (const message of found) this.shown.add(message.run_id);
      this.oldest = found[0]?.id;
      this.more.hidden = found.length < HISTORY;
      this.greeting.hidden = before.length > 0 || running.length > 0 || this.early.length > 0;
      this.ready = true;
      const inputs = (id) => found.filter((message) => message.run_id === id && INPUTS.has(message.message_type));
      for (const run of running) this.follow(run.id, inputs(run.id));
      for (const run of this.early) this.begun(run, inputs(run.id));
      if (live.size === 0) this.settle();
    } catch (error) {
      if (this.over) return;
      fill(this.past, failure("The history could not be read", null, error.message));
    }
  }

  /** Runs that ended without an answer, by id: the history itself does not say why nothing follows. */
  async brokenRuns() {
    const found = await get(this.runs({ statuses: ["failed", "cancelled"], limit: BROKEN_MAX })).catch(() => []);
    return new Map(found.filter((run) => this.mine(run)).map((run) => [run.id, run]));
  }

  /** Messages, and after those of a run that broke, how it ended. */
  showHistory(talk, messages) {
    talk.addWhole(messages.flatMap((message, index) => {
      const run = this.broken.get(message.run_id);
      return run && messages[index + 1]?.run_id !== message.run_id ? [message, ending(run)] : [message];
    }));
  }

  async earlier() {
    this.more.disabled = true;
    try {
      const found = await this.history(this.oldest);
      if (this.over) return;
      const part = this.part();
      this.showHistory(part, found.filter(seen));
      part.paint();
      const below = this.main.scrollHeight - this.main.scrollTop;
      this.past.prepend(...part.el.children);
      this.main.scrollTop = this.main.scrollHeight - below;
      this.oldest = found[0]?.id ?? this.oldest;
      this.more.hidden = found.length < HISTORY;
    } catch (error) {
      toast(error.message, "bad");
    } finally {
      this.more.disabled = false;
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
  begun({ id, text, background }, inputs = []) {
    if (this.reading.has(id)) return;
    if (text === undefined && !(background && this.shown.has(id))) {
      this.elsewhere({ id, background });
      return;
    }
    this.follow(id, inputs.length || this.shown.has(id) ? inputs : [{ message_type: "user_message", id: `sent-${id}`, content: text, run_id: id }]);
  }

  /** Show what was said to a run and what it says, once those before it are over; each run once. */
  follow(run, inputs) {
    this.shown.add(run);
    if (this.followed.has(run)) return;
    this.followed.add(run);
    if (!this.follower) {
      this.attach(run, inputs);
      return;
    }
    this.waiting.push([run, inputs]);
    this.showQueue();
  }

  /** What waits in line stands below what goes on. */
  showQueue() {
    const part = this.part();
    part.add(this.waiting.flatMap(([, inputs]) => inputs));
    part.paint();
    fill(this.queue, [...part.el.children]);
    for (const el of this.queue.children) el.classList.add("waits");
  }

  attach(run, inputs) {
    this.talk.addWhole(inputs);
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
    this.showQueue();
    if (next) this.attach(...next);
    else this.settle();
  }

  /** Nothing is said any more: how did the last run end, and does it ask for something? */
  async settle() {
    try {
      const found = await get(this.runs({ limit: this.conversation ? 1 : 20, include: "runstead.summary" }));
      const last = found.find((run) => this.mine(run));
      if (!last || this.over || this.follower) return;
      this.status.hidden = false;
      fill(this.status, badge(standing(last)), h("span", { class: "muted" }, when(ms(last.completed_at))), h("a", { href: `#/runs/${last.id}` }, "Open the run"));
      if (standing(last) === "approval") showDecision(this.question, last, (run) => (fill(this.question), this.follow(run, [])));
      else fill(this.question);
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  /** Somebody else began a run of this agent, or a quick one is over before it was seen to begin. */
  told(event) {
    if (event.message_type !== "run_changed" || event.run.agent_id !== this.agent.id || !this.mine(event.run)) return;
    if (!event.run.background && active(event.run)) return;
    if (!this.ready) this.early.push(event.run);
    else if (!this.shown.has(event.run_id)) this.elsewhere(event.run);
  }

  async elsewhere(run) {
    this.shown.add(run.id);
    this.reading.add(run.id);
    const said = await get(`v1/runs/${run.id}/messages?limit=1000`).catch(() => []);
    if (this.over) return;
    this.reading.delete(run.id);
    this.greeting.hidden = true;
    if (run.background) {
      this.follow(run.id, said.filter((message) => INPUTS.has(message.message_type)));
      return;
    }
    this.talk.addWhole(run.status === "failed" || run.status === "cancelled" ? [...said, ending(run)] : said);
    this.settle();
  }

  async cancel(run) {
    await ask("POST", `v1/agents/${this.agent.id}/messages/cancel`, { run_ids: [run] }).catch((error) => toast(error.message, "bad"));
  }

  dispose() {
    this.over = true;
    this.leave();
    this.follower?.stop();
    this.main.removeEventListener("scroll", this.scrolled);
  }
}

/** How a run ended that broke, as an event of the conversation. */
function ending(run) {
  const told = run.metadata?.error ?? {};
  return { id: `end-${run.id}`, message_type: run.status === "failed" ? "error_message" : "runstead_cancelled", run_id: run.id, error_type: told.error_type ?? run.stop_reason, message: told.message ?? null, detail: told.detail ?? null };
}
