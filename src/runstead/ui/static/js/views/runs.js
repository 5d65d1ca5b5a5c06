// All runs, newest first, live. What is looked for stands in the address, so it can be kept, shared and reloaded.

import { get, query } from "../api.js";
import { fill, h, icon, setText } from "../dom.js";
import { count, duration, line, modelName, moment, money, ms, tokens, when } from "../format.js";
import { feed } from "../live.js";
import { STATUSES, STOP_REASONS, active, badge, elapsed, reasonWord, setBadge, standing, word } from "../status.js";
import { VirtualList } from "../virtual.js";

const FIRST = 100;
const PAGE = 250;
const COUNTS_EVERY_MS = 2000;
const AGENTS_MAX = 500;
const SPANS = { "15m": ["Last 15 minutes", 15], "1h": ["Last hour", 60], "24h": ["Last 24 hours", 1440], "7d": ["Last 7 days", 10_080], "30d": ["Last 30 days", 43_200] };
const NARROW = matchMedia("(max-width: 720px)");

/** The query of the API for what the address asks. */
function filters(params) {
  const span = SPANS[params.get("time")];
  return {
    statuses: params.getAll("status"),
    agent_id: params.get("agent"),
    conversation_id: params.get("conversation"),
    stop_reason: params.get("stop"),
    background: params.get("background"),
    search: params.get("text"),
    created_after: span ? new Date(Date.now() - span[1] * 60_000).toISOString() : null,
  };
}

function holds(params, run) {
  const statuses = params.getAll("status");
  return (statuses.length === 0 || statuses.includes(run.status)) &&
    (!params.get("agent") || params.get("agent") === run.agent_id) &&
    (!params.get("conversation") || params.get("conversation") === run.conversation_id) &&
    (!params.get("stop") || params.get("stop") === run.stop_reason) &&
    (!params.get("background") || params.get("background") === String(run.background)) &&
    (!params.get("text") || (run.summary?.input ?? "").toLowerCase().includes(params.get("text").toLowerCase()));
}

class Row {
  constructor(run, index) {
    this.status = badge("created");
    this.link = h("a", { class: "row-link" });
    this.agent = h("span", { role: "cell", class: "c-agent" });
    this.model = h("span", { role: "cell", class: "c-model muted" });
    this.start = h("span", { role: "cell", class: "c-start num muted" });
    this.took = h("span", { role: "cell", class: "c-took num" });
    this.tokens = h("span", { role: "cell", class: "c-tokens num" });
    this.cost = h("span", { role: "cell", class: "c-cost num" });
    this.el = h("div", { role: "row", class: "run-row", "aria-rowindex": index + 2 },
      h("span", { role: "cell", class: "c-status" }, this.status), h("span", { role: "cell", class: "c-input" }, this.link),
      this.agent, this.model, this.start, this.took, this.tokens, this.cost);
    this.show(run);
  }

  show(run) {
    this.run = run;
    const { summary } = run;
    setBadge(this.status, standing(run));
    this.link.href = `#/runs/${run.id}`;
    const words = line(summary?.input, 200);
    setText(this.link, words || (summary?.input === null ? "Answer to an approval" : "No text"));
    this.link.classList.toggle("quiet", !words);
    setText(this.agent, summary?.agent_name ?? "deleted agent");
    setText(this.model, modelName(summary?.model));
    this.model.title = summary?.model ?? "";
    this.start.title = moment(ms(run.created_at));
    setText(this.tokens, tokens(summary?.usage.total_tokens || null));
    setText(this.cost, money(summary?.cost_usd) ?? "");
    this.tick(Date.now());
  }

  tick(now) {
    setText(this.start, when(ms(this.run.created_at), now));
    setText(this.took, duration(elapsed(this.run, now)));
  }
}

export class RunsView {
  title = "Runs";

  constructor({ params, go }) {
    this.go = go;
    this.params = params;
    this.runs = [];
    this.rows = new Map();
    this.hearing = new Set();
    this.epoch = 0;
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "Runs by status" });
    this.list = new VirtualList({
      rowHeight: () => (NARROW.matches ? 64 : 44),
      make: (index) => this.make(index),
      near: (last) => this.more(last),
      props: { role: "table", "aria-label": "Runs", class: "v-list runs-list", tabindex: "0" },
      bodyProps: { role: "rowgroup" },
      header: h("div", { role: "rowgroup", class: "runs-head" }, h("div", { role: "row", class: "run-row" },
        [["c-status", "Status"], ["c-input", "Input"], ["c-agent", "Agent"], ["c-model", "Model"], ["c-start", "Started"], ["c-took", "Took"], ["c-tokens", "Tokens"], ["c-cost", "Cost"]].map(([kind, text]) => h("span", { role: "columnheader", class: kind }, text)))),
    });
    this.empty = h("div", { class: "empty", hidden: true });
    this.form = this.makeForm();
    this.el = h("div", { class: "view fixed" }, h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, "Runs"), this.chips), this.form, this.list.el, this.empty);
    this.el.addEventListener("keydown", (event) => this.key(event));
    this.leave = feed.subscribe((event) => this.told(event));
    this.timer = setInterval(() => this.tick(), 1000);
    this.update(params);
  }

  makeForm() {
    const select = (name, label, options) => h("select", { name, "aria-label": label, on: { change: () => this.submit() } }, h("option", { value: "" }, label), options.map(([value, text]) => h("option", { value }, text)));
    this.agents = select("agent", "Any agent", []);
    const text = h("input", { type: "search", name: "text", "aria-label": "Search in what users said", placeholder: "Search input", maxlength: "200", autocomplete: "off", on: { input: () => this.typed() } });
    const form = h("form", { class: "filters", role: "search", on: { submit: (event) => (event.preventDefault(), this.submit()) } },
      h("div", { class: "search" }, icon("search"), text), this.agents,
      select("stop", "Any end", STOP_REASONS.map((reason) => [reason, reasonWord(reason)])),
      select("background", "Any mode", [["true", "Background"], ["false", "Foreground"]]),
      select("time", "Any time", Object.entries(SPANS).map(([value, [words]]) => [value, words])),
      (this.clear = h("a", { class: "button quiet", href: "#/runs" }, "Clear")));
    get(`v1/agents/?${query({ limit: AGENTS_MAX })}`).then((found) => {
      this.agents.append(...found.map((agent) => h("option", { value: agent.id }, agent.name)));
      this.agents.value = this.params.get("agent") ?? "";
    }, () => {});
    return form;
  }

  typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.submit(), 250);
  }

  submit() {
    const next = new URLSearchParams();
    for (const status of this.params.getAll("status")) next.append("status", status);
    if (this.params.has("conversation")) next.set("conversation", this.params.get("conversation"));
    for (const name of ["agent", "stop", "background", "time", "text"]) {
      const value = this.form.elements[name].value.trim();
      if (value) next.set(name, value);
    }
    this.go(`#/runs${next.size ? `?${next}` : ""}`, { replace: true });
  }

  /** The address changed. */
  update(params) {
    this.params = params;
    sessionStorage.setItem("runstead.list", location.hash || "#/runs");
    for (const name of ["agent", "stop", "background", "time", "text"]) {
      const input = this.form.elements[name];
      if (input !== document.activeElement || name !== "text") input.value = params.get(name) ?? "";
    }
    this.clear.hidden = params.size === 0;
    this.load();
    this.counts();
  }

  /** List from the top. `again`: the same question as before, so rows that are still the same stay. */
  async load({ again = false } = {}) {
    const epoch = (this.epoch += 1);
    try {
      const { found, heard } = await this.ask({ limit: FIRST });
      if (epoch !== this.epoch) return;
      this.replace(found, again);
      for (const event of heard) this.change(event);
    } catch (error) {
      if (epoch === this.epoch && this.runs.length === 0) this.nothing(h("p", {}, error.message));
    }
  }

  /** List runs. `heard`: what was told meanwhile, which the answer may be older than. */
  async ask(page) {
    const heard = [];
    this.hearing.add(heard);
    try {
      return { found: await get(`v1/runs/?${query({ ...filters(this.params), include: "runstead.summary", ...page })}`), heard };
    } finally {
      this.hearing.delete(heard);
    }
  }

  /** Show what was listed. Where the same runs are shown already, their rows only change: a focus in them stays. */
  replace(found, again) {
    const same = found.length > 0 && found.every((run, index) => this.runs[index]?.id === run.id);
    if (again && same && (found.length === FIRST || found.length === this.runs.length)) {
      this.runs.splice(0, found.length, ...found);
      for (const run of found) this.rows.get(run.id)?.show(run);
      return;
    }
    this.keepFocus(() => {
      this.runs = found;
      this.whole = found.length < FIRST;
      this.rows.clear();
      this.list.clear();
      this.sized();
    });
  }

  /** Change the list; who stood on a run by keyboard stands on it afterwards, or else on the list. */
  keepFocus(change) {
    const here = [...this.list.rows].find(([, el]) => el.contains(document.activeElement));
    const id = here && this.runs[here[0]]?.id;
    change();
    if (!id) return;
    this.list.draw();
    const link = this.rows.get(id)?.link;
    (link?.isConnected ? link : this.list.el).focus({ preventScroll: true });
  }

  async more(last) {
    if (this.whole || this.loading || this.runs.length === 0 || last < this.runs.length - PAGE / 4) return;
    this.loading = true;
    const epoch = this.epoch;
    try {
      const { found, heard } = await this.ask({ limit: PAGE, after: this.runs.at(-1).id });
      if (epoch !== this.epoch) return;
      this.whole = found.length < PAGE;
      this.runs.push(...found);
      this.sized();
      for (const event of heard) this.change(event);
    } catch {
      this.whole = false;
    } finally {
      this.loading = false;
    }
    this.list.plan();
  }

  async counts() {
    clearTimeout(this.counting);
    this.counting = 0;
    this.counted = Date.now();
    try {
      const { statuses, ...rest } = filters(this.params);
      const { total, by_status: by } = await get(`v1/runs/counts?${query(rest)}`);
      this.total = statuses.length ? statuses.reduce((sum, status) => sum + by[status], 0) : total;
      this.showCounts(total, by);
      this.sized();
    } catch {
      // The list says what is wrong.
    }
  }

  showCounts(total, by) {
    const chosen = this.params.getAll("status");
    const chip = (status, text, value, on) => {
      const next = new URLSearchParams(this.params);
      next.delete("status");
      if (status) next.append("status", status);
      return h("a", { class: `chip-link ${status ? `is-${status}` : ""}`, href: `#/runs${next.size ? `?${next}` : ""}`, "aria-current": on ? "true" : null }, text, " ", h("span", { class: "num" }, count(value)));
    };
    const focused = [...this.chips.children].indexOf(document.activeElement);
    fill(this.chips, chip(null, "All", total, chosen.length === 0), STATUSES.map((status) => chip(status, word(status), by[status], chosen.includes(status))));
    if (focused >= 0) this.chips.children[focused].focus();
  }

  /** Count again soon, however much happens. */
  countSoon() {
    this.counting ||= setTimeout(() => this.counts(), Math.max(200, COUNTS_EVERY_MS - (Date.now() - (this.counted ?? 0))));
  }

  sized() {
    if (this.runs.some((run) => run.summary?.cost_usd > 0)) this.list.el.classList.add("priced");
    const length = this.whole ? this.runs.length : Math.max(this.runs.length, this.total ?? 0);
    this.list.setCount(length);
    this.list.el.setAttribute("aria-rowcount", length + 1);
    const none = this.runs.length === 0 && this.whole;
    this.list.el.hidden = none;
    this.empty.hidden = !none;
    if (!none) return;
    if (this.params.size) this.nothing(h("h2", {}, "No run fits"), h("p", {}, "Nothing here has all of these marks."), h("a", { class: "button", href: "#/runs" }, "Show all runs"));
    else this.nothing(h("h2", {}, "No runs yet"), h("p", {}, "A run begins when somebody talks to an agent: from here, from an SDK, or from the command line."), h("a", { class: "button primary", href: "#/agents" }, "Go to the agents"));
  }

  nothing(...children) {
    this.empty.hidden = false;
    this.list.el.hidden = true;
    fill(this.empty, children);
  }

  make(index) {
    const run = this.runs[index];
    if (!run) return null;
    const row = new Row(run, index);
    this.rows.set(run.id, row);
    return row.el;
  }

  told(event) {
    if (event.message_type === "feed_opened" || event.message_type === "feed_reset") {
      // What happened while the line was away is only in the list. A reader far down keeps the place.
      if (this.list.el.scrollTop < 200) this.load({ again: true });
      this.counts();
      return;
    }
    this.countSoon();
    for (const heard of this.hearing) heard.push(event);
    this.change(event);
  }

  /** One run is new, different or gone. Told twice, it is the same. */
  change(event) {
    const at = this.runs.findIndex((run) => run.id === event.run_id);
    const stays = event.message_type === "run_changed" && holds(this.params, event.run);
    if (at >= 0 && stays) {
      this.runs[at] = event.run;
      this.rows.get(event.run_id)?.show(event.run);
    } else if (at >= 0) this.splice(at, 1);
    else if (stays) this.insert(event.run);
  }

  insert(run) {
    const at = this.runs.findIndex((each) => each.created_at < run.created_at || (each.created_at === run.created_at && each.id < run.id));
    if (at < 0 && !this.whole) return;
    this.splice(at < 0 ? this.runs.length : at, 0, run);
  }

  /** Change the list without moving what the reader looks at. */
  splice(at, gone, ...added) {
    const { el } = this.list;
    const first = Math.floor(el.scrollTop / this.list.height_);
    this.keepFocus(() => {
      this.runs.splice(at, gone, ...added);
      this.total = Math.max(0, (this.total ?? 0) + added.length - gone);
      this.list.clear(at);
      this.sized();
    });
    if (el.scrollTop > this.list.height_ && at <= first) el.scrollTop += (added.length - gone) * this.list.height_;
  }

  tick() {
    if (document.hidden) return;
    const now = Date.now();
    for (const [index, el] of this.list.rows) {
      const row = this.rows.get(this.runs[index]?.id);
      if (row?.el === el && (active(row.run) || now - ms(row.run.created_at) < 7_200_000)) row.tick(now);
    }
  }

  key(event) {
    const links = () => [...this.list.rows.entries()].sort(([a], [b]) => a - b);
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (!step || event.target.closest("input, select, textarea, .chips") || event.ctrlKey || event.metaKey || event.altKey) return;
    // Rows of a list that has just changed wait for the next frame; a key does not.
    this.list.draw();
    const here = links().find(([, el]) => el.contains(document.activeElement));
    const next = here ? here[0] + step : links()[0]?.[0];
    if (next === undefined || next < 0 || next >= this.runs.length) return;
    event.preventDefault();
    this.list.show(next)?.querySelector("a").focus({ preventScroll: true });
  }

  /** Taken from the page for a while. It goes on being told of what happens. */
  park() {
    this.place = this.list.el.scrollTop;
    return this;
  }

  /** On the page again, at the same place where the same is asked. */
  unpark(params) {
    if (String(params) !== String(this.params)) this.update(params);
    else this.list.el.scrollTop = this.place;
    this.countSoon();
    this.list.plan();
  }

  dispose() {
    this.leave();
    clearInterval(this.timer);
    clearTimeout(this.counting);
    clearTimeout(this.typing);
    this.list.stop();
  }
}
