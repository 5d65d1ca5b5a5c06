// How a run stands, in one word, one colour and one shape: colour alone says nothing to many.

import { h, setText } from "./dom.js";
import { ms } from "./format.js";

export const STATUSES = ["created", "running", "completed", "failed", "cancelled"];
const WORDS = { created: "Queued", running: "Running", completed: "Completed", failed: "Failed", cancelled: "Cancelled", approval: "Needs approval", abandoned: "Abandoned", pending: "Running", success: "Done" };
const SHAPES = { created: "○", running: "◐", completed: "●", failed: "✕", cancelled: "◌", approval: "?", abandoned: "↺", pending: "◐", success: "●" };
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
  const el = h("span", {}, h("span", { class: "mark", "aria-hidden": "true" }), h("span", { class: "badge-text" }));
  setBadge(el, status, text);
  return el;
}

export function setBadge(el, status, text) {
  const name = `badge is-${status}`;
  if (el.className !== name) el.className = name;
  setText(el.firstChild, SHAPES[status] ?? "●");
  setText(el.lastChild, text ?? word(status));
}

/** How long a run has taken, or takes by now. */
export function elapsed(run, now = Date.now()) {
  if (run.total_duration_ns) return run.total_duration_ns / 1e6;
  const end = ms(run.completed_at) ?? (active(run) ? now : null);
  return end === null ? null : Math.max(0, end - ms(run.created_at));
}
