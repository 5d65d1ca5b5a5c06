// What waits for a person: which calls, asked by whom, and the answer. An answer makes a new run.

import { begin, get } from "./api.js";
import { button, fill, h, icon } from "./dom.js";
import { field } from "./dialog.js";
import { moment, ms, pretty, until } from "./format.js";
import { plain } from "./markdown.js";

const SHOWN_CHARS_MAX = 4000;

/** The message in which a run asks, or null where the question was answered, or has gone with its run or agent. */
export async function pendingOf(run) {
  const found = await get(`v1/runs/${run.id}?include=runstead.pending_approval`).catch((error) => {
    if (error.status === 404) return {};
    throw error;
  });
  return found.pending_approval ?? null;
}

/** Until when a question waits, in words; to be said anew as time goes by. */
export function sayDeadline(el) {
  const note = el.querySelector(".deadline");
  if (note) note.textContent = `Expires ${until(Number(note.dataset.at))}; then the server answers it.`;
}

function deadline(pending) {
  const at = ms(pending.expires_at);
  if (at === null) return h("p", { class: "muted" }, "Waits until somebody answers.");
  return h("p", { class: "muted deadline", title: moment(at), "data-at": String(at) });
}

function callsOf(pending) {
  return [pending.tool_calls ?? pending.tool_call].flat().filter(Boolean);
}

let count = 0;

/** The question with its answers. `onAnswered` is given the run that the answer makes. */
export function decision(run, pending, onAnswered) {
  const calls = callsOf(pending);
  const several = calls.length > 1;
  const number = (count += 1);
  const reason = h("input", { type: "text", maxlength: "2000", placeholder: "Optional", autocomplete: "off" });
  const error = h("p", { class: "error", role: "alert", hidden: true });
  const choices = new Map();

  const choice = (call) => {
    const name = `decision-${number}-${call.tool_call_id}`;
    const radio = (value, text, on) => h("label", {}, h("input", { type: "radio", name, value, checked: on }), text);
    const set = h("fieldset", { class: "choice" }, h("legend", {}, `Answer for ${call.name}`), radio("yes", "Approve", true), radio("no", "Deny", false));
    choices.set(call.tool_call_id, set);
    return set;
  };

  const send = async (approve) => {
    error.hidden = true;
    for (const each of el.querySelectorAll("button")) each.disabled = true;
    const approvals = calls.map((call) => {
      const yes = several ? choices.get(call.tool_call_id).querySelector("input:checked").value === "yes" : approve;
      return { type: "approval", tool_call_id: call.tool_call_id, approve: yes, reason: reason.value.trim() || null };
    });
    try {
      onAnswered(await begin(run.agent_id, run.conversation_id, [{ type: "approval", approvals }]));
    } catch (failed) {
      for (const each of el.querySelectorAll("button")) each.disabled = false;
      error.hidden = false;
      error.textContent = failed.message;
    }
  };

  const el = h("section", { class: "decision", "aria-label": "Approval" },
    h("h3", {}, icon("approvals", 18), several ? `${calls.length} tool calls need an answer` : "A tool call needs an answer"),
    calls.map((call) => {
      const text = plain(pretty(call.arguments ?? ""));
      return h("div", { class: "asked" }, h("code", { class: "call-name" }, call.name),
        h("pre", { class: "field-text", tabindex: "0", role: "group", "aria-label": `Arguments of ${call.name}`, dir: "auto" }, text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text || "No arguments"),
        several && choice(call));
    }),
    deadline(pending),
    field("Reason", reason, "The agent reads it where you deny."),
    error,
    h("div", { class: "buttons" }, several
      ? button("Send answers", { kind: "primary", onclick: () => send(null) })
      : [button("Approve", { kind: "primary", drawing: "check", onclick: () => send(true) }), button("Deny", { kind: "danger", drawing: "cross", onclick: () => send(false) })]));
  sayDeadline(el);
  return el;
}

/** Show, in `slot`, the question that a run ended with, if it still waits. */
export async function showDecision(slot, run, onAnswered) {
  try {
    const pending = await pendingOf(run);
    fill(slot, pending && decision(run, pending, onAnswered));
  } catch (error) {
    fill(slot, h("p", { class: "error" }, error.message));
  }
}
