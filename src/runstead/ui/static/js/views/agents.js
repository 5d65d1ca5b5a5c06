// The agents: who they are, which model answers for them, and how their last run ended.

import { ask, get, query } from "../api.js";
import { ask as question, field } from "../dialog.js";
import { button, fill, h, toast } from "../dom.js";
import { count, ms, when } from "../format.js";
import { reasonWord } from "../status.js";

const PAGE = 100;

export class AgentsView {
  title = "Agents";

  constructor({ go }) {
    this.go = go;
    this.agents = [];
    this.list = h("ul", { class: "agent-list" });
    this.more = button("Show more", { onclick: () => this.load() });
    this.empty = h("div", { class: "empty", hidden: true });
    this.el = h("div", { class: "view" },
      h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, "Agents"), h("div", { class: "buttons" }, button("New agent", { kind: "primary", drawing: "plus", onclick: () => this.create() }))),
      this.list, this.more, this.empty);
    this.more.hidden = true;
    this.load();
  }

  async load() {
    try {
      const found = await get(`v1/agents/?${query({ limit: PAGE, after: this.agents.at(-1)?.id })}`);
      this.agents.push(...found);
      this.list.append(...found.map((agent) => this.item(agent)));
      this.more.hidden = found.length < PAGE;
      this.empty.hidden = this.agents.length > 0;
      if (this.agents.length === 0) fill(this.empty, h("h2", {}, "No agents yet"), h("p", {}, "An agent has a model, a memory and tools. Make one here, or with an SDK of the API."), button("New agent", { kind: "primary", drawing: "plus", onclick: () => this.create() }));
    } catch (error) {
      this.empty.hidden = false;
      fill(this.empty, h("p", {}, error.message));
    }
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

  dispose() {}
}
