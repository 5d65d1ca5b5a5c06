// A small Markdown, from text to elements. No HTML, no images, links only to web and mail; what it does not know stays text.
// Text that is still being written is cut at blank lines: what is whole is made once, only the last part is made anew.

import { h } from "./dom.js";

const LINK = /^(https?:\/\/|mailto:)/i;
const PART_CHARS_MAX = 8_000;
// A line longer than this is no heading, rule or table; looking closely at it would cost more than it shows.
const MARKED_CHARS_MAX = 1_000;
const SHOWN_CHARS_MAX = 60_000;
const NESTING_MAX = 8;
const INLINE = /(`{1,8})([^`]|[^`][\s\S]{0,1000}?[^`])\1(?!`)|\*\*(?=\S)([\s\S]{0,1000}?\S)\*\*|(?<![\w*])\*(?=[^\s*])([^*\n]{0,500}?[^\s*])\*(?![\w*])|(?<!\w)_(?=\S)([^_\n]{0,500}?\S)_(?!\w)|~~(?=\S)([^~]{0,500}?\S)~~|\[([^[\]\n]{1,500})\]\(([^()\s]{1,2000})\)|(https?:\/\/[^\s<>\"'`\])}]{0,2000}[^\s<>\"'`\])}.,;:!?])/g;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;

/** A link that leads where it says, or the plain text where that is nowhere we go. */
function link(text, target, depth) {
  if (!LINK.test(target)) return text;
  return h("a", { href: target, title: target, rel: "noopener noreferrer nofollow", target: "_blank" }, inline(text, depth + 1));
}

function inline(text, depth = 0) {
  if (depth > NESTING_MAX || text.length > PART_CHARS_MAX) return [text];
  const out = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > at) out.push(text.slice(at, match.index));
    const [all, , code, strong, em, em2, gone, label, target, bare] = match;
    if (code !== undefined) out.push(h("code", {}, code.trim() || code));
    else if (strong !== undefined) out.push(h("strong", {}, inline(strong, depth + 1)));
    else if (em !== undefined || em2 !== undefined) out.push(h("em", {}, inline(em ?? em2, depth + 1)));
    else if (gone !== undefined) out.push(h("del", {}, inline(gone, depth + 1)));
    else if (label !== undefined) out.push(LINK.test(target) ? link(label, target, depth) : all);
    else out.push(h("a", { href: bare, rel: "noopener noreferrer nofollow", target: "_blank" }, bare));
    at = match.index + all.length;
  }
  if (at < text.length) out.push(text.slice(at));
  return out;
}

function cells(row) {
  return row.replace(/^\s*\||\|\s*$/g, "").split("|").map((cell) => cell.trim());
}

function table(lines) {
  const [head, , ...rows] = lines;
  return h("div", { class: "md-table", tabindex: "0", role: "group", "aria-label": "Table" },
    h("table", {},
      h("thead", {}, h("tr", {}, cells(head).map((cell) => h("th", { scope: "col" }, inline(cell))))),
      h("tbody", {}, rows.map((row) => h("tr", {}, cells(row).map((cell) => h("td", {}, inline(cell))))))));
}

function list(lines, depth) {
  const [, indent, mark] = ITEM.exec(lines[0]);
  const ordered = /\d/.test(mark);
  const items = [];
  for (const text of lines) {
    const match = ITEM.exec(text);
    if (match && match[1].length <= indent.length) items.push([match[3], []]);
    else items.at(-1)[1].push(text);
  }
  const start = ordered ? Number.parseInt(mark, 10) : 1;
  return h(ordered ? "ol" : "ul", { start: ordered && start !== 1 ? start : null },
    items.map(([text, below]) => h("li", {}, inline(text), below.length ? blocks(below.map((each) => each.replace(/^( {1,4}|\t)/, "")), depth + 1) : null)));
}

/** How many lines from `at` belong together, and what they make. */
function taken(lines, at, depth) {
  const first = lines[at];
  const fence = /^\s{0,3}(`{3,}|~{3,})\s*([\w+#.-]*)/.exec(first);
  if (fence) {
    let end = at + 1;
    while (end < lines.length && !lines[end].trimStart().startsWith(fence[1])) end += 1;
    const code = h("pre", { tabindex: "0", role: "group", "aria-label": fence[2] ? `Code, ${fence[2]}` : "Code" }, h("code", {}, lines.slice(at + 1, end).join("\n")));
    return [end + 1 - at, code];
  }
  const short = first.length <= MARKED_CHARS_MAX;
  const heading = short && /^(#{1,6})\s+(.*?)\s*#*$/.exec(first);
  if (heading) return [1, h("p", { class: `md-h md-h${heading[1].length}` }, inline(heading[2]))];
  if (short && /^\s{0,3}([-*_])\s*(\1\s*){2,}$/.test(first)) return [1, h("hr")];
  const run = (holds) => {
    let end = at;
    while (end < lines.length && holds(lines[end])) end += 1;
    return lines.slice(at, Math.max(end, at + 1));
  };
  if (first.startsWith(">") && depth < NESTING_MAX) {
    const quoted = run((each) => each.startsWith(">"));
    return [quoted.length, h("blockquote", {}, blocks(quoted.map((each) => each.replace(/^> ?/, "")), depth + 1))];
  }
  if (ITEM.test(first) && depth < NESTING_MAX) {
    const items = run((each) => ITEM.test(each) || /^\s+\S/.test(each));
    return [items.length, list(items, depth)];
  }
  if (first.includes("|") && (lines[at + 1] ?? "").length <= MARKED_CHARS_MAX && /^\s*\|?[\s:|-]+\|[\s:|-]*$/.test(lines[at + 1] ?? "")) {
    const rows = run((each) => each.includes("|"));
    return [rows.length, table(rows)];
  }
  const words = run((each) => each.trim() !== "" && !/^(#{1,6}\s|\s{0,3}(```|~~~)|>)/.test(each));
  const parts = [];
  for (const [index, text] of words.entries()) {
    if (index > 0 && ITEM.test(text)) return [index, h("p", {}, parts)];
    if (index > 0) parts.push("\n");
    parts.push(...inline(text));
  }
  return [words.length, h("p", {}, parts)];
}

function blocks(lines, depth = 0) {
  const out = [];
  for (let at = 0; at < lines.length;) {
    if (lines[at].trim() === "") {
      at += 1;
      continue;
    }
    const [count, el] = taken(lines, at, depth);
    out.push(el);
    at += count;
  }
  return out;
}

/** What a terminal would have done with a text, left out: colours and other control characters. */
export function plain(text) {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(\u0007|\u001b\\)?|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, "");
}

function render(text) {
  return text.length > PART_CHARS_MAX ? [h("p", { class: "md-huge" }, text)] : blocks(text.split(/\r?\n/));
}

/** A text that grows. `append` is cheap; `paint` brings the page up to date, at most once a frame. */
export class LiveText {
  constructor() {
    this.el = h("div", { class: "md", dir: "auto" });
    this.tail = h("div", { class: "md-tail", dir: "auto" });
    this.el.append(this.tail);
    this.text = "";
    this.done = 0;
    this.scanned = 0;
    this.fence = null;
    this.shownMax = SHOWN_CHARS_MAX;
    this.painted = -1;
  }

  append(text) {
    this.text += plain(text);
  }

  /** Where the last whole part ends: at a blank line outside of a fence. */
  scan(text) {
    for (;;) {
      const end = text.indexOf("\n", this.scanned);
      if (end < 0) return;
      const row = text.slice(this.scanned, Math.min(end, this.scanned + 80));
      const mark = /^\s{0,3}(`{3,}|~{3,})/.exec(row)?.[1];
      if (mark && (this.fence === null || mark.startsWith(this.fence))) this.fence = this.fence === null ? mark : null;
      this.scanned = end + 1;
      if (row.trim() === "" && this.fence === null && end > this.done) this.whole = end + 1;
    }
  }

  paint() {
    const text = this.text.length > this.shownMax ? this.text.slice(0, this.shownMax) : this.text;
    if (text.length === this.painted) return;
    this.painted = text.length;
    this.scan(text);
    if ((this.whole ?? 0) > this.done) {
      for (const el of render(text.slice(this.done, this.whole))) this.tail.before(el);
      this.done = this.whole;
    }
    this.tail.replaceChildren(...render(text.slice(this.done)));
    this.offerRest();
  }

  offerRest() {
    const hidden = this.text.length - this.shownMax;
    if (hidden <= 0) return this.more?.remove();
    this.more ??= h("button", { type: "button", class: "button", on: { click: () => this.showAll() } });
    this.more.textContent = `Show ${hidden.toLocaleString()} more characters`;
    this.tail.after(this.more);
  }

  showAll() {
    this.shownMax = this.text.length + SHOWN_CHARS_MAX;
    this.paint();
  }
}
