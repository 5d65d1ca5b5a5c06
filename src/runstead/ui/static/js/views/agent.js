// One agent: talk to it, read and mend what it remembers, see its tools and its other conversations.
// What is sent from here is a run in the background: leaving changes nothing, coming back shows it as it stands.

import { ask, get, query } from "../api.js";
import { Chat } from "../chat.js";
import { confirm } from "../dialog.js";
import { button, copy, fill, h, icon, setText, toast } from "../dom.js";
import { count, line, moment, ms, when } from "../format.js";
import { badge } from "../status.js";

const TABS = [["chat", "Chat"], ["memory", "Memory"], ["tools", "Tools"], ["conversations", "Conversations"], ["about", "About"]];
const CONVERSATIONS = 100;
// What stands in the API for where a tool comes from, in words.
const TOOL_KINDS = { custom: "its own code", external_mcp: "MCP", letta_files_core: "files" };

export class AgentView {
  title = "Agent";

  constructor({ id, tab, part, go }) {
    this.id = id;
    this.go = go;
    this.name = h("h1", { tabindex: "-1" }, "Agent");
    this.meta = h("p", { class: "muted" });
    this.tabs = h("nav", { class: "tabs", "aria-label": "Parts of the agent" });
    this.body = h("div", { class: "agent-body" });
    this.el = h("div", { class: "view narrow agent" },
      h("div", { class: "view-head" }, h("a", { class: "back", href: "#/agents" }, icon("back"), "Agents"), this.name, this.meta), this.tabs, this.body);
    this.load(tab, part);
  }

  async load(tab, part) {
    try {
      this.agent = await get(`v1/agents/${this.id}?include=agent.blocks&include=agent.tools`);
    } catch (error) {
      fill(this.el, h("div", { class: "empty" }, h("h1", { tabindex: "-1" }, error.status === 404 || error.status === 422 ? "This agent is not here" : "The agent could not be read"), h("p", {}, error.message), h("a", { class: "button", href: "#/agents" }, "Back to the agents")));
      return;
    }
    setText(this.name, this.agent.name);
    document.title = `${this.agent.name} · Runstead`;
    fill(this.meta, this.agent.model ?? "no model", " · ", h("a", { href: `#/runs?agent=${this.id}` }, "its runs"), " · made ", moment(ms(this.agent.created_at)));
    this.open(tab, part);
  }

  /** The address changed: another part of the same agent. */
  update(_params, { tab, part }) {
    if (this.agent) this.open(tab, part);
  }

  open(tab = "chat", part) {
    this.closeChat();
    fill(this.tabs, TABS.map(([id, text]) => h("a", { href: `#/agents/${this.id}/${id}`, "aria-current": id === tab ? "page" : null }, text)));
    this.tabs.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.tabId = tab;
    if (tab === "memory") this.memory();
    else if (tab === "tools") this.tools();
    else if (tab === "conversations" && part) this.chat(part);
    else if (tab === "conversations") this.conversations();
    else if (tab === "about") this.about();
    else this.chat();
  }

  chat(conversation = null) {
    this.talk = new Chat({ agent: this.agent, conversation });
    fill(this.body, this.talk.el);
  }

  memory() {
    const blocks = this.agent.memory?.blocks ?? this.agent.blocks ?? [];
    if (blocks.length === 0) return fill(this.body, h("div", { class: "empty" }, h("h2", {}, "No memory blocks"), h("p", {}, "This agent remembers what was said, and nothing beside it.")));
    return fill(this.body, h("ul", { class: "cards" }, blocks.map((block) => this.block(block))));
  }

  block(block) {
    const id = `block-${block.id}`;
    const area = h("textarea", { id, rows: String(Math.min(14, Math.max(3, block.value.split("\n").length + 1))), readonly: block.read_only, dir: "auto", value: block.value, spellcheck: "false" });
    const size = h("span", { class: "muted num" });
    const save = button("Save", { kind: "primary small", type: "submit" });
    const state = () => {
      setText(size, `${count(area.value.length)} of ${count(block.limit)} characters`);
      save.hidden = area.value === block.value;
      size.classList.toggle("over", area.value.length > block.limit);
    };
    area.addEventListener("input", state);
    const send = async () => {
      try {
        const kept = await ask("PATCH", `v1/agents/${this.id}/core-memory/blocks/${encodeURIComponent(block.label)}`, { value: area.value });
        block.value = kept.value;
        state();
        toast(`${block.label} saved`);
      } catch (error) {
        toast(error.message, "bad");
      }
    };
    state();
    return h("li", { class: "card" }, h("form", { on: { submit: (event) => (event.preventDefault(), send()) } },
      h("div", { class: "card-head" }, h("label", { for: id, class: "strong" }, block.label), block.read_only && h("span", { class: "chip" }, "read only"), size, save),
      block.description && h("p", { class: "muted" }, block.description), area));
  }

  tools() {
    const { tools } = this.agent;
    if (!tools.length) return fill(this.body, h("div", { class: "empty" }, h("h2", {}, "No tools"), h("p", {}, "This agent can speak, and nothing else.")));
    return fill(this.body, h("ul", { class: "cards" }, tools.map((tool) => this.tool(tool))));
  }

  tool(tool) {
    const asks = tool.default_requires_approval || (this.agent.tool_rules ?? []).some((rule) => rule.type === "requires_approval" && rule.tool_name === tool.name);
    const fold = (name, text) => h("details", {}, h("summary", {}, name), h("pre", { class: "field-text", tabindex: "0", role: "group", "aria-label": `${name} of ${tool.name}` }, text));
    return h("li", { class: "card" },
      h("div", { class: "card-head" }, h("code", { class: "call-name" }, tool.name), h("span", { class: "chip" }, TOOL_KINDS[tool.tool_type] ?? "built in"), asks && badge("approval", "Asks first")),
      tool.description && h("p", { class: "muted" }, line(tool.description, 400)),
      fold("Parameters", JSON.stringify(tool.json_schema?.parameters ?? {}, null, 2)),
      tool.tool_type === "custom" && tool.source_code && fold("Code", tool.source_code));
  }

  async conversations() {
    fill(this.body);
    const found = await get(`v1/conversations/?${query({ agent_id: this.id, limit: CONVERSATIONS })}`).catch((error) => (error.status === 404 ? [] : Promise.reject(error))).catch((error) => (toast(error.message, "bad"), []));
    if (this.tabId !== "conversations") return;
    if (!found.length) {
      fill(this.body, h("div", { class: "empty" }, h("h2", {}, "No other conversations"), h("p", {}, "Everything so far was said in the agent's own history: the chat.")));
      return;
    }
    fill(this.body, h("ul", { class: "cards" }, found.map((each) => h("li", { class: "card" }, h("div", { class: "card-head" },
      h("a", { class: "strong", dir: "auto", href: `#/agents/${this.id}/conversations/${encodeURIComponent(each.id)}` }, line(each.summary, 120) || "Conversation"), h("span", { class: "muted" }, when(ms(each.last_message_at ?? each.created_at))),
      h("a", { href: `#/runs?conversation=${encodeURIComponent(each.id)}` }, "Its runs")), h("code", { class: "muted" }, each.id)))));
  }

  /** What the agent is made of, and the way to be rid of it. */
  about() {
    const { agent } = this;
    const facts = [
      ["Model", agent.model ?? "no model"],
      ["Context", agent.llm_config?.context_window ? `${count(agent.llm_config.context_window)} tokens` : null],
      ["Embeddings", agent.embedding ?? agent.embedding_config?.handle],
      ["Description", agent.description],
      ["Tags", agent.tags?.join(", ")],
      ["Made", moment(ms(agent.created_at))],
      ["Id", h("code", {}, agent.id)],
    ];
    fill(this.body, h("div", { class: "cards" },
      h("section", { class: "card" }, h("dl", { class: "facts" }, facts.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { dir: "auto" }, value)))),
        h("div", { class: "buttons" }, button("Copy id", { drawing: "copy", kind: "small", onclick: () => copy(agent.id, "Agent id") }), button("Delete agent", { drawing: "trash", kind: "small danger", onclick: () => this.delete() }))),
      h("section", { class: "card" }, h("h2", {}, "Instructions"), agent.system ? h("pre", { class: "field-text", tabindex: "0", role: "group", "aria-label": "Instructions", dir: "auto" }, agent.system) : h("p", { class: "muted" }, "None"))));
  }

  async delete() {
    if (!(await confirm(`Delete ${this.agent.name}?`, "Its memory, its messages and its runs go with it. Runs that go on are cancelled.", "Delete"))) return;
    try {
      await ask("DELETE", `v1/agents/${this.id}`);
      toast(`${this.agent.name} is deleted`);
      this.go("#/agents");
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  closeChat() {
    this.talk?.dispose();
    this.talk = null;
  }

  dispose() {
    this.closeChat();
    this.agent = null;
  }
}
