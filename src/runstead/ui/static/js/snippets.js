// A run as code: what to type to follow it, or to ask the same again. Never with the reader's key in it.

import { hasKey, url } from "./api.js";

const shell = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** The same strings in Python's spelling; JSON's escapes are Python's too. */
const python = (value) => JSON.stringify(value);

function curl(path, body) {
  const key = hasKey() ? ` \\\n  -H "authorization: Bearer $RUNSTEAD_KEY"` : "";
  return `curl -N ${shell(url(path))} \\\n  -H 'content-type: application/json'${key} \\\n  -d ${shell(JSON.stringify(body))}`;
}

function client() {
  const key = hasKey() ? `, api_key=os.environ["RUNSTEAD_KEY"]` : "";
  const base = url("").replace(/\/$/, "");
  return `${hasKey() ? "import os\n\n" : ""}from letta_client import Letta\n\nclient = Letta(base_url=${python(base)}${key})\n`;
}

/** Name and text of each thing that can be copied of a run. `input` is what the user said, if that is known. */
export function snippets(run, input) {
  const found = [
    ["Follow with curl", curl(`v1/runs/${run.id}/stream`, { starting_after: 0 })],
    ["Follow with Python", `${client()}\nfor event in client.runs.messages.stream(${python(run.id)}, starting_after=0):\n    print(event)\n`],
    ["Read with curl", `curl ${shell(url(`v1/runs/${run.id}`))}${hasKey() ? ` -H "authorization: Bearer $RUNSTEAD_KEY"` : ""}`],
  ];
  if (!run.background) found.splice(0, 2);
  if (input) {
    const messages = [{ role: "user", content: input }];
    const body = { messages, stream_tokens: true, background: true };
    found.push(["Ask again with curl", curl(`v1/agents/${run.agent_id}/messages/stream`, body)]);
    found.push(["Ask again with Python", `${client()}\nquestion = [{"role": "user", "content": ${python(input)}}]\nfor event in client.agents.messages.stream(\n    ${python(run.agent_id)}, messages=question, stream_tokens=True, background=True\n):\n    print(event)\n`]);
  }
  return found;
}
