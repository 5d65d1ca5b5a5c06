// Questions that stand before everything else: the browser's own dialogs, so focus and Escape do what people expect.

import { button, h } from "./dom.js";

let count = 0;

/** Ask. `fields` are elements with a `name`; resolves to their values by name, or null. */
export function ask({ title, text, fields = [], yes = "OK", kind = "primary", no = "Cancel" }) {
  const id = `dialog-${(count += 1)}`;
  return new Promise((resolve) => {
    const form = h("form", { method: "dialog", class: "dialog-form" },
      h("h2", { id: `${id}-title` }, title),
      text && h("p", { id: `${id}-text`, class: "muted" }, text),
      fields,
      h("div", { class: "dialog-buttons" },
        no && button(no, { onclick: () => dialog.close() }),
        button(yes, { kind, type: "submit" })));
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": `${id}-title`, "aria-describedby": text ? `${id}-text` : null }, form);
    let answer = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      answer = Object.fromEntries([...form.elements].filter((el) => el.name).map((el) => [el.name, el.value]));
      dialog.close();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A labelled input for a dialog or a form. */
export function field(label, input, hint) {
  const id = (input.id ||= `field-${(count += 1)}`);
  const note = hint && h("small", { class: "muted", id: `${id}-hint` }, hint);
  if (note) input.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: id }, label), input, note);
}

export async function confirm(title, text, yes) {
  return (await ask({ title, text, yes, kind: "danger" })) !== null;
}

/** The key of a server that asks for one. */
export async function askKey(words) {
  const input = h("input", { name: "key", type: "password", required: true, autocomplete: "off", spellcheck: "false", autofocus: true });
  const given = await ask({
    title: "This server asks for a key",
    text: `${words} The key stays in this tab and is forgotten with it.`,
    fields: [field("API key or password", input, "Make one with: runstead keys create NAME")],
    yes: "Open",
    no: "Not now",
  });
  return given === null ? null : given.key.trim() || null;
}
