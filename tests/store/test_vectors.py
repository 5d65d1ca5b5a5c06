"""Vectors of passages: found by who may, claimed once, found missing again when their model changes."""

from __future__ import annotations

from datetime import timedelta
from math import sqrt
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.store.rows import NOW, agent

from runstead.domain.actor import User
from runstead.domain.archive import Archive, Passage
from runstead.domain.embedding import Vector
from runstead.ids import DEFAULT_ORGANIZATION, DEFAULT_USER, ArchiveId, PassageId, UserId
from runstead.store import actors, agents, archives, passages, vectors
from runstead.store.passages import PassageFilter

ARCHIVE = ArchiveId("archive-1")
MODEL = "it/embed"
LATER = NOW + timedelta(minutes=2)
ANY = PassageFilter()


def fill(conn: Connection, texts: dict[str, Vector | None], **fields: Any) -> None:
    """An archive with passages, each with its vector where it has one."""
    archive: dict[str, Any] = {"id": ARCHIVE, "user_id": DEFAULT_USER, "embedding": MODEL, **fields}
    made = Archive(name="notes", created_at=NOW, updated_at=NOW, **archive)
    archives.insert_archive(conn, made)
    for text in texts:
        one = Passage(PassageId(f"passage-{text}"), made.user_id, made.id, text, NOW, NOW, (text,))
        passages.put_passages(conn, [one])
    known = {PassageId(f"passage-{text}"): each for text, each in texts.items() if each is not None}
    model = made.embedding or MODEL
    vectors.claim(conn, list(known), model, NOW, LATER)
    vectors.keep(conn, model, known)


def near(conn: Connection, asked: Vector, where: PassageFilter = ANY, **more: Any) -> list[str]:
    """The texts that lie near, the best first."""
    given: dict[str, Any] = {"user_id": DEFAULT_USER, "model": MODEL, "limit": 10, **more}
    return [each.passage.text for each in vectors.nearest(conn, asked=asked, where=where, **given)]


def waiting(conn: Connection, model: str = MODEL, default: str | None = None, after: int = 0) -> list[str]:
    """The texts of the passages that have no vector and may be taken now."""
    return [each.text for each in vectors.missing(conn, model, default, NOW, after, 100)]


def test_the_nearest_come_first(conn: Connection) -> None:
    """By distance, with the similarity as the score; limits and filters hold."""
    half = (sqrt(0.5), sqrt(0.5))
    fill(conn, {"north": (0.0, 1.0), "east": (1.0, 0.0), "between": half, "none": None})

    found = vectors.nearest(conn, DEFAULT_USER, MODEL, (0.0, 1.0), ANY, 10)

    assert [each.passage.text for each in found] == ["north", "between", "east"]
    assert [each.score for each in found] == [pytest.approx(x, abs=1e-6) for x in (1.0, sqrt(0.5), 0.0)]
    assert near(conn, (0.0, 1.0), limit=1) == ["north"]
    assert near(conn, (0.0, 1.0), PassageFilter(tags=("east", "none"))) == ["east"]
    assert near(conn, (0.0, 1.0), PassageFilter(until=NOW - timedelta(days=1))) == []
    assert near(conn, (0.0, 1.0), PassageFilter(archive_id="archive-2")) == []


def test_other_models_and_lengths_are_not_looked_at(conn: Connection) -> None:
    """A model that changed the length of its vectors finds what has the new length, and breaks nothing."""
    fill(conn, {"two": (0.0, 1.0), "three": (0.0, 0.0, 1.0)})

    assert near(conn, (0.0, 1.0)) == ["two"]
    assert near(conn, (0.0, 0.0, 1.0)) == ["three"]
    assert near(conn, (1.0,)) == []
    assert near(conn, (0.0, 1.0), model="it/other") == []


def test_another_actor_finds_nothing(conn: Connection) -> None:
    """Whatever it asks for."""
    other = UserId("user-other")
    actors.insert_user(conn, User(other, DEFAULT_ORGANIZATION, "B", NOW, NOW))
    fill(conn, {"secret": (0.0, 1.0)})

    assert near(conn, (0.0, 1.0), user_id=other) == []
    assert near(conn, (0.0, 1.0), PassageFilter(archive_id=ARCHIVE), user_id=other) == []
    assert vectors.models_searched(conn, other, ANY, None) == []
    assert vectors.models_searched(conn, DEFAULT_USER, ANY, None) == [MODEL]


def test_a_passage_is_claimed_once(conn: Connection) -> None:
    """Until the time of the claim is over; a vector that was made ends it for good."""
    fill(conn, {"a": None, "b": None})
    ids = [PassageId("passage-a"), PassageId("passage-b")]

    assert waiting(conn) == ["a", "b"]
    assert vectors.claim(conn, ids, MODEL, NOW, LATER) == set(ids)
    assert vectors.claim(conn, ids, MODEL, NOW, LATER) == set()
    assert waiting(conn) == []
    assert [each.text for each in vectors.missing(conn, MODEL, None, LATER, 0, 100)] == ["a", "b"]
    vectors.keep(conn, MODEL, {ids[0]: (1.0, 0.0)})
    vectors.put_off(conn, ids, MODEL, NOW)
    assert waiting(conn) == ["b"]
    assert vectors.vector_count(conn, DEFAULT_USER, ARCHIVE) == 1


def test_a_deleted_passage_takes_its_vector_with_it(conn: Connection) -> None:
    """Also where the vector comes after the passage has gone."""
    fill(conn, {"a": (1.0, 0.0), "b": None})
    late = PassageId("passage-b")
    vectors.claim(conn, [late], MODEL, NOW, LATER)
    for name in ("passage-a", late):
        assert passages.delete_passage(conn, DEFAULT_USER, name, ANY)

    vectors.keep(conn, MODEL, {late: (1.0, 0.0)})

    assert near(conn, (1.0, 0.0)) == []


def test_another_model_makes_the_vectors_missing(conn: Connection) -> None:
    """An agent's own archive follows the agent; the vectors of the model before are replaced, and not asked meanwhile."""
    one = agent(embedding=MODEL)
    agents.insert_agent(conn, one)
    own = archives.archive_of(conn, one, NOW)
    passages.put_passages(conn, [Passage(PassageId("passage-a"), DEFAULT_USER, own, "a", NOW, NOW)])
    vectors.claim(conn, [PassageId("passage-a")], MODEL, NOW, LATER)
    vectors.keep(conn, MODEL, {PassageId("passage-a"): (1.0, 0.0)})
    assert waiting(conn) == []

    agents.change_agent(conn, DEFAULT_USER, one.id, lambda _: agent(embedding="it/new"))

    assert vectors.models_used(conn, None) == ["it/new"]
    assert waiting(conn, "it/new") == ["a"]
    assert waiting(conn) == []
    assert near(conn, (1.0, 0.0), model="it/new") == []
    assert vectors.claim(conn, [PassageId("passage-a")], "it/new", NOW, LATER)
    vectors.keep(conn, MODEL, {PassageId("passage-a"): (0.0, 1.0)})  # the old model comes late
    assert near(conn, (0.0, 1.0)) == []


def test_who_has_no_model_has_the_servers(conn: Connection) -> None:
    """Or none; an archive without one takes that of the first agent it is given to."""
    fill(conn, {"a": None}, embedding=None)
    assert (vectors.models_used(conn, None), waiting(conn)) == ([], [])
    assert waiting(conn, default=MODEL) == ["a"]
    assert vectors.models_searched(conn, DEFAULT_USER, ANY, "it/default") == ["it/default"]

    agents.insert_agent(conn, agent(embedding="it/agents"))
    agents.insert_agent(conn, agent(2, embedding="it/second"))
    for number in (1, 2):
        assert archives.attach(conn, DEFAULT_USER, agent(number).id, ARCHIVE, NOW)

    assert vectors.models_searched(conn, DEFAULT_USER, ANY, "it/default") == ["it/agents"]
