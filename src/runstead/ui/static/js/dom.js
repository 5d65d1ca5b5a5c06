// Elements without markup: text is only ever text, so nothing that a model says can become a tag, a script or a style.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: attributes, `class`, `on` (listeners by event), `css` (custom properties and styles). */
export function h(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

function filled(el, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, fn] of Object.entries(value)) el.addEventListener(event, fn);
    else if (name === "css") setCss(el, value);
    else if (name === "class") el.setAttribute("class", value);
    else if (name === "value" && "value" in el && el.tagName !== "OPTION") el.value = value;
    else el.setAttribute(name, value === true ? "" : String(value));
  }
  el.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
  return el;
}

/** Styles by the object model, which a strict policy allows where it forbids style attributes. */
export function setCss(el, styles) {
  for (const [name, value] of Object.entries(styles)) el.style.setProperty(name, value);
}

/** Replace all children. */
export function fill(el, ...children) {
  el.replaceChildren(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
  return el;
}

/** Set a text only where it changed, so that an unchanged page is not laid out anew. */
export function setText(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

const PATHS = {
  runs: "M4 6h10M4 12h16M4 18h7",
  overview: "M4 20V10M10 20V4M16 20v-7M22 20H2",
  approvals: "M9 12l2.2 2.2L15.5 10M12 3l7 3v5.5c0 4.4-3 7.6-7 9.5-4-1.9-7-5.1-7-9.5V6z",
  agents: "M7 9h10a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H7a2 2 0 0 1-2-2v-6a2 2 0 0 1 2-2zM12 9V5M9.5 13.5v1M14.5 13.5v1",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4",
  moon: "M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5z",
  stop: "M7 7h10v10H7z",
  trash: "M5 7h14M10 7V5h4v2M7 7l1 13h8l1-13M10 11v5M14 11v5",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  send: "M12 19V5M6 11l6-6 6 6",
  chevron: "M9 6l6 6-6 6",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4.5 4.5",
  tool: "M14.5 6.5a4 4 0 0 0 5 5L12 19a2.5 2.5 0 0 1-3.5-3.5z",
  thought: "M9 18h6M10 21h4M12 3a6 6 0 0 0-3.6 10.8c.7.6 1.1 1.3 1.1 2.2h5c0-.9.4-1.6 1.1-2.2A6 6 0 0 0 12 3z",
  summary: "M5 6h14M5 12h14M5 18h7",
  alert: "M12 4l9 16H3zM12 10v4M12 17v.5",
  check: "M5 12.5l4.5 4.5L19 7.5",
  cross: "M6 6l12 12M18 6L6 18",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4l3 2",
  plus: "M12 5v14M5 12h14",
  back: "M15 6l-6 6 6 6",
  down: "M12 5v14M6 13l6 6 6-6",
};

/** A line drawing; it says nothing to who cannot see it. */
export function icon(name, size = 16) {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": "true", focusable: "false" },
    svg("path", { d: PATHS[name] }),
  );
}

/** A button with a drawing and a word. */
export function button(text, { onclick, kind = "", drawing, type = "button", ...props } = {}) {
  return h("button", { type, class: `button ${kind}`, on: onclick ? { click: onclick } : {}, ...props }, drawing && icon(drawing), text && h("span", {}, text));
}

const said = () => document.getElementById("said");

/** Tell who listens instead of looking. */
export function announce(text) {
  setText(said(), text);
}

/** A word in the corner, for a moment. */
export function toast(text, kind = "") {
  announce(text);
  const el = h("div", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(el);
  setTimeout(() => el.remove(), 5000);
}

/** Copy a text, also where the page was not opened over a secure connection. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "offscreen" });
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(`${what} copied`);
}

/** Let the browser paint and answer before going on. */
export function breathe() {
  return globalThis.scheduler?.yield ? globalThis.scheduler.yield() : new Promise((go) => setTimeout(go, 0));
}
