"""Tool rules: what may come next, what is refused, when a turn may end; for every sequence of calls."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runstead.domain.agent import ToolRule
from runstead.domain.tool_rules import Called, allowed, ends, kept, owed, prefilled, refusal

TOOLS = ("a", "b", "c", "d")


def rule(kind: str, name: str, **extra: object) -> ToolRule:
    """One rule."""
    return ToolRule(kind, name, extra)


def calls(*names: str) -> list[Called]:
    """Calls that returned."""
    return [Called(name, f"{name} said") for name in names]


def test_without_rules_everything_may() -> None:
    """No rule, no limit."""
    assert allowed((), TOOLS, calls("a", "a")) == TOOLS
    assert owed((), TOOLS, []) == ()


def test_run_first() -> None:
    """At the beginning only those; one of them, then the rest; text alone does not end the turn before."""
    rules = (rule("run_first", "b"), rule("run_first", "c"), rule("run_first", "elsewhere"))
    assert allowed(rules, TOOLS, []) == ("b", "c")
    assert owed(rules, TOOLS, []) == ("b", "c")
    assert allowed(rules, TOOLS, calls("b")) == TOOLS
    assert owed(rules, TOOLS, calls("b")) == ()
    assert allowed((rule("run_first", "elsewhere"),), TOOLS, []) == TOOLS


def test_children() -> None:
    """After a parent only its children; two rules of one parent are one."""
    rules = (
        rule("constrain_child_tools", "a", children=["b"]),
        rule("constrain_child_tools", "a", children=["c", "gone"]),
    )
    assert allowed(rules, TOOLS, calls("a")) == ("b", "c")
    assert allowed(rules, TOOLS, calls("a", "b")) == TOOLS


def test_arguments_that_rules_give() -> None:
    """The first call of a turn has those of its rule; a child those of its node, right behind its parent only."""
    nodes = [{"name": "b", "args": {"x": 1}}, {"name": "c"}, "odd"]
    rules = (
        rule("run_first", "a", args={"y": 2}),
        rule("constrain_child_tools", "a", children=["b", "c"], child_arg_nodes=nodes),
    )
    assert prefilled(rules, [], "a") == {"y": 2}
    assert prefilled(rules, [], "b") == {}
    assert prefilled(rules, calls("a"), "b") == {"x": 1}
    assert prefilled(rules, calls("a"), "c") == {}
    assert prefilled(rules, calls("a", "b"), "b") == {}


def test_parents() -> None:
    """A child of a parent rule comes right behind its parent and nowhere else."""
    rules = (rule("parent_last_tool", "a", children=["b"]),)
    assert allowed(rules, TOOLS, []) == ("a", "c", "d")
    assert allowed(rules, TOOLS, calls("c")) == ("a", "c", "d")
    assert allowed(rules, TOOLS, calls("c", "a")) == TOOLS


def test_conditional() -> None:
    """What a call returned says what follows: the case, else the default, else nothing or everything."""
    cases = {"yes": "b", "True": "c", "7": "d"}
    with_default = (rule("conditional", "a", child_output_mapping=cases, default_child="a"),)
    strict = (rule("conditional", "a", child_output_mapping=cases, require_output_mapping=True),)
    loose = (rule("conditional", "a", child_output_mapping=cases),)
    for said, child in (("yes", "b"), ("true", "c"), (" 7\n", "d"), ("no", "a")):
        assert allowed(with_default, TOOLS, [Called("a", said)]) == (child,)
    assert allowed(strict, TOOLS, [Called("a", "no")]) == ()
    assert allowed(loose, TOOLS, [Called("a", "no")]) == TOOLS


def test_what_must_come_before_the_end() -> None:
    """An exit tool ends the turn only when nothing is owed."""
    rules = (rule("exit_loop", "d"), rule("required_before_exit", "a"), rule("required_before_exit", "gone"))
    assert ends(rules, TOOLS, calls("d")) is None
    assert owed(rules, TOOLS, calls("d")) == ("a",)
    assert ends(rules, TOOLS, calls("d", "a")) == "d"
    assert ends(rules, TOOLS, calls("a")) is None


def test_a_refusal_says_what_may_be_called() -> None:
    """The model learns what to do instead; a tool that is not there is none of the rules' business."""
    rules = (
        rule("max_count_per_step", "a", max_count_limit=1),
        rule("constrain_child_tools", "a", children=["b"]),
    )
    assert "You may call b." in str(refusal(rules, TOOLS, calls("a"), "a"))
    assert refusal(rules, TOOLS, calls("a"), "b") is None
    assert refusal(rules, TOOLS, calls("a"), "nowhere") is None
    none = (rule("constrain_child_tools", "a", children=[]),)
    assert "No tool may be called now." in str(refusal(none, TOOLS, calls("a"), "a"))


_NAMES = st.sampled_from([*TOOLS, "gone"])
_RULES = st.lists(
    st.one_of(
        st.builds(rule, st.just("run_first"), _NAMES),
        st.builds(rule, st.just("exit_loop"), _NAMES),
        st.builds(rule, st.just("required_before_exit"), _NAMES),
        st.builds(
            lambda name, limit: rule("max_count_per_step", name, max_count_limit=limit),
            _NAMES,
            st.integers(1, 3),
        ),
        st.builds(
            lambda kind, name, children: rule(kind, name, children=children),
            st.sampled_from(["constrain_child_tools", "parent_last_tool"]),
            _NAMES,
            st.lists(_NAMES, max_size=3),
        ),
        st.builds(
            lambda name, cases: rule("conditional", name, child_output_mapping=cases),
            _NAMES,
            st.dictionaries(st.sampled_from(["x", "y"]), _NAMES, max_size=2),
        ),
    ),
    max_size=5,
).map(tuple)
_CALLS = st.lists(st.builds(Called, _NAMES, st.sampled_from(["x", "y", "z"])), max_size=8)


@given(_RULES, _CALLS)
def test_every_call_that_is_kept_was_allowed(rules: tuple[ToolRule, ...], made: list[Called]) -> None:
    """Whatever a model asks for: what remains of it breaks no rule, at no point."""
    found = kept(rules, TOOLS, made)
    for index, call in enumerate(found):
        assert call.name in allowed(rules, TOOLS, found[:index]) or call.name not in TOOLS
    assert kept(rules, TOOLS, found) == found


@given(_RULES, _CALLS)
def test_limits_and_firsts_hold(rules: tuple[ToolRule, ...], made: list[Called]) -> None:
    """No tool is called more often than its limit, and what must come first does."""
    found = [call.name for call in kept(rules, TOOLS, made) if call.name in TOOLS]
    for each in rules:
        if each.type == "max_count_per_step":
            limit = each.extra["max_count_limit"]
            assert isinstance(limit, int)
            assert found.count(each.tool_name) <= limit or each.tool_name not in TOOLS
    firsts = {r.tool_name for r in rules if r.type == "run_first" and r.tool_name in TOOLS}
    asked = [call.name for call in made]
    if firsts and found and all(name in TOOLS for name in asked):
        assert found[0] in firsts


@given(_RULES, _CALLS)
def test_what_is_offered_is_there_and_what_is_owed_can_be_paid(
    rules: tuple[ToolRule, ...], made: list[Called]
) -> None:
    """Only tools that the agent has are offered or asked for; a turn ends by one of its exits."""
    found = kept(rules, TOOLS, made)
    assert set(allowed(rules, TOOLS, found)) <= set(TOOLS)
    assert set(owed(rules, TOOLS, found)) <= set(TOOLS)
    end = ends(rules, TOOLS, found)
    if end is not None:
        assert any(r.type == "exit_loop" and r.tool_name == end for r in rules)
        assert owed(rules, TOOLS, found) == ()
