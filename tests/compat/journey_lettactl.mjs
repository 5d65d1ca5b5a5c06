// What lettactl does, which is not to be had from npm: the operations of its commands, by the client that it uses
// (@letta-ai/letta-client 1.x) and by plain requests where it makes them. `node journey_lettactl.mjs URL`.

import assert from "node:assert/strict";
import Letta, { NotFoundError, toFile } from "@letta-ai/letta-client";
import { DEADLINE_MS, all, joined, operation, story, tokens, travel, waitFor } from "./journey.mjs";

const url = process.argv[2];
const client = new Letta({ baseURL: url, apiKey: null, timeout: DEADLINE_MS, maxRetries: 0 });
const said = (content) => [{ role: "user", content }];

/** A plain request; its JSON. */
async function raw(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${url}/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** How it waits: for a final status, or for a final stop reason. */
async function over(runId) {
  let run;
  await waitFor(async () => {
    run = await client.runs.retrieve(runId);
    return ["completed", "failed", "cancelled"].includes(run.status) || run.stop_reason;
  });
  return run;
}

operation(async function health() {
  assert.equal((await client.health()).status, "ok");
});

operation(async function applyAnAgentWithAllItHas(world) {
  const block = await client.blocks.create({ label: "notes", value: "one", description: "of the fleet" });
  const archive = await client.archives.create({ name: "lettactl" });
  const source_code = 'def half(n: int) -> int:\n    """Half.\n\n    Args:\n        n (int): A number.\n    """\n    return n // 2\n';
  const tool = await client.tools.create({ source_code, tags: ["lettactl"] });
  const agent = await client.agents.create({
    name: "lettactl",
    model: "openai/story",
    system: "Be brief.",
    description: "applied",
    tags: ["fleet"],
    memory_blocks: [{ label: "human", value: "Ada" }],
    block_ids: [block.id],
    include_base_tools: false,
    context_window_limit: 32_000,
    secrets: { KEY: "value" },
  });
  await client.agents.tools.attach(tool.id, { agent_id: agent.id });
  await client.agents.archives.attach(archive.id, { agent_id: agent.id });
  await client.archives.passages.create(archive.id, { text: "The lake is deep.", tags: ["water"] });
  await client.agents.tools.updateApproval("half", { agent_id: agent.id, body_requires_approval: true });
  Object.assign(world, { agentId: agent.id, blockId: block.id, archiveId: archive.id, toolId: tool.id });
});

operation(async function getAndDescribe(world) {
  const listed = await raw("GET", "/agents/?limit=200&order=asc");
  assert.ok(listed.some((each) => each.id === world.agentId));
  const include = ["agent.blocks", "agent.tools", "agent.tags", "agent.secrets", "agent.identities"];
  const agent = await client.agents.retrieve(world.agentId, { include });
  assert.deepEqual(agent.blocks.map((each) => each.label).sort(), ["human", "notes"]);
  assert.deepEqual([agent.tools.map((each) => each.name), agent.tags], [["half"], ["fleet"]]);
  assert.deepEqual(agent.secrets.map((each) => each.key), ["KEY"]);
  const context = await raw("GET", `/agents/${world.agentId}/context`);
  assert.ok(context.context_window_size_max > 0);
  assert.ok((await all(client.blocks.list({ label: "notes" }))).some((each) => each.id === world.blockId));
  assert.ok((await all(client.archives.list())).some((each) => each.id === world.archiveId));
  assert.ok((await all(client.tools.list({ name: "half" }))).length === 1);
  assert.ok((await client.models.list()).some((each) => each.handle === "openai/story"));
  assert.ok((await client.tags.list()).includes("fleet"));
  assert.ok(Array.isArray(await raw("GET", "/providers/")));
  const found = await client.agents.passages.search(world.agentId, { query: "lake" });
  assert.equal(found.count, 1);
});

operation(async function applyItAgainWithChanges(world) {
  const updated = await raw("PATCH", `/agents/${world.agentId}`, { description: "applied again", tags: ["fleet", "two"] });
  assert.equal(updated.description, "applied again");
  assert.equal((await client.blocks.update(world.blockId, { value: "two" })).value, "two");
  await client.agents.blocks.detach(world.blockId, { agent_id: world.agentId });
  await client.agents.blocks.attach(world.blockId, { agent_id: world.agentId });
  await client.agents.tools.updateApproval("half", { agent_id: world.agentId, body_requires_approval: false });
  await client.agents.tools.detach(world.toolId, { agent_id: world.agentId });
  await client.agents.tools.attach(world.toolId, { agent_id: world.agentId });
});

operation(async function send(world) {
  const call = { name: "half", arguments: { n: 9 } };
  const turns = story({ calls: [call] }, { text: tokens(3) });
  const run = await client.agents.messages.createAsync(world.agentId, { messages: said(turns) });
  assert.equal((await over(run.id)).status, "completed");
  const messages = await all(client.runs.messages.list(run.id));
  assert.equal(messages.at(-1).content, joined(3));
  assert.deepEqual(messages.filter((each) => each.tool_return).map((each) => each.tool_return), ["4"]);
  const stream = await client.agents.messages.stream(world.agentId, { messages: said(story({ text: tokens(2) })) });
  assert.ok((await all(stream)).some((each) => each.content === joined(2)));
  world.runId = run.id;
});

operation(async function runsOfTheFleet(world) {
  const some = await all(client.runs.list({ agent_id: world.agentId, statuses: ["completed"], limit: 5 }));
  assert.ok(some.some((each) => each.id === world.runId));
  const messages = said(story({ text: ["on ", { silence: true }] }));
  const run = await client.agents.messages.createAsync(world.agentId, { messages });
  const active = await all(client.runs.list({ agent_id: world.agentId, active: true }));
  assert.deepEqual(active.map((each) => each.id), [run.id]);
  await client.agents.messages.cancel(world.agentId);
  assert.equal((await over(run.id)).status, "cancelled");
  assert.equal((await raw("DELETE", `/runs/${run.id}`)).id, run.id);
  await assert.rejects(client.runs.retrieve(run.id), NotFoundError);
});

operation(async function conversations(world) {
  const made = await client.conversations.create({ agent_id: world.agentId });
  await all(await client.conversations.messages.create(made.id, { messages: said("hello") }));
  assert.ok((await all(client.conversations.messages.list(made.id))).length >= 2);
  assert.equal((await client.conversations.update(made.id, { summary: "renamed" })).summary, "renamed");
  assert.equal(typeof (await client.conversations.recompile(made.id)), "string");
  await client.conversations.delete(made.id);
});

operation(async function exportAndImport(world) {
  const file = await client.agents.exportFile(world.agentId);
  const bytes = Buffer.from(typeof file === "string" ? file : JSON.stringify(file));
  const made = await client.agents.importFile({ file: await toFile(bytes, "agent.af"), append_copy_suffix: true });
  const copy = await client.agents.retrieve(made.agent_ids[0], { include: ["agent.tools"] });
  assert.deepEqual([copy.name, copy.tools.map((each) => each.name)], ["lettactl_copy", ["half"]]);
  await client.agents.delete(copy.id);
});

operation(async function compactAndReset(world) {
  assert.ok((await client.agents.messages.compact(world.agentId)).num_messages_after >= 1);
  await client.agents.messages.reset(world.agentId, { add_default_initial_messages: false });
  const left = await all(client.agents.messages.list(world.agentId, { conversation_id: "default", order: "asc" }));
  assert.ok(left.every((each) => each.message_type === "system_message"), JSON.stringify(left));
});

operation(async function deleteEverything(world) {
  await client.agents.delete(world.agentId);
  await client.blocks.delete(world.blockId);
  await client.archives.delete(world.archiveId);
  await client.tools.delete(world.toolId);
  await assert.rejects(client.agents.retrieve(world.agentId), NotFoundError);
});

await travel({});
