"""An agent's tool rules: which tools may come next, whether a call breaks a rule, and whether a turn may end. Pure.

A rule about a tool that the agent does not have is no rule. What was called so far is given; calls that broke a rule are no
part of it (`kept` sorts them out), so that one that was refused changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from runstead.domain.agent import ToolRule

RUN_FIRST = "run_first"
EXIT = "exit_loop"
CHILDREN = "constrain_child_tools"
PARENT = "parent_last_tool"
CONDITIONAL = "conditional"
MAX_COUNT = "max_count_per_step"
REQUIRED = "required_before_exit"
# Rules of these types say what may come next.
_ORDERING = {RUN_FIRST, CHILDREN, PARENT, CONDITIONAL, MAX_COUNT}


@dataclass(frozen=True, slots=True)
class Called:
    """A call that was made; `returned` None: what came of it is not known yet."""

    name: str
    returned: str | None = None


def order_matters(rules: Iterable[ToolRule]) -> bool:
    """Whether any rule asks what was called before."""
    return any(rule.type in _ORDERING or rule.type == REQUIRED for rule in rules)


def allowed(rules: Sequence[ToolRule], tools: Sequence[str], so_far: Sequence[Called]) -> tuple[str, ...]:
    """Those of the tools that may be called next, in their order."""
    last = so_far[-1] if so_far else None
    may = set(tools) if last is not None else _first(rules, tools) or set(tools)
    may -= _orphans(rules, last)
    if last is not None:
        may = _after(rules, may, last)
    for rule in rules:
        if rule.type == MAX_COUNT and _count(so_far, rule.tool_name) >= _number(rule, "max_count_limit"):
            may.discard(rule.tool_name)
    return tuple(name for name in tools if name in may)


def refusal(
    rules: Sequence[ToolRule], tools: Sequence[str], so_far: Sequence[Called], name: str
) -> str | None:
    """Why this call may not be made now, in words for the model; None where it may."""
    if name not in tools:
        return None  # that there is no such tool is said elsewhere
    may = allowed(rules, tools, so_far)
    if name in may:
        return None
    instead = f"You may call {', '.join(may)}." if may else "No tool may be called now."
    return f"A rule of this agent does not let {name} be called now. {instead}"


def prefilled(rules: Iterable[ToolRule], so_far: Sequence[Called], name: str) -> Mapping[str, object]:
    """The arguments that rules give the next call of a tool, whatever the model writes for them.

    The first call of a turn has those of a `run_first` rule, the one behind a parent those of its `child_arg_nodes`.
    """
    given: dict[str, object] = {}
    for rule in rules:
        if not so_far and rule.type == RUN_FIRST and rule.tool_name == name:
            given |= _arguments(rule.extra)
        elif so_far and rule.type == CHILDREN and rule.tool_name == so_far[-1].name:
            for node in _documents(rule, "child_arg_nodes"):
                given |= _arguments(node) if node.get("name") == name else {}
    return given


def kept(rules: Sequence[ToolRule], tools: Sequence[str], calls: Iterable[Called]) -> tuple[Called, ...]:
    """The calls that broke no rule when they were made."""
    found: list[Called] = []
    for call in calls:
        if refusal(rules, tools, found, call.name) is None:
            found.append(call)
    return tuple(found)


def owed(rules: Sequence[ToolRule], tools: Sequence[str], so_far: Sequence[Called]) -> tuple[str, ...]:
    """The tools of which one, or all, must be called before the turn may end; empty where it may end now."""
    if not so_far and (first := _first(rules, tools)):
        return tuple(name for name in tools if name in first)
    names = {call.name for call in so_far}
    required = {rule.tool_name for rule in rules if rule.type == REQUIRED} - names
    return tuple(name for name in tools if name in required)


def ends(rules: Sequence[ToolRule], tools: Sequence[str], so_far: Sequence[Called]) -> str | None:
    """The tool whose call ends the turn; None where none did, or something is still owed."""
    exits = {rule.tool_name for rule in rules if rule.type == EXIT}
    made = next((call.name for call in so_far if call.name in exits), None)
    return None if made is None or owed(rules, tools, so_far) else made


def _first(rules: Sequence[ToolRule], tools: Collection[str]) -> set[str]:
    return {rule.tool_name for rule in rules if rule.type == RUN_FIRST and rule.tool_name in tools}


def _orphans(rules: Sequence[ToolRule], last: Called | None) -> set[str]:
    """The tools that may come right behind their parents only, where none of those was called last."""
    parents = [rule for rule in rules if rule.type == PARENT]
    under = {child for rule in parents for child in _texts(rule, "children")}
    called = [rule for rule in parents if last is not None and rule.tool_name == last.name]
    return under - {child for rule in called for child in _texts(rule, "children")}


def _after(rules: Sequence[ToolRule], may: set[str], last: Called) -> set[str]:
    """What may follow the last call."""
    children = [rule for rule in rules if rule.type == CHILDREN and rule.tool_name == last.name]
    if children:
        may = may & {child for rule in children for child in _texts(rule, "children")}
    for rule in rules:
        if rule.type == CONDITIONAL and rule.tool_name == last.name and last.returned is not None:
            may = _conditional(rule, may, last.returned)
    return may


def _conditional(rule: ToolRule, may: set[str], returned: str) -> set[str]:
    """What may follow, by what the last call returned."""
    mapping = rule.extra.get("child_output_mapping")
    cases = cast("dict[str, object]", mapping) if isinstance(mapping, dict) else {}
    said = _plain(returned)
    for value, child in cases.items():
        if _plain(value) == said:
            return may & {str(child)}
    default = rule.extra.get("default_child")
    if isinstance(default, str):
        return may & {default}
    return set() if rule.extra.get("require_output_mapping") is True else may


def _plain(value: str) -> str:
    """A value without what differs between Python's spelling and JSON's."""
    text = value.strip().strip("\"'")
    return text.lower() if text.lower() in {"true", "false", "none", "null"} else text


def _count(so_far: Sequence[Called], name: str) -> int:
    return sum(call.name == name for call in so_far)


def _number(rule: ToolRule, name: str) -> int:
    value = rule.extra.get(name)
    return value if isinstance(value, int) else 2**31


def _texts(rule: ToolRule, name: str) -> list[str]:
    value = rule.extra.get(name)
    return [str(each) for each in cast("list[object]", value)] if isinstance(value, list) else []


def _documents(rule: ToolRule, name: str) -> list[Mapping[str, object]]:
    value = rule.extra.get(name)
    found = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Mapping[str, object]", each) for each in found if isinstance(each, dict)]


def _arguments(document: Mapping[str, object]) -> Mapping[str, object]:
    args = document.get("args")
    return cast("Mapping[str, object]", args) if isinstance(args, dict) else {}
