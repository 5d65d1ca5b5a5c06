// How a run stands, in one word, one colour and one shape: colour alone says nothing to many.

import { h, setText, svg } from "./dom.js";
import { ms } from "./format.js";

export const STATUSES = ["created", "running", "completed", "failed", "cancelled"];
const WORDS = { created: "Queued", running: "Running", completed: "Completed", failed: "Failed", cancelled: "Cancelled", approval: "Needs approval", abandoned: "Abandoned", pending: "Running", success: "Done" };
// Drawn in a square of 16: a ring, most of a ring, a tick, a cross, a barred ring, a question, a way back.
const RING = "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11z";
const ARC = "M8 2.5a5.5 5.5 0 1 0 5.5 5.5";
const TICK = "M3 8.5l3.4 3.5L13 4.5";
const MARKS = {
  created: RING, running: ARC, pending: ARC, completed: TICK, success: TICK, failed: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  cancelled: `${RING}M4.2 11.8l7.6-7.6`, approval: "M5.2 5.8a2.8 2.8 0 1 1 4.2 2.4c-.9.5-1.4 1-1.4 2M8 12.8v.4", abandoned: "M3 8a5 5 0 1 0 1.5-3.5M3 3v2.8h2.8",
};
const REASONS = {
  end_turn: "finished", error: "error", llm_api_error: "model error", invalid_llm_response: "invalid model answer", invalid_tool_call: "invalid tool call",
  max_steps: "step limit", max_tokens_exceeded: "token limit", no_tool_call: "no tool call", tool_rule: "tool rule", cancelled: "cancelled",
  insufficient_credits: "no credits", requires_approval: "needs approval", context_window_overflow_in_system_prompt: "context too small",
};
export const STOP_REASONS = Object.keys(REASONS);

export const word = (status) => WORDS[status] ?? status;
export const reasonWord = (reason) => REASONS[reason] ?? reason;
export const active = (run) => run.status === "created" || run.status === "running";

/** What to show of a run: its status, or that it stopped to ask. */
export function standing(run) {
  return run.status === "completed" && run.stop_reason === "requires_approval" ? "approval" : run.status;
}

/** The word with its mark. `setBadge` changes it in place. */
export function badge(status, text) {
  const mark = svg("svg", { class: "mark", viewBox: "0 0 16 16", width: 13, height: 13, "aria-hidden": "true", focusable: "false" }, svg("path"));
  const el = h("span", {}, mark, h("span", { class: "badge-text" }));
  setBadge(el, status, text);
  return el;
}

export function setBadge(el, status, text) {
  const name = `badge is-${status}`;
  if (el.className !== name) {
    el.className = name;
    el.firstChild.firstChild.setAttribute("d", MARKS[status] ?? RING);
  }
  setText(el.lastChild, text ?? word(status));
}

/** How long a run has taken, or takes by now. */
export function elapsed(run, now = Date.now()) {
  if (run.total_duration_ns) return run.total_duration_ns / 1e6;
  const end = ms(run.completed_at) ?? (active(run) ? now : null);
  return end === null ? null : Math.max(0, end - ms(run.created_at));
}
