// The agents: who they are, which model answers for them, and how their last run ended.

import { ask, get, query } from "../api.js";
import { ask as question, field } from "../dialog.js";
import { button, fill, h, icon, toast } from "../dom.js";
import { count, ms, when } from "../format.js";
import { reasonWord } from "../status.js";

const PAGE = 100;

export class AgentsView {
  title = "Agents";

  constructor({ params, go }) {
    this.go = go;
    this.epoch = 0;
    this.text = h("input", { type: "search", name: "text", "aria-label": "Search in agents' names", placeholder: "Search names", maxlength: "200", autocomplete: "off", on: { input: () => this.typed() } });
    this.list = h("ul", { class: "agent-list" });
    this.more = button("Show more", { onclick: () => this.load() });
    this.empty = h("div", { class: "empty", hidden: true });
    this.el = h("div", { class: "view" },
      h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, "Agents"), h("div", { class: "buttons" }, button("New agent", { kind: "primary", drawing: "plus", onclick: () => this.create() }))),
      h("form", { class: "filters", role: "search", on: { submit: (event) => (event.preventDefault(), this.submit()) } }, h("div", { class: "search" }, icon("search"), this.text)),
      this.list, this.more, this.empty);
    this.more.hidden = true;
    this.update(params);
  }

  typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.submit(), 250);
  }

  submit() {
    clearTimeout(this.typing);
    const text = this.text.value.trim();
    this.go(`#/agents${text ? `?${new URLSearchParams({ text })}` : ""}`, { replace: true });
  }

  /** The address changed: another question, whose answer takes the place of the last one's. */
  update(params) {
    this.words = params.get("text") ?? "";
    if (this.empty.contains(document.activeElement)) this.text.focus(); // what was chosen there goes away
    if (this.text !== document.activeElement || !this.words) this.text.value = this.words;
    this.epoch += 1;
    this.agents = [];
    this.load();
  }

  /** The next page, or the first one. */
  async load() {
    const epoch = this.epoch;
    const first = this.agents.length === 0;
    try {
      const found = await get(`v1/agents/?${query({ limit: PAGE, after: this.agents.at(-1)?.id, query_text: this.words })}`);
      if (epoch !== this.epoch) return;
      this.agents.push(...found);
      const items = found.map((agent) => this.item(agent));
      if (first) fill(this.list, items);
      else this.list.append(...items);
      this.more.hidden = found.length < PAGE;
      this.empty.hidden = this.agents.length > 0;
      if (this.agents.length === 0) this.none();
    } catch (error) {
      if (epoch !== this.epoch) return;
      this.empty.hidden = false;
      fill(this.empty, h("p", {}, error.message));
    }
  }

  none() {
    if (this.words) fill(this.empty, h("h2", {}, "No agent fits"), h("p", {}, `No agent has “${this.words}” in its name.`), h("a", { class: "button", href: "#/agents" }, "Show all agents"));
    else fill(this.empty, h("h2", {}, "No agents yet"), h("p", {}, "An agent has a model, a memory and tools. Make one here, or with an SDK of the API."), button("New agent", { kind: "primary", drawing: "plus", onclick: () => this.create() }));
  }

  item(agent) {
    const last = ms(agent.last_run_completion);
    return h("li", {}, h("a", { class: "agent-card", href: `#/agents/${agent.id}` },
      h("span", { class: "avatar", "aria-hidden": "true" }, [...agent.name][0]?.toUpperCase() ?? "?"),
      h("span", { class: "agent-words" }, h("span", { class: "strong" }, agent.name), h("span", { class: "muted" }, agent.model ?? agent.llm_config?.handle ?? "no model")),
      h("span", { class: "agent-last muted num" }, last ? `${reasonWord(agent.last_stop_reason)} · ${when(last)}` : `made ${when(ms(agent.created_at))}`)));
  }

  async create() {
    const models = await get("v1/models/").catch(() => []);
    const names = [...new Set(models.map((model) => model.handle))];
    const given = await question({
      title: "New agent",
      fields: [
        field("Name", h("input", { name: "name", required: true, maxlength: "200", autofocus: true, autocomplete: "off" })),
        field("Model", h("select", { name: "model" }, names.map((name) => h("option", {}, name))), `${count(names.length)} offered by this server`),
        field("Persona", h("textarea", { name: "persona", rows: "3" }), "How it speaks of itself. It can be changed later."),
      ],
      yes: "Make it",
    });
    if (!given) return;
    try {
      const blocks = [{ label: "persona", value: given.persona }, { label: "human", value: "" }];
      const made = await ask("POST", "v1/agents/", { name: given.name, model: given.model, memory_blocks: blocks });
      this.go(`#/agents/${made.id}`);
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  dispose() {
    clearTimeout(this.typing);
  }
}
