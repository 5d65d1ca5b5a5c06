// The journey of @letta-ai/vercel-ai-sdk-provider 1.4.0 through a running server: `node journey_vercel.mjs URL`.

import assert from "node:assert/strict";
import { convertToAiSdkMessage, createLetta } from "@letta-ai/vercel-ai-sdk-provider";
import { generateText, streamText } from "ai";
import { all, joined, operation, story, tokens, travel } from "./journey.mjs";

const letta = createLetta({ baseUrl: process.argv[2], token: "none" });
const { agents } = letta.client;
const model = letta();

const COUNT = `
def count_letters(text: str) -> int:
    """Count the letters of a text.

    Args:
        text (str): The text.
    """
    return len(text)
`;

/** What is given to the AI SDK: whom to ask, and what. */
const asked = (world, prompt, options = {}) => ({
  model,
  prompt,
  maxRetries: 0,
  providerOptions: { letta: { agent: { id: world.agentId, ...options }, timeoutInSeconds: 20 } },
});

operation(async function createAnAgent(world) {
  const tool = await letta.client.tools.upsert({ sourceCode: COUNT });
  const agent = await agents.create({
    name: "vercel",
    agentType: "memgpt_v2_agent",
    model: "openai/story",
    embedding: "openai/text-embedding-3-small",
    toolIds: [tool.id],
  });
  world.agentId = agent.id;
  assert.ok((await agents.list()).some((each) => each.id === agent.id));
});

operation(async function generate(world) {
  const result = await generateText(asked(world, story({ reasoning: ["hm"], text: tokens(3) })));
  assert.equal(result.text, joined(3));
  assert.equal(result.reasoningText, "hm");
  assert.equal(result.finishReason, "stop");
});

operation(async function streamByTokens(world) {
  const result = streamText(asked(world, story({ reasoning: ["hm"], text: tokens(12) }), { streamTokens: true }));
  const pieces = await all(result.textStream);
  assert.equal(pieces.length, 12);
  assert.equal(pieces.join(""), joined(12));
  assert.equal(await result.reasoningText, "hm");
});

operation(async function streamInTheBackground(world) {
  const options = { streamTokens: true, background: true, includePings: true };
  const result = streamText(asked(world, story({ text: tokens(5, 5) }), options));
  const parts = await all(result.fullStream);
  assert.equal(parts.filter((part) => part.type === "error").length, 0);
  const texts = parts.filter((part) => part.type === "text-delta");
  assert.equal(texts.map((part) => part.text).join(""), joined(5));
  const run = await letta.client.runs.retrieve(texts[0].providerMetadata.letta.runId);
  assert.equal(run.status, "completed");
});

operation(async function aToolOfTheAgent(world) {
  const call = { id: "call_count", name: "count_letters", arguments: { text: "four" } };
  const result = streamText({
    ...asked(world, story({ calls: [call] }, { text: ["counted"] })),
    tools: { count_letters: letta.tool("count_letters") },
  });
  const parts = await all(result.fullStream);
  const kinds = parts.map((part) => part.type);
  assert.ok(kinds.includes("tool-call"));
  const returned = parts.filter((part) => part.type === "tool-result" && part.toolCallId === "call_count");
  assert.ok(returned.some((part) => part.output === "4"), JSON.stringify(returned));
  assert.equal(await result.text, "counted");
});

operation(async function historyForAChat(world) {
  const messages = convertToAiSdkMessage(await agents.messages.list(world.agentId, { limit: 100 }));
  const last = messages.at(-1);
  assert.deepEqual([last.role, last.parts.at(-1).text], ["assistant", "counted"]);
  assert.ok(messages.some((each) => each.parts.some((part) => part.type === "tool-count_letters")));
});

operation(async function errorsAreRaised(world) {
  await assert.rejects(generateText(asked(world, story({ status: 401 }))));
  await assert.rejects(generateText({ model, prompt: "x" }), /agentId/);
});

operation(async function deleteTheAgent(world) {
  await agents.delete(world.agentId);
  await assert.rejects(agents.retrieve(world.agentId), (error) => error.statusCode === 404);
});

await travel({});
