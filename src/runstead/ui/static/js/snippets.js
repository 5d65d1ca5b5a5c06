// A run as code: what to type to follow it, or to ask the same again. Never with the reader's key in it.

import { hasKey, url } from "./api.js";

// A question with a larger body than this is no snippet any more.
const BODY_CHARS_MAX = 100_000;

const shell = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** A value of JSON in Python's spelling; JSON's escapes in strings are Python's too. */
function python(value) {
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "object") return `{${Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${python(each)}`).join(", ")}}`;
  return JSON.stringify(value);
}

const base = () => url("").replace(/\/$/, "");

function curl(path, body) {
  const key = hasKey() ? ` \\\n  -H "authorization: Bearer $RUNSTEAD_KEY"` : "";
  return `curl -N ${shell(url(path))} \\\n  -H 'content-type: application/json'${key} \\\n  -d ${shell(JSON.stringify(body))}`;
}

function pythonClient() {
  const key = hasKey() ? `, api_key=os.environ["RUNSTEAD_KEY"]` : "";
  return `${hasKey() ? "import os\n\n" : ""}from letta_client import Letta\n\nclient = Letta(base_url=${python(base())}${key})\n`;
}

function scriptClient() {
  const key = hasKey() ? "process.env.RUNSTEAD_KEY" : "null";
  return `import Letta from "@letta-ai/letta-client";\n\nconst client = new Letta({ baseURL: ${JSON.stringify(base())}, apiKey: ${key} });\n`;
}

const inPython = (call) => `${pythonClient()}\nfor event in ${call}:\n    print(event)\n`;
const inScript = (call) => `${scriptClient()}\nfor await (const event of await ${call}) console.log(event);\n`;

/** To ask the same again, where it was asked: of the agent, or in one of its conversations. */
function again(run, content) {
  const messages = [{ role: "user", content }];
  const options = { messages, stream_tokens: true, background: true };
  const [path, call, id] = run.conversation_id
    ? [`v1/conversations/${run.conversation_id}/messages`, "client.conversations.messages.create", run.conversation_id]
    : [`v1/agents/${run.agent_id}/messages/stream`, "client.agents.messages.stream", run.agent_id];
  const body = run.conversation_id ? { ...options, streaming: true } : options;
  return [
    ["Ask again with curl", curl(path, body)],
    ["Ask again with Python", inPython(`${call}(\n    ${python(id)},\n    messages=${python(messages)},\n    stream_tokens=True,\n    background=True,\n)`)],
    ["Ask again with TypeScript", inScript(`${call}(${JSON.stringify(id)}, ${JSON.stringify(body, null, 2)})`)],
  ];
}

/** Name and text of each thing that can be copied of a run. `content` is what the user said, if that is known. */
export function snippets(run, content) {
  const found = [["Read with curl", `curl ${shell(url(`v1/runs/${run.id}`))}${hasKey() ? ` -H "authorization: Bearer $RUNSTEAD_KEY"` : ""}`]];
  if (run.background) {
    found.unshift(
      ["Follow with curl", curl(`v1/runs/${run.id}/stream`, { starting_after: 0 })],
      ["Follow with Python", inPython(`client.runs.messages.stream(${python(run.id)}, starting_after=0)`)],
      ["Follow with TypeScript", inScript(`client.runs.messages.stream(${JSON.stringify(run.id)}, { starting_after: 0 })`)],
      ["Follow in a terminal", `${hasKey() ? "RUNSTEAD_KEY=$RUNSTEAD_KEY " : ""}runstead runs watch ${run.id} --url ${shell(base())}`],
    );
  }
  if (content && JSON.stringify(content).length < BODY_CHARS_MAX) found.push(...again(run, content));
  return found;
}
