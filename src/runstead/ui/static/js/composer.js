// Where a message is written. Enter sends, Shift and Enter begin a new line.

import { begin } from "./api.js";
import { button, h } from "./dom.js";

const HEIGHT_MAX_PX = 220;

/** `onSent` is given the new run and the text. `conversation` may be null: the agent's own history. */
export function composer({ agent, conversation = null, label, onSent }) {
  const input = h("textarea", { rows: "1", "aria-label": label, placeholder: label, maxlength: "1000000", autocomplete: "off" });
  const error = h("p", { class: "error", role: "alert", hidden: true });
  const sending = button("Send", { kind: "primary", drawing: "send", type: "submit" });
  const grow = () => {
    input.style.height = "auto";
    input.style.height = `${Math.min(input.scrollHeight + 2, HEIGHT_MAX_PX)}px`;
  };
  const send = async () => {
    const text = input.value.trim();
    if (!text || sending.disabled) return;
    sending.disabled = true;
    error.hidden = true;
    try {
      const run = await begin(agent, conversation, [{ role: "user", content: text }]);
      input.value = "";
      grow();
      onSent(run, text);
    } catch (failed) {
      error.textContent = failed.message;
      error.hidden = false;
    } finally {
      sending.disabled = false;
    }
  };
  input.addEventListener("input", grow);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  });
  const el = h("form", { class: "composer", on: { submit: (event) => (event.preventDefault(), send()) } }, error, h("div", { class: "composer-row" }, input, sending));
  return { el, input };
}
