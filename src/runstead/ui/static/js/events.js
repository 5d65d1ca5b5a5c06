// A run's events as they are in its log: number, type and JSON. For who wants to know exactly.

import { button, copy, fill, h, setText } from "./dom.js";
import { count, line } from "./format.js";
import { VirtualList } from "./virtual.js";

const KEPT_MAX = 50_000;
const NOISE = new Set(["id", "date", "name", "message_type", "otid", "sender_id", "step_id", "is_err", "seq_id", "run_id", "tool_calls", "tool_returns"]);

function gist(event) {
  const { content, reasoning, tool_call: call, tool_return: result, message, stop_reason: reason, total_tokens: total } = event;
  if (typeof content === "string") return content;
  if (reasoning) return reasoning;
  if (call) return `${call.name ?? ""}${call.arguments ?? ""}`;
  const rest = Object.fromEntries(Object.entries(event).filter(([name, value]) => !NOISE.has(name) && value !== null));
  return result ?? message ?? reason ?? (total === undefined ? (Object.keys(rest).length ? JSON.stringify(rest) : "") : `${total} tokens`);
}

export class RawEvents {
  constructor() {
    this.events = [];
    this.chosen = null;
    this.total = h("span", { class: "muted" }, "No events yet");
    this.list = new VirtualList({ rowHeight: () => 30, make: (index) => this.row(index), props: { class: "v-list raw-list", role: "group", "aria-label": "Events", tabindex: "0" } });
    this.detail = h("pre", { class: "field-text raw-detail", tabindex: "0", role: "group", "aria-label": "The chosen event", hidden: true });
    this.el = h("div", { class: "raw" },
      h("div", { class: "raw-head" }, this.total, button("Copy all", { drawing: "copy", kind: "small", onclick: () => copy(this.events.map((event) => JSON.stringify(event)).join("\n"), "Events") })),
      this.list.el, this.detail);
  }

  add(events) {
    this.events.push(...events);
    if (this.events.length > KEPT_MAX) {
      this.events.splice(0, this.events.length - KEPT_MAX);
      this.list.clear();
    }
    this.dirty = true;
    if (this.el.offsetParent) this.shown();
  }

  shown() {
    if (!this.dirty) return;
    this.dirty = false;
    setText(this.total, `${count(this.events.length)} ${this.events.length === 1 ? "event" : "events"}`);
    this.list.setCount(this.events.length);
  }

  row(index) {
    const event = this.events[index];
    if (!event) return null;
    return h("button", { type: "button", class: "raw-row", "aria-pressed": String(this.chosen === event), on: { click: () => this.choose(event) } },
      h("span", { class: "num muted" }, event.seq_id ?? "–"), h("span", { class: "raw-type" }, event.message_type), h("span", { class: "raw-gist" }, line(String(gist(event)), 120)));
  }

  choose(event) {
    this.chosen = event;
    this.detail.hidden = false;
    fill(this.detail, JSON.stringify(event, null, 2));
    for (const [index, row] of this.list.rows) row.setAttribute("aria-pressed", String(this.events[index] === event));
  }

  stop() {
    this.list.stop();
  }
}
