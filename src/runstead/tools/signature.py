"""The JSON schema of a function, read from its source: never run here, only parsed.

Types come from the annotations, words from the docstring (Google's style, NumPy's or Sphinx's). Where a type is a class of
the source the sandbox is asked (`unresolved`). Every error says what to write.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol, cast

from runstead.errors import Invalid

Json = dict[str, object]
SOURCE_CHARS_MAX = 1_000_000
NOT_ARGUMENTS = {"self", "agent_state"}

_PLAIN: Mapping[str, str] = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "bytes": "string",
    "dict": "object",
    "Dict": "object",
    "Mapping": "object",
    "list": "array",
    "List": "array",
    "Sequence": "array",
    "tuple": "array",
    "Tuple": "array",
    "set": "array",
    "Set": "array",
    "None": "null",
    "NoneType": "null",
}
# The parsers of docstrings: Google's, NumPy's, and Sphinx's field lists.
_STYLES = ("google", "numpydoc", "rest")
_LISTS = {name for name, kind in _PLAIN.items() if kind == "array"}
_MAPPINGS = {name for name, kind in _PLAIN.items() if kind == "object"}
_ANYTHING = {"Any", "object"}


class _Words(Protocol):
    """What is used of a parsed docstring."""

    @property
    def params(self) -> list[_Param]: ...
    @property
    def short_description(self) -> str | None: ...
    @property
    def long_description(self) -> str | None: ...


class _Param(Protocol):
    arg_name: str
    description: str | None


class _ClassOfSource(Exception):
    """An annotation names something that only running the source can tell."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A function as the model is told of it. `unresolved`: parameters whose types the sandbox must say."""

    name: str
    description: str
    properties: Mapping[str, Json]
    required: tuple[str, ...]
    unresolved: tuple[str, ...] = field(default=())

    def resolved(self, schemas: Mapping[str, object]) -> Signature:
        """The same, with what the sandbox said of the unresolved parameters."""
        properties = dict(self.properties)
        for name in self.unresolved:
            found = schemas.get(name)
            if not isinstance(found, Mapping):
                raise Invalid(f"The type of the argument {name!r} of {self.name} could not be made out.")
            properties[name] = {**_inlined(cast("Mapping[str, object]", found)), **properties[name]}
        return Signature(self.name, self.description, properties, self.required)

    @property
    def json_schema(self) -> Json:
        """As the API shows a tool's function."""
        parameters = {"type": "object", "properties": dict(self.properties), "required": list(self.required)}
        return {"name": self.name, "description": self.description, "parameters": parameters}


def signature_of(source: str, *, name: str | None = None, described: bool = True) -> Signature:
    """The last function of a source, or the one of that name.

    `described` False: its arguments are told elsewhere, so it needs neither annotations nor their descriptions. Raises
    `Invalid` saying what to write.
    """
    function = _function_in(_parsed(source), name)
    words = _words_of(function)
    text = _text_of(words) if words is not None else ""
    if not described:
        return Signature(function.name, text, {}, ())
    if not text:
        raise Invalid(
            f"The function {function.name} needs a docstring: the model is told by it what the tool does. Write"
            ' """What it does.""" below its first line, with a section "Args:" that describes each argument.'
        )
    told = {p.arg_name: p.description or "" for p in words.params} if words is not None else {}
    return _with_arguments(function, text, told)


def _with_arguments(
    function: ast.FunctionDef | ast.AsyncFunctionDef, text: str, told: Mapping[str, str]
) -> Signature:
    properties: dict[str, Json] = {}
    required: list[str] = []
    unresolved: list[str] = []
    for argument, default in _arguments(function):
        if argument.arg in NOT_ARGUMENTS:
            continue
        about = _about(function.name, argument, told)
        assert argument.annotation is not None, "looked at before"
        try:
            shape = _shape(argument.annotation)
        except _ClassOfSource:
            shape = {}
            unresolved.append(argument.arg)
        properties[argument.arg] = {**shape, "description": about}
        if default is None:
            required.append(argument.arg)
    return Signature(function.name, text, properties, tuple(required), tuple(unresolved))


def _parsed(source: str) -> ast.Module:
    if len(source) > SOURCE_CHARS_MAX:
        raise Invalid(f"The source has {len(source)} characters; at most {SOURCE_CHARS_MAX} are taken.")
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise Invalid(f"The source is no Python: {error.msg} in line {error.lineno}.") from None
    except (ValueError, RecursionError, MemoryError):
        raise Invalid(
            "The source is no Python that can be read: it holds NUL, or is nested too deeply."
        ) from None


def _function_in(tree: ast.Module, name: str | None) -> ast.FunctionDef | ast.AsyncFunctionDef:
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    if not functions:
        raise Invalid("The source defines no function. Write `def your_tool(...):` at its top level.")
    if name is None:
        return functions[-1]
    for function in functions:
        if function.name == name:
            return function
    found = ", ".join(function.name for function in functions)
    raise Invalid(f"The schema names the function {name[:100]!r}, but the source defines {found[:500]}.")


def _words_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> _Words | None:
    """The docstring in the style that finds arguments in it, Google's first."""
    docstring = ast.get_docstring(function)
    if not docstring:
        return None
    read: list[_Words] = []
    for style in _STYLES:
        try:
            words = cast("_Words", import_module(f"docstring_parser.{style}").parse(docstring))
        except Exception as error:  # noqa: BLE001 - the library's errors are of many kinds; the writer is told
            if style == _STYLES[-1] and not read:
                raise Invalid(
                    f"The docstring of {function.name} cannot be read ({error}). Write it in Google's style: a line that"
                    ' says what it does, then "Args:" with a line `name (type): what it is` for each argument.'
                ) from None
            continue
        if words.params:
            return words
        read.append(words)
    return read[0]


def _text_of(words: _Words) -> str:
    parts = [part for part in (words.short_description, words.long_description) if part]
    return "\n\n".join(parts)


def _arguments(
    function: ast.FunctionDef | ast.AsyncFunctionDef,
) -> list[tuple[ast.arg, ast.expr | None]]:
    """The arguments with their defaults. Raises `Invalid` for those that cannot be given by name."""
    given = function.args
    if given.vararg is not None or given.kwarg is not None:
        star = (
            f"*{given.vararg.arg}"
            if given.vararg is not None
            else f"**{given.kwarg.arg if given.kwarg else ''}"
        )
        raise Invalid(f"{function.name} takes {star}, of which no schema can be made; name each argument.")
    if given.posonlyargs:
        raise Invalid(f"{function.name} has arguments that cannot be given by name; remove the `/`.")
    missing = len(given.args) - len(given.defaults)
    defaults: list[ast.expr | None] = [*([None] * missing), *given.defaults]
    return [*zip(given.args, defaults, strict=True), *zip(given.kwonlyargs, given.kw_defaults, strict=True)]


def _about(function: str, argument: ast.arg, told: Mapping[str, str]) -> str:
    if argument.annotation is None:
        raise Invalid(
            f"The argument {argument.arg!r} of {function} has no type; write `{argument.arg}: str`, or what it is."
        )
    about = told.get(argument.arg, "")
    if not about:
        raise Invalid(
            f"The docstring of {function} does not describe the argument {argument.arg!r}; add a line"
            f' `{argument.arg} (type): what it is` to its section "Args:".'
        )
    return about


def _shape(node: ast.expr) -> Json:
    """The schema of an annotation. Raises `_ClassOfSource` where it takes more than reading."""
    match node:
        case ast.Constant(value=None):
            return {"type": "null"}
        case ast.Constant(value=str(text)):
            return _shape(_annotation(text))
        case ast.Name() | ast.Attribute():
            return _named(_last_name(node))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either([left, right])
        case ast.Subscript(value=value, slice=inner):
            return _subscripted(_last_name(value), inner)
        case _:
            raise _ClassOfSource


def _annotation(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _ClassOfSource from None


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            raise _ClassOfSource


def _named(name: str) -> Json:
    if name in _ANYTHING:
        return {}
    if name not in _PLAIN:
        raise _ClassOfSource
    kind = _PLAIN[name]
    return {"type": kind, "items": {"type": "string"}} if kind == "array" else {"type": kind}


def _subscripted(name: str, inner: ast.expr) -> Json:
    members = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if name == "Optional":
        return _either([inner, ast.Constant(None)])
    if name == "Union":
        return _either(members)
    if name == "Literal":
        return _literal(members)
    if name in {"Annotated", "Required", "NotRequired", "Final"}:
        return _shape(members[0])
    if name in _LISTS:
        return {"type": "array", "items": _shape(members[0])}
    if name in _MAPPINGS:
        return {"type": "object", "additionalProperties": _shape(members[-1])}
    raise _ClassOfSource


def _either(options: list[ast.expr]) -> Json:
    """One of several types. Where one of them is nothing at all, the other is what the model is told."""
    shapes = [_shape(option) for option in options]
    real = [shape for shape in shapes if shape != {"type": "null"}]
    flat: list[Json] = []
    for shape in real:
        inner = shape.get("anyOf")
        flat += cast("list[Json]", inner) if isinstance(inner, list) else [shape]
    return flat[0] if len(flat) == 1 else {"anyOf": flat}


def _literal(members: list[ast.expr]) -> Json:
    values = [member.value for member in members if isinstance(member, ast.Constant)]
    if len(values) != len(members):
        raise _ClassOfSource
    kinds = {type(value).__name__ for value in values}
    kind = _PLAIN.get(kinds.pop(), "string") if len(kinds) == 1 else None
    shape: Json = {"enum": [value for value in values if isinstance(value, str | int | float | bool)]}
    return shape if kind is None else {"type": kind, **shape}


def function_schema(name: str, description: str, parameters: Mapping[str, object]) -> Json:
    """A tool's function of what its maker said of the arguments: references are put where they point to."""
    plain = _inlined(parameters)
    plain.pop("title", None)
    plain.pop("description", None)
    return {
        "name": name,
        "description": description,
        "parameters": {"type": "object", "properties": {}, **plain},
    }


def _inlined(schema: Mapping[str, object]) -> Json:
    """A schema without references into its own definitions; one that holds itself is cut there."""
    defs = schema.get("$defs")
    known: Mapping[str, object] = cast("Json", defs) if isinstance(defs, Mapping) else {}
    bare = {name: value for name, value in schema.items() if name != "$defs"}
    return cast("Json", _resolve(bare, known, ()))


def _resolve(node: object, defs: Mapping[str, object], above: tuple[str, ...]) -> object:
    if isinstance(node, list):
        return [_resolve(each, defs, above) for each in cast("list[object]", node)]
    if not isinstance(node, Mapping):
        return node
    members = cast("Mapping[str, object]", node)
    reference = members.get("$ref")
    if isinstance(reference, str):
        name = reference.rpartition("/")[2]
        if name in above or name not in defs:
            return {"type": "object"}
        target = _resolve(defs[name], defs, (*above, name))
        rest = {key: value for key, value in members.items() if key != "$ref"}
        return {**cast("Json", target), **rest} if isinstance(target, dict) else target
    return {key: _resolve(value, defs, above) for key, value in members.items()}
