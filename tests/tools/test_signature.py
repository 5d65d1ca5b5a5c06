"""The schema of a function: read from its source, and errors that say what to write."""

from __future__ import annotations

from typing import Any, cast

import pytest

from runstead.errors import Invalid
from runstead.tools.signature import function_schema, signature_of


def schema_of(source: str) -> dict[str, Any]:
    """What the model is told of a source's last function."""
    return cast("dict[str, Any]", signature_of(source).json_schema)


def shape_of(annotation: str) -> dict[str, Any]:
    """The schema of one annotation."""
    source = f'def f(x: {annotation}) -> str:\n    """Do.\n\n    Args:\n        x: it\n    """\n'
    shape = schema_of(source)["parameters"]["properties"]["x"]
    assert shape.pop("description") == "it"
    return shape


def test_a_usual_function() -> None:
    """Google's style: what it does, and each argument; what has a default is not required."""
    source = '''
import os

def helper() -> None: ...

def roll_dice(sides: int, times: int = 1, label: str | None = None) -> str:
    """Roll dice.

    More about it.

    Args:
        sides (int): How many sides
            the dice have.
        times (int): How often.
        label (Optional[str]): What for.

    Returns:
        str: The sum.
    """
    return str(sides)
'''
    assert schema_of(source) == {
        "name": "roll_dice",
        "description": "Roll dice.\n\nMore about it.",
        "parameters": {
            "type": "object",
            "properties": {
                "sides": {"type": "integer", "description": "How many sides\nthe dice have."},
                "times": {"type": "integer", "description": "How often."},
                "label": {"type": "string", "description": "What for."},
            },
            "required": ["sides"],
        },
    }


@pytest.mark.parametrize(
    ("annotation", "shape"),
    [
        ("str", {"type": "string"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("dict", {"type": "object"}),
        ("Any", {}),
        ("list", {"type": "array", "items": {"type": "string"}}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        (
            "typing.List[typing.Dict[str, int]]",
            {
                "type": "array",
                "items": {"type": "object", "additionalProperties": {"type": "integer"}},
            },
        ),
        ("Optional[int]", {"type": "integer"}),
        ("'int | None'", {"type": "integer"}),
        ("Union[int, str, None]", {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ('Literal["a", "b"]', {"type": "string", "enum": ["a", "b"]}),
        ("Literal[1, 'b']", {"enum": [1, "b"]}),
        ("Annotated[int, 'x']", {"type": "integer"}),
    ],
)
def test_annotations(annotation: str, shape: dict[str, Any]) -> None:
    """Each type has its schema; None beside another type is what may be left out."""
    assert shape_of(annotation) == shape


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("x = 1", "defines no function"),
        ("def f(:", "no Python"),
        ("def f(x: int): return x", "needs a docstring"),
        ('def f(x: int):\n    """Do."""', "does not describe the argument 'x'"),
        ('def f(x):\n    """Do.\n\n    Args:\n        x: it\n    """', "has no type; write `x: str`"),
        ('def f(*x: int):\n    """Do."""', "takes \\*x"),
        ('def f(**x: int):\n    """Do."""', "takes \\*\\*x"),
        ('def f(x: int, /):\n    """Do."""', "remove the `/`"),
        ("\0", "no Python"),
        ("(" * 5000, "no Python"),
        ("#" * 1_000_001, "at most 1000000"),
    ],
)
def test_errors_say_what_to_write(source: str, says: str) -> None:
    """Whoever wrote it learns what is missing."""
    with pytest.raises(Invalid, match=says):
        signature_of(source)


GOOGLE = """Do it.

    Args:
        x (int): the number
        y: the text, of
            two lines

    Returns:
        str: it
    """
SPHINX = """Do it.

    :param x: the number
    :type x: int
    :param y: the text, of
        two lines
    :returns: it
    """
NUMPY = """Do it.

    Parameters
    ----------
    x : int
        the number
    y : str, optional
        the text, of
        two lines

    Returns
    -------
    str
        it
    """


@pytest.mark.parametrize("words", [GOOGLE, SPHINX, NUMPY], ids=["google", "sphinx", "numpy"])
def test_docstrings_of_all_styles(words: str) -> None:
    signature = signature_of(f'def f(x: int, y: str = "") -> str:\n    """{words}"""\n    return ""')
    assert signature.description == "Do it."
    assert signature.required == ("x",)
    told = {name: shape["description"] for name, shape in signature.properties.items()}
    assert told == {"x": "the number", "y": "the text, of\ntwo lines"}


def test_classes_of_the_source_are_left_to_the_sandbox() -> None:
    """What only running the source can tell is named, and put in its place when it is known."""
    source = 'class P: ...\ndef f(p: P, n: int):\n    """Do.\n\n    Args:\n        p: the p\n        n: the n\n    """'
    signature = signature_of(source)
    assert signature.unresolved == ("p",)
    told = {
        "p": {
            "$defs": {"X": {"type": "string"}},
            "type": "object",
            "properties": {"x": {"$ref": "#/$defs/X"}},
        }
    }
    found = signature.resolved(told).properties
    assert found["p"] == {"type": "object", "properties": {"x": {"type": "string"}}, "description": "the p"}
    with pytest.raises(Invalid, match="'p' of f"):
        signature.resolved({})


def test_the_server_is_no_argument_of_the_models() -> None:
    """`agent_state` is given by the server, so the model is not asked for it."""
    source = 'def f(agent_state: "AgentState", x: int = 0):\n    """Do.\n\n    Args:\n        x: it\n    """'
    assert list(signature_of(source).properties) == ["x"]


def test_a_schema_of_arguments_is_told_without_references() -> None:
    """Models of some providers do not follow references; a type that holds itself is cut."""
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    given = {"title": "T", "properties": {"n": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": node}}
    schema = function_schema("f", "d", given)
    assert schema["parameters"] == {
        "type": "object",
        "properties": {"n": {"type": "object", "properties": {"next": {"type": "object"}}}},
    }


def test_the_function_that_is_named() -> None:
    """A schema may name another function than the last; one that is not there is an error."""
    source = 'def a():\n    """A."""\ndef b():\n    """B."""'
    assert signature_of(source, name="a").description == "A."
    assert signature_of(source).name == "b"
    with pytest.raises(Invalid, match="defines a, b"):
        signature_of(source, name="c")


@pytest.mark.parametrize(
    "annotation", ["-" * 100_000 + "1", "x" + ".a" * 50_000, "a\\0b", "not " * 50_000 + "1"]
)
def test_an_annotation_that_nobody_can_read_is_left_to_the_sandbox(annotation: str) -> None:
    """Written as a text it is read on its own, and may be nested as deeply as it likes: no error of the server's."""
    source = f'def f(a: "{annotation}"):\n    """Do it.\n\n    Args:\n        a: what\n    """\n'
    assert signature_of(source).unresolved == ("a",)
