"""The API reference: pages of Markdown made from the server's own OpenAPI document, one a tag and one of all types.

It says nothing of its own: what is missing there is mended in the routes, their docstrings and their models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

Document = dict[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
# Said once, on the first page, and not with each operation.
EVERYWHERE = {"user_id", "User-Agent", "X-Project", "X-Project-Id"}
_SHOWN = 12
_HEAD = """# API reference

Made from the server's own OpenAPI document, which a server gives at `/openapi.json` and `runstead openapi` writes. It is
Letta's V1 REST API, with extensions. What this server makes of each operation of that API:
[every operation](../operations_of_the_api.md). What a stream says: [events](../events.md).

All bodies and answers are JSON, but for streams (`text/event-stream`) and files. A key or the password goes into
`Authorization: Bearer …`. Every error has the form `{"detail": …}`, and says what to do.
"""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the document."""

    method: str
    path: str
    tag: str
    spec: Document

    @property
    def anchor(self) -> str:
        """Where its section is."""
        return re.sub(r"[^a-z0-9_]+", "-", f"{self.method} {self.path}".lower()).strip("-")

    @property
    def brief(self) -> str:
        """The first sentence of what it does."""
        return self.spec.get("description", self.spec.get("summary", "")).split("\n\n")[0].replace("\n", " ")


def pages(document: Document) -> dict[str, str]:
    """All pages by their place below `api/`."""
    by_tag: dict[str, list[Operation]] = {}
    for each in operations(document):
        by_tag.setdefault(each.tag, []).append(each)
    made = {f"{tag}.md": _page(tag, found) for tag, found in sorted(by_tag.items())}
    return {"index.md": _index(document, by_tag), **made, "types.md": _types(document)}


def operations(document: Document) -> Iterator[Operation]:
    """Every operation, in the document's order."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield Operation(method.upper(), path, item[method].get("tags", ["other"])[0], item[method])


def _index(document: Document, by_tag: Mapping[str, list[Operation]]) -> str:
    lines = [_HEAD, "## Headers of every operation", "", "| header | meaning |", "|---|---|"]
    seen: dict[str, str] = {
        parameter["name"]: parameter.get("description", "")
        for each in operations(document)
        for parameter in each.spec.get("parameters", [])
        if parameter["name"] in EVERYWHERE
    }
    lines += [f"| `{name}` | {meaning} |" for name, meaning in seen.items()]
    for tag, found in sorted(by_tag.items()):
        lines += ["", f"## {tag.capitalize()}", "", "| operation | does |", "|---|---|"]
        lines += [
            f"| [`{each.method} {each.path}`]({tag}.md#{each.anchor}) | {_cell(each.brief)} |"
            for each in found
        ]
    return "\n".join(lines) + "\n"


def _page(tag: str, found: list[Operation]) -> str:
    lines = [f"# {tag.capitalize()}", ""]
    for each in found:
        lines += [f"## `{each.method} {each.path}` {{ #{each.anchor} }}", ""]
        lines += [each.spec.get("description", each.spec.get("summary", "")), ""]
        lines += _parameters(each.spec.get("parameters", []))
        lines += _body(each.spec.get("requestBody"))
        lines += _answer(each.spec["responses"])
    return "\n".join(lines)


def _parameters(parameters: list[Document]) -> list[str]:
    told = [each for each in parameters if each["name"] not in EVERYWHERE]
    if not told:
        return []
    lines = ["| parameter | in | type | default |", "|---|---|---|---|"]
    for each in told:
        default = "required" if each.get("required") else _default(each["schema"])
        lines.append(f"| `{each['name']}` | {each['in']} | {type_of(each['schema'])} | {default} |")
    return [*lines, ""]


def _body(body: Document | None) -> list[str]:
    if body is None:
        return []
    said = [
        type_of(content["schema"]) + ("" if kind == "application/json" else f", as `{kind}`")
        for kind, content in body["content"].items()
    ]
    return [f"Body: {'; '.join(said)}.", ""]


def _answer(responses: Document) -> list[str]:
    lines: list[str] = []
    for status, answer in responses.items():
        if status.startswith("2"):
            said = [
                type_of(content.get("schema", {})) + ("" if kind == "application/json" else f", as `{kind}`")
                for kind, content in answer.get("content", {}).items()
            ]
            lines += [f"Answers {status}: {'; or '.join(said) or 'nothing'}.", ""]
    return lines


def _types(document: Document) -> str:
    lines = ["# Types", "", "What bodies and answers are made of.", ""]
    schemas = cast("Mapping[str, Document]", document["components"]["schemas"])
    for name, schema in sorted(schemas.items()):
        lines += [f"## {name} {{ #{name.lower()} }}", ""]
        if schema.get("description"):
            lines += [schema["description"], ""]
        lines += _members(schema) if "properties" in schema else [f"{type_of(schema, _types_page=True)}.", ""]
    return "\n".join(lines)


def _members(schema: Document) -> list[str]:
    required = set(schema.get("required", []))
    lines = ["| member | type | default | meaning |", "|---|---|---|---|"]
    for name, member in schema["properties"].items():
        default = "required" if name in required else _default(member)
        meaning = _cell(member.get("description", ""))
        lines.append(f"| `{name}` | {type_of(member, _types_page=True)} | {default} | {meaning} |")
    return [*lines, ""]


def type_of(schema: Document, *, _types_page: bool = False) -> str:
    """A schema in words, with links to the types that it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}]({'' if _types_page else 'types.md'}#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            found = list(dict.fromkeys(type_of(each, _types_page=_types_page) for each in schema[several]))
            return " or ".join(found)
    if "const" in schema:
        return f"`{_cell(str(schema['const']))}`"
    if "enum" in schema:
        return _words(schema["enum"])
    return _plain(schema, types_page=_types_page)


def _words(allowed: list[object]) -> str:
    shown = ", ".join(f"`{each}`" for each in allowed[:_SHOWN])
    return shown if len(allowed) <= _SHOWN else f"{shown}, …"


def _plain(schema: Document, *, types_page: bool) -> str:
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}), _types_page=types_page)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_of(schema['additionalProperties'], _types_page=types_page)}"
    bounds = [
        f"{word} {schema[key]}"
        for key, word in (
            ("minimum", "at least"),
            ("maximum", "at most"),
            ("minLength", "length at least"),
            ("maxLength", "length at most"),
        )
        if key in schema
    ]
    return ", ".join([str(kind), *bounds])


def _default(schema: Document) -> str:
    if schema.get("default") is None:
        return ""
    return f"`{_cell(json.dumps(schema['default'], ensure_ascii=False))}`"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")
