// A run as people read it: what was asked, thought, called, returned and said, piece by piece as it comes.
// It is given events or stored messages in their order and never asks the server for anything.

import { h, icon, setText } from "./dom.js";
import { line, pretty } from "./format.js";
import { LiveText, plain } from "./markdown.js";
import { badge, setBadge } from "./status.js";

const FIELD_CHARS_MAX = 20_000;
const PICTURES = /^image\/(png|jpeg|gif|webp)$/;

/** A growing plain text, bounded in what is shown. */
class LivePre {
  constructor(label) {
    this.el = h("pre", { class: "field-text", tabindex: "0", role: "group", "aria-label": label, dir: "auto" });
    this.text = "";
  }

  append(text) {
    this.text += plain(text);
  }

  paint() {
    const shown = pretty(this.text);
    setText(this.el, shown.length > FIELD_CHARS_MAX ? `${shown.slice(0, FIELD_CHARS_MAX)}\n… ${(shown.length - FIELD_CHARS_MAX).toLocaleString()} more characters` : shown);
  }
}

/** The words of a message's content; pictures are shown beside them. */
export function textOf(content) {
  if (typeof content === "string") return content;
  return (content ?? []).filter((part) => part.type !== "image").map((part) => part.text ?? part.reasoning ?? `[${part.type}]`).join("\n");
}

/** A picture that came with a message. Only what the message holds is shown: the page asks no other host for one. */
function picture(part) {
  const { media_type: type = "", data, url } = part.source ?? {};
  if (data && PICTURES.test(type)) return h("img", { class: "picture", src: `data:${type};base64,${data}`, alt: "Picture in the message", loading: "lazy" });
  return h("p", { class: "muted" }, /^https?:/i.test(url ?? "") ? ["Picture: ", h("a", { href: url, rel: "noopener noreferrer nofollow", target: "_blank" }, line(url, 120))] : "A picture that is not kept in the message");
}

class Speech {
  constructor(role, who) {
    this.text = new LiveText();
    this.el = h("article", { class: `item said ${role}`, "aria-label": who }, h("h3", { class: "who" }, who), this.text.el);
  }

  append(text) {
    this.text.append(text);
  }

  paint() {
    this.text.paint();
  }
}

/** A text that opens: what was thought, and what was summed up. */
class Folded {
  constructor(title, drawing, open) {
    this.text = new LiveText();
    this.hint = h("span", { class: "hint" });
    this.el = h("details", { class: "item reasoning", open },
      h("summary", {}, icon(drawing), h("span", { class: "fold-name" }, title), this.hint, icon("chevron")), h("div", { class: "fold" }, this.text.el));
    this.el.addEventListener("toggle", () => this.paint());
  }

  append(text) {
    this.text.append(text);
  }

  paint() {
    if (this.el.open) this.text.paint();
    setText(this.hint, line(this.text.text, 90));
  }
}

class Call {
  constructor(name) {
    this.name = "";
    this.args = new LivePre("Arguments");
    this.title = h("code", { class: "call-name" });
    this.hint = h("span", { class: "hint" });
    this.mark = badge("pending", "Called");
    this.fold = h("div", { class: "fold" }, h("h4", {}, "Arguments"), this.args.el);
    this.el = h("details", { class: "item call" }, h("summary", {}, icon("tool"), this.title, this.hint, this.mark, icon("chevron")), this.fold);
    this.el.addEventListener("toggle", () => this.paint());
    this.rename(name);
  }

  rename(name) {
    if (name && !this.name.endsWith(name)) this.name += name;
    setText(this.title, this.name || "tool");
  }

  asks() {
    this.approval = true;
    setBadge(this.mark, "approval");
  }

  returned(result) {
    const failed = result.status === "error";
    setBadge(this.mark, failed ? "failed" : "success");
    const output = new LivePre(failed ? "Error" : "Return");
    output.append(result.tool_return ?? "");
    output.paint();
    const streams = ["stdout", "stderr"].filter((name) => result[name]?.length);
    this.fold.append(h("h4", {}, failed ? "Error" : "Return"), output.el);
    for (const name of streams) {
      const pre = new LivePre(name);
      pre.append(result[name].join("\n"));
      pre.paint();
      this.fold.append(h("h4", {}, name), pre.el);
    }
    if (failed) this.el.open = true;
  }

  decided(decision) {
    setBadge(this.mark, decision.approve ? "pending" : "cancelled", decision.approve ? "Approved" : "Denied");
    if (decision.reason) this.fold.append(h("h4", {}, "Reason"), h("p", {}, decision.reason));
  }

  append(text) {
    this.args.append(text);
  }

  paint() {
    if (this.el.open) this.args.paint();
    setText(this.hint, line(this.args.text, 90));
  }
}

/** `live`: what is thought is shown while it is thought. */
export class Conversation {
  constructor({ live = false, label = "Conversation" } = {}) {
    this.live = live;
    this.el = h("div", { class: "conversation", role: "log", "aria-live": "off", "aria-label": label });
    this.items = new Map();
    this.calls = new Map();
    this.whole = new Set();
    this.open = null;
    this.dirty = new Set();
    this.frame = 0;
    this.painted = [];
  }

  /** Call `fn` after each painting. */
  onPaint(fn) {
    this.painted.push(fn);
  }

  /** Events or messages, in their order. Pieces of one message grow together. */
  add(events) {
    for (const event of events) this.one(event);
    this.plan();
  }

  /** Stored messages: whole, and each shown once however often it is given. */
  addWhole(messages) {
    const fresh = messages.filter((message) => !this.whole.has(`${message.id}/${message.message_type}`));
    for (const message of fresh) this.whole.add(`${message.id}/${message.message_type}`);
    this.add(fresh);
  }

  plan() {
    this.frame ||= requestAnimationFrame(() => this.paint());
  }

  paint() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    for (const item of this.dirty) item.paint();
    this.dirty.clear();
    for (const fn of this.painted) fn();
  }

  item(event, make) {
    const key = `${event.id}/${event.message_type}`;
    let item = this.items.get(key);
    if (!item) {
      item = make();
      item.of = event.id;
      this.items.set(key, item);
      this.el.append(item.el);
    }
    this.dirty.add(item);
    return item;
  }

  one(event) {
    switch (event.message_type) {
      case "user_message": return this.user(event);
      case "assistant_message": return this.item(event, () => new Speech("assistant", "Agent")).append(textOf(event.content));
      case "reasoning_message": return this.item(event, () => new Folded("Reasoning", "thought", this.live)).append(event.reasoning ?? "");
      case "hidden_reasoning_message": return this.item(event, () => new Folded("Reasoning", "thought", false)).append(event.hidden_reasoning ?? "The model keeps this to itself.");
      case "tool_call_message": case "approval_request_message": return this.called(event);
      case "tool_return_message": return this.returned(event);
      case "approval_response_message": return this.answered(event);
      case "summary_message": return this.item(event, () => new Folded("Summary of what was before", "summary", false)).append(event.summary ?? "");
      case "system_message": return this.item(event, () => new Speech("system", "System")).append(textOf(event.content));
      case "error_message": return this.failed(event);
      // Not of the API: a history says with it how a run ended that broke off.
      case "runstead_cancelled": return this.item(event, () => new Speech("system", "Cancelled"));
      case "ping": return this.superseded(event);
      default: return undefined;
    }
  }

  user(event) {
    const text = textOf(event.content);
    const system = systemKind(text);
    const item = this.item(event, () => (system ? new Speech("system", system) : new Speech("user", "User")));
    item.append(text);
    if (Array.isArray(event.content)) item.el.append(...event.content.filter((part) => part.type === "image").map(picture));
  }

  called(event) {
    const calls = [event.tool_calls ?? event.tool_call].flat().filter(Boolean);
    for (const call of calls) {
      const id = call.tool_call_id ?? this.open;
      this.open = id;
      let item = this.calls.get(id);
      if (!item) {
        item = new Call(call.name);
        item.of = event.id;
        this.calls.set(id, item);
        this.el.append(item.el);
      } else if (call.name && item.args.text === "") item.rename(call.name);
      if (event.message_type === "approval_request_message" && !item.approval) item.asks();
      item.append(call.arguments ?? "");
      this.dirty.add(item);
    }
  }

  returned(event) {
    for (const result of event.tool_returns ?? [event]) {
      let item = this.calls.get(result.tool_call_id);
      if (!item) {
        item = new Call(event.name ?? "tool");
        this.calls.set(result.tool_call_id, item);
        this.el.append(item.el);
      }
      if (!item.over) item.returned(result);
      item.over = true;
      this.dirty.add(item);
    }
  }

  answered(event) {
    const given = event.approvals ?? [];
    const lone = given.filter((each) => !this.calls.has(each.tool_call_id));
    for (const each of given) {
      if (each.type !== "tool" && this.calls.has(each.tool_call_id)) this.calls.get(each.tool_call_id).decided(each);
    }
    if (!lone.length && given.length) return;
    const words = given.map((each) => (each.type === "tool" ? "The client returned a tool's result" : `${each.approve ? "Approved" : "Denied"} a tool call${each.reason ? `: ${each.reason}` : ""}`));
    this.item(event, () => new Speech("user", "Answer")).append(words.join("\n") || "Answered");
  }

  failed(event) {
    this.el.append(failure("The run failed", event.error_type, event.message, event.detail));
  }

  superseded(event) {
    for (const item of [...this.items.values(), ...this.calls.values()]) {
      if (!event.superseded_message_ids?.includes(item.of) || item.gone) continue;
      item.gone = true;
      item.el.classList.add("superseded");
      const head = item.el.matches("details") ? item.el.firstChild : item.el;
      head.prepend(badge("abandoned", head === item.el ? `Abandoned; said again by attempt ${event.attempt ?? "next"}` : "Abandoned"));
    }
  }

  get empty() {
    return this.el.childElementCount === 0;
  }
}

/** What the older loops send the agent in a user's name: a heartbeat, a login. */
function systemKind(text) {
  if (!text.startsWith("{")) return null;
  try {
    const { type } = JSON.parse(text);
    return type === "heartbeat" ? "Heartbeat" : type === "system_alert" ? "System alert" : null;
  } catch {
    return null;
  }
}

/** What went wrong, in the server's words. */
export function failure(title, kind, message, detail) {
  return h("div", { class: "failure" }, icon("alert", 18),
    h("div", {}, h("h3", {}, title, kind && h("code", {}, kind)), message && h("p", { dir: "auto" }, plain(message)),
      detail && detail !== message && h("pre", { tabindex: "0", role: "group", "aria-label": "Details", dir: "auto" }, plain(String(detail)).slice(0, FIELD_CHARS_MAX))));
}
