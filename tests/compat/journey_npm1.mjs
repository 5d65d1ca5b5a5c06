// The journey of @letta-ai/letta-client 1.12.1 through a running server: `node journey_npm1.mjs URL`.

import assert from "node:assert/strict";
import Letta, { APIError, NotFoundError, toFile } from "@letta-ai/letta-client";
import { DEADLINE_MS, all, halved, inOrder, joined, kinds, opening, operation, story, tokens, travel, waitFor } from "./journey.mjs";

const client = new Letta({ baseURL: process.argv[2], apiKey: null, timeout: DEADLINE_MS, maxRetries: 0 });
const { agents, conversations, runs, tools } = client;
const said = (content) => [{ role: "user", content }];
const typesOf = (events) => kinds(events, (event) => event.message_type);
const ordered = (events) => inOrder(events, (event) => event.seq_id, (event) => event.message_type);
const newAgent = (fields = {}) => agents.create({ name: "npm-one", model: "openai/story", ...fields });

const ROLL = `
def roll_npm_one(sides: int) -> str:
    """Roll one die.

    Args:
        sides (int): How many sides it has.
    """
    import os

    print("rolling")
    return f"rolled {sides} by {os.environ.get('LUCK')}"
`;

async function whole(runId) {
  await waitFor(async () => !["created", "running"].includes((await runs.retrieve(runId)).status));
  return runs.retrieve(runId);
}

operation(async function createAnAgent(world) {
  const agent = await newAgent({ memory_blocks: [{ label: "human", value: "Ada" }], tags: ["npm"] });
  world.agentId = agent.id;
  const again = await agents.retrieve(agent.id, { include: ["agent.blocks", "agent.tags"] });
  assert.deepEqual([again.id, again.tags], [agent.id, ["npm"]]);
  assert.deepEqual(again.blocks.map((block) => block.value), ["Ada"]);
  assert.ok((await all(agents.list({ limit: 50 }))).some((each) => each.id === agent.id));
  assert.equal((await agents.update(agent.id, { description: "of npm" })).description, "of npm");
  const block = await agents.blocks.update("human", { agent_id: agent.id, value: "Ada L." });
  assert.equal(block.value, "Ada L.");
});

operation(async function blockingMessage(world) {
  const messages = said(story({ reasoning: ["hm"], text: tokens(3) }));
  const answer = await agents.messages.create(world.agentId, { messages });
  assert.deepEqual(typesOf(answer.messages), ["reasoning_message", "assistant_message"]);
  assert.equal(answer.messages.at(-1).content, joined(3));
  assert.equal(answer.stop_reason.stop_reason, "end_turn");
  assert.ok(answer.usage.total_tokens > 0);
});

operation(async function stepStreamedMessage(world) {
  const messages = said(story({ reasoning: ["hm"], text: tokens(3) }));
  const events = await all(await agents.messages.create(world.agentId, { messages, streaming: true }));
  assert.deepEqual(typesOf(events), ["reasoning_message", "assistant_message", "stop_reason", "usage_statistics"]);
  ordered(events);
});

operation(async function tokenStreamedMessage(world) {
  const messages = said(story({ text: tokens(20) }));
  const events = await all(await agents.messages.stream(world.agentId, { messages, stream_tokens: true }));
  const pieces = events.filter((event) => event.message_type === "assistant_message");
  assert.equal(pieces.length, 20);
  assert.equal(pieces.map((piece) => piece.content).join(""), joined(20));
  assert.equal(new Set(pieces.map((piece) => piece.id)).size, 1);
});

operation(async function leaveABackgroundRunAndJoinItAgain(world) {
  const first = [];
  const gate = `middle-${world.agentId}`;
  const opener = await newAgent();
  const messages = said(story({ text: halved(40, gate) }));
  const given = { messages, streaming: true, stream_tokens: true, background: true };
  for await (const event of await agents.messages.create(world.agentId, given)) {
    if (first.push(event) === 10) break;
  }
  world.runId = first[0].run_id;
  assert.equal((await runs.retrieve(world.runId)).status, "running");
  const active = await all(runs.list({ agent_id: world.agentId, active: true }));
  assert.deepEqual(active.map((run) => run.id), [world.runId]);
  const rest = [];
  for await (const event of await runs.messages.stream(world.runId, { starting_after: first.at(-1).seq_id })) {
    if (rest.push(event) === 1) await agents.messages.create(opener.id, { messages: said(opening(gate)) });
  }
  const events = [...first, ...rest];
  ordered(events);
  const pieces = events.filter((event) => event.message_type === "assistant_message");
  assert.equal(pieces.map((piece) => piece.content).join(""), joined(40));
  assert.equal((await whole(world.runId)).background, true);
  const late = await all(await runs.messages.stream(world.runId, { starting_after: 0 }));
  ordered(late);
  assert.equal(late.at(-1).seq_id, events.at(-1).seq_id);
});

operation(async function asyncMessage(world) {
  const run = await agents.messages.createAsync(world.agentId, { messages: said(story({ text: tokens(4) })) });
  assert.equal((await whole(run.id)).status, "completed");
  assert.equal((await all(runs.messages.list(run.id))).at(-1).content, joined(4));
});

operation(async function whatARunLeaves(world) {
  assert.deepEqual(typesOf(await all(runs.messages.list(world.runId))), ["user_message", "assistant_message"]);
  const steps = await all(runs.steps.list(world.runId));
  assert.equal(steps.length, 1);
  const step = await client.steps.retrieve(steps[0].id);
  assert.equal(step.run_id, world.runId);
  const usage = await runs.usage.retrieve(world.runId);
  assert.equal(usage.total_tokens, step.total_tokens);
  assert.equal((await client.steps.metrics.retrieve(step.id)).id, step.id);
  assert.equal((await client.steps.feedback.create(step.id, { feedback: "positive" })).feedback, "positive");
});

operation(async function whereItsTimeWent(world) {
  const spans = await runs.trace.retrieve(world.runId, { limit: 10 });
  assert.deepEqual(spans.map((span) => span.span_name).slice(0, 2), ["send_message", "agent_step"]);
  const { step_id } = spans[1].attributes;
  await assert.rejects(client.steps.trace.retrieve(step_id), /RUNSTEAD_PROVIDER_TRACE/);
});

operation(async function cancel(world) {
  const events = [];
  const messages = said(story({ text: ["half ", { silence: true }] }));
  const given = { messages, streaming: true, stream_tokens: true, background: true };
  for await (const event of await agents.messages.create(world.agentId, given)) {
    events.push(event);
    if (event.message_type === "assistant_message") {
      const answer = await agents.messages.cancel(world.agentId, { run_ids: [event.run_id] });
      assert.deepEqual(answer, { [event.run_id]: "cancelled" });
    }
  }
  assert.deepEqual(typesOf(events), ["assistant_message", "stop_reason", "usage_statistics"]);
  assert.equal(events.at(-2).stop_reason, "cancelled");
  assert.equal((await whole(events[0].run_id)).status, "cancelled");
});

operation(async function decideCalls() {
  const rule = { type: "requires_approval", tool_name: "conversation_search" };
  for (const [approve, status] of [[false, "error"], [true, "success"]]) {
    const agent = await newAgent({ tool_rules: [rule], tools: ["conversation_search"] });
    const call = { name: "conversation_search", arguments: { query: "x" } };
    const messages = said(story({ calls: [call] }, { text: ["well then"] }));
    const asked = await agents.messages.create(agent.id, { messages });
    assert.equal(asked.stop_reason.stop_reason, "requires_approval");
    const waiting = await agents.retrieve(agent.id, { include: ["agent.pending_approval"] });
    assert.equal(waiting.pending_approval.id, asked.messages.at(-1).id);
    const decision = { type: "approval", tool_call_id: asked.messages.at(-1).tool_call.tool_call_id, approve };
    const answer = await agents.messages.create(agent.id, { messages: [{ type: "approval", approvals: [decision] }] });
    const returned = answer.messages.filter((each) => each.message_type === "tool_return_message");
    assert.deepEqual(returned.map((each) => each.status), [status]);
    assert.equal(answer.messages.at(-1).content, "well then");
  }
});

operation(async function toolsOfTheClient() {
  const agent = await newAgent();
  const client_tools = [{ name: "look", description: "Look.", parameters: { type: "object", properties: {} } }];
  const call = { id: "call_look", name: "look", arguments: {} };
  const messages = said(story({ calls: [call] }, { text: ["seen"] }));
  const asked = await agents.messages.create(agent.id, { messages, client_tools });
  assert.equal(asked.stop_reason.stop_reason, "requires_approval");
  const given = { type: "tool", tool_call_id: "call_look", tool_return: "a lake", status: "success" };
  const answer = await agents.messages.create(agent.id, {
    messages: [{ type: "approval", approvals: [given] }],
    client_tools,
  });
  assert.equal(answer.messages.at(-1).content, "seen");
});

operation(async function toolsFromSource() {
  const tool = await tools.upsert({ source_code: ROLL, tags: ["dice"], return_char_limit: 100 });
  assert.deepEqual([tool.name, tool.tool_type, tool.tags], ["roll_npm_one", "custom", ["dice"]]);
  assert.deepEqual((await tools.retrieve(tool.id)).json_schema.parameters.required, ["sides"]);
  const agent = await newAgent({ tools: ["roll_npm_one"], secrets: { LUCK: "4" } });
  const call = { name: "roll_npm_one", arguments: { sides: 6 } };
  const answer = await agents.messages.create(agent.id, { messages: said(story({ calls: [call] }, { text: ["done"] })) });
  const returned = answer.messages.filter((each) => each.message_type === "tool_return_message");
  assert.deepEqual(returned.map((each) => [each.status, each.tool_return]), [["success", "rolled 6 by 4"]]);
  assert.equal(await agents.tools.detach(tool.id, { agent_id: agent.id }), null);
  assert.equal(await agents.tools.attach(tool.id, { agent_id: agent.id }), null);
  assert.ok((await all(agents.tools.list(agent.id))).some((each) => each.id === tool.id));
  await tools.delete(tool.id);
});

operation(async function aConversation(world) {
  const conversation = await conversations.create({ agent_id: world.agentId, summary: "npm" });
  const messages = said(story({ text: tokens(3) }));
  const events = await all(await conversations.messages.create(conversation.id, { messages }));
  assert.ok(typesOf(events).includes("assistant_message"));
  const kept = await all(conversations.messages.list(conversation.id, { order: "asc" }));
  assert.equal(kept.at(-1).content, joined(3));
  assert.equal((await conversations.retrieve(conversation.id)).summary, "npm");
  const listed = await conversations.list({ agent_id: world.agentId });
  assert.ok(listed.some((each) => each.id === conversation.id));
  const forked = await conversations.fork(conversation.id);
  assert.notEqual(forked.id, conversation.id);
  await conversations.delete(conversation.id);
});

operation(async function pagesOfRuns() {
  const agent = await newAgent();
  const made = [];
  for (let n = 0; n < 30; n += 1) made.push((await agents.messages.createAsync(agent.id, { messages: said("hello") })).id);
  for (const [order, expected] of [["asc", made], ["desc", [...made].reverse()]]) {
    const found = await all(runs.list({ agent_id: agent.id, limit: 7, order }));
    assert.deepEqual(found.map((run) => run.id), expected);
  }
  await waitFor(async () => (await all(runs.list({ agent_id: agent.id, active: true }))).length === 0);
});

operation(async function anAgentAsAFile(world) {
  const file = await agents.exportFile(world.agentId);
  const bytes = Buffer.from(typeof file === "string" ? file : JSON.stringify(file));
  const made = await agents.importFile({ file: await toFile(bytes, "agent.af") });
  const [copy] = made.agent_ids;
  const again = await agents.retrieve(copy, { include: ["agent.blocks"] });
  assert.deepEqual(again.blocks.map((block) => block.value), ["Ada L."]);
  await agents.delete(copy);
  await assert.rejects(agents.retrieve(copy), NotFoundError);
});

operation(async function errorsAreRaised() {
  const agent = await newAgent();
  const refused = agents.messages.create(agent.id, { messages: said(story({ status: 401 })) });
  await assert.rejects(refused, (error) => error instanceof APIError && error.status === 401);
  const messages = said(story({ text: ["so "], status: 500 }));
  const broken = agents.messages.create(agent.id, { messages, streaming: true }).then(all);
  await assert.rejects(broken, APIError);
  await assert.rejects(runs.retrieve("run-00000000-0000-4000-8000-000000000000"), NotFoundError);
});

await travel({});
