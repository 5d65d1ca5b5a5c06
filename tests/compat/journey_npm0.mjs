// The journey of @letta-ai/letta-client 0.1.211 through a running server: `node journey_npm0.mjs URL`.
//
// This generation checks what it reads against its own schemas when it is asked to: `valid` asks.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { LettaClient, LettaError } from "@letta-ai/letta-client";
import { all, halved, inOrder, joined, kinds, opening, operation, story, tokens, travel, waitFor } from "./journey.mjs";

const schemas = createRequire(import.meta.url)("@letta-ai/letta-client/serialization");
const client = new LettaClient({ baseUrl: process.argv[2], token: undefined });
const { agents, runs, tools } = client;
const OPTIONS = { maxRetries: 0, timeoutInSeconds: 60 };
const said = (content) => [{ role: "user", content }];
const typesOf = (events) => kinds(events, (event) => event.messageType);
// Pings, stops and usage have their number under a name that this client does not read.
const ordered = (events) =>
  inOrder(events, (event) => event.seqId ?? event.seq_id, (event) => event.messageType ?? event.message_type);
const MADE_WITH = { agentType: "memgpt_v2_agent", model: "openai/story", embedding: "openai/text-embedding-3-small" };
/** The run of a stream: the first event may be a ping, whose run this client does not read. */
const runOf = (events) => events.find((event) => event.messageType === "assistant_message").runId;
const newAgent = (fields = {}) => agents.create({ name: "npm-zero", ...MADE_WITH, ...fields });

const ROLL = `
def roll_npm_zero(sides: int) -> str:
    """Roll one die.

    Args:
        sides (int): How many sides it has.
    """
    return f"rolled {sides}"
`;

/** Assert that an object fits the client's own schema of it. */
function valid(schema, thing) {
  schema.jsonOrThrow(thing, { unrecognizedObjectKeys: "passthrough", allowUnrecognizedEnumValues: false });
}

async function whole(runId) {
  await waitFor(async () => !["created", "running"].includes((await runs.retrieve(runId)).status));
  return runs.retrieve(runId);
}

operation(async function createAnAgent(world) {
  const agent = await newAgent({ memoryBlocks: [{ label: "human", value: "Ada" }] });
  valid(schemas.AgentState, agent);
  world.agentId = agent.id;
  const again = await agents.retrieve(agent.id);
  assert.deepEqual(again.memory.blocks.map((block) => block.value), ["Ada"]);
  assert.ok((await agents.list()).some((each) => each.id === agent.id));
  assert.equal((await agents.modify(agent.id, { description: "of npm" })).description, "of npm");
});

operation(async function blockingMessage(world) {
  const answer = await agents.messages.create(
    world.agentId,
    { messages: said(story({ reasoning: ["hm"], text: tokens(3) })) },
    OPTIONS,
  );
  valid(schemas.LettaResponse, answer);
  assert.deepEqual(typesOf(answer.messages), ["reasoning_message", "assistant_message"]);
  assert.equal(answer.messages.at(-1).content, joined(3));
  assert.equal(answer.stopReason.stopReason, "end_turn");
});

operation(async function tokenStreamedMessage(world) {
  const messages = said(story({ text: tokens(20) }));
  const events = await all(await agents.messages.createStream(world.agentId, { messages, streamTokens: true }));
  const pieces = events.filter((event) => event.messageType === "assistant_message");
  assert.equal(pieces.map((piece) => piece.content).join(""), joined(20));
  assert.deepEqual(typesOf(events), ["assistant_message", "stop_reason", "usage_statistics"]);
});

operation(async function leaveABackgroundRunAndJoinItAgain(world) {
  const first = [];
  const gate = `middle-${world.agentId}`;
  const opener = await newAgent();
  const messages = said(story({ text: halved(40, gate) }));
  const given = { messages, streamTokens: true, background: true };
  for await (const event of await agents.messages.createStream(world.agentId, given)) {
    if (first.push(event) === 10) break;
  }
  world.runId = runOf(first);
  const active = await runs.listActive({ agentIds: [world.agentId] });
  assert.deepEqual(active.map((run) => run.id), [world.runId]);
  const rest = [];
  for await (const event of await runs.stream(world.runId, { startingAfter: first.at(-1).seqId })) {
    if (rest.push(event) === 1) await agents.messages.create(opener.id, { messages: said(opening(gate)) }, OPTIONS);
  }
  const events = [...first, ...rest];
  ordered(events);
  const pieces = events.filter((event) => event.messageType === "assistant_message");
  assert.equal(pieces.map((piece) => piece.content).join(""), joined(40));
});

operation(async function asyncMessage(world) {
  const run = await agents.messages.createAsync(world.agentId, { messages: said(story({ text: tokens(4) })) });
  valid(schemas.Run, run);
  const over = await whole(run.id);
  valid(schemas.Run, over);
  assert.equal(over.status, "completed");
  assert.equal((await runs.messages.list(run.id)).at(-1).content, joined(4));
});

operation(async function whatARunLeaves(world) {
  const steps = await runs.steps.list(world.runId);
  assert.equal(steps.length, 1);
  valid(schemas.Step, steps[0]);
  assert.equal((await runs.usage.retrieve(world.runId)).totalTokens, steps[0].totalTokens);
  assert.ok((await runs.list({ agentIds: [world.agentId] })).length >= 4);
  const history = await agents.messages.list(world.agentId);
  assert.equal(history.at(-1).messageType, "assistant_message");
});

operation(async function cancel(world) {
  const events = [];
  const messages = said(story({ text: ["half ", { silence: true }] }));
  const given = { messages, streamTokens: true, background: true };
  for await (const event of await agents.messages.createStream(world.agentId, given)) {
    events.push(event);
    if (event.messageType === "assistant_message") {
      await agents.messages.cancel(world.agentId, { runIds: [event.runId] });
    }
  }
  assert.equal(events.at(-2).stopReason, "cancelled");
  assert.equal((await whole(runOf(events))).status, "cancelled");
});

operation(async function decideCallsInTheOlderForm() {
  const rule = { type: "requires_approval", toolName: "conversation_search" };
  for (const [approve, status] of [[false, "error"], [true, "success"]]) {
    const agent = await newAgent({ toolRules: [rule], tools: ["conversation_search"] });
    const call = { name: "conversation_search", arguments: { query: "x" } };
    const messages = said(story({ calls: [call] }, { text: ["well then"] }));
    const asked = await agents.messages.create(agent.id, { messages }, OPTIONS);
    assert.equal(asked.stopReason.stopReason, "requires_approval");
    const decision = { type: "approval", approve, approvalRequestId: asked.messages.at(-1).id, reason: "so" };
    const answer = await agents.messages.create(agent.id, { messages: [decision] }, OPTIONS);
    const returned = answer.messages.filter((each) => each.messageType === "tool_return_message");
    assert.deepEqual(returned.map((each) => each.status), [status]);
    assert.equal(answer.messages.at(-1).content, "well then");
  }
});

operation(async function toolsFromSource() {
  const tool = await tools.upsert({ sourceCode: ROLL });
  valid(schemas.Tool, tool);
  const agent = await newAgent({ toolIds: [tool.id] });
  const call = { name: "roll_npm_zero", arguments: { sides: 6 } };
  const messages = said(story({ calls: [call] }, { text: ["done"] }));
  const answer = await agents.messages.create(agent.id, { messages }, OPTIONS);
  const returned = answer.messages.filter((each) => each.messageType === "tool_return_message");
  assert.deepEqual(returned.map((each) => each.toolReturn), ["rolled 6"]);
  valid(schemas.AgentState, await agents.tools.detach(agent.id, tool.id));
  valid(schemas.AgentState, await agents.tools.attach(agent.id, tool.id));
  await agents.tools.modifyApproval(agent.id, "roll_npm_zero", { requiresApproval: true });
  await tools.delete(tool.id);
});

operation(async function editWhatWasSaid(world) {
  const before = await agents.messages.list(world.agentId, { limit: 100 });
  const said = before.find((message) => message.messageType === "assistant_message");
  const edited = await agents.messages.modify(world.agentId, said.id, {
    messageType: "assistant_message",
    content: "edited",
  });
  assert.deepEqual([edited.id, edited.content], [said.id, "edited"]);
  const preview = await agents.messages.previewRawPayload(world.agentId, { messages: [{ role: "user", content: "now" }] });
  const shown = preview.messages.map((message) => message.content);
  assert.ok(shown.includes("edited"));
  assert.equal(shown.at(-1), "now");
});

operation(async function traceOfAStep(world) {
  const [step] = await runs.steps.list(world.runId);
  const off = client.telemetry.retrieveProviderTrace(step.id);
  await assert.rejects(off, (error) => error.statusCode === 404 && /RUNSTEAD_PROVIDER_TRACE/.test(error.message));
});

operation(async function deleteARun(world) {
  assert.equal((await runs.delete(world.runId)).id, world.runId);
  await assert.rejects(runs.retrieve(world.runId), (error) => error instanceof LettaError && error.statusCode === 404);
});

operation(async function errorsAreRaised() {
  const agent = await newAgent();
  const refused = agents.messages.create(agent.id, { messages: said(story({ status: 401 })) }, OPTIONS);
  await assert.rejects(refused, (error) => error instanceof LettaError && error.statusCode === 401);
  await agents.delete(agent.id);
  await assert.rejects(agents.retrieve(agent.id), (error) => error.statusCode === 404);
});

await travel({});
