"""One agent, one run at a time; and the same request, sent twice, is one run."""

from __future__ import annotations

from tests.serving import Client, of_the_log, saying, story, text_in
from tests.story_model import StoryModel


def begun(client: Client, agent: str, content: str, **headers: str) -> str:
    """The run of an async message."""
    path = f"/v1/agents/{agent}/messages/async"
    return str(client.ask("POST", path, saying(content), headers=headers)["id"])


def test_a_second_message_waits_its_turn(client: Client, model: StoryModel, mark: str) -> None:
    """It is admitted at once, begins when the first is over, and sees what the first said."""
    agent = client.agent()
    first = begun(client, agent, story({"text": ["alpha", {"gate": mark}]}, mark=f"{mark}-a"))
    model.wait_asked(f"{mark}-a", said=1)
    second = begun(client, agent, story({"text": ["beta"]}, mark=f"{mark}-b"))
    other = client.agent()
    assert text_in(client.sent(other, story({"text": ["other"]}))) == "other"
    assert client.run(first)["status"] == "running"
    assert client.run(second)["status"] == "created"
    assert not model.asked_with(f"{mark}-b")
    model.open(mark)
    ended = [client.wait_status(id_, "completed") for id_ in (first, second)]
    assert ended[0]["completed_at"] <= ended[1]["completed_at"]
    history = model.asked_with(f"{mark}-b")[-1].body["messages"]
    assert history[-2]["content"] == "alpha"
    assert len([message for message in history if message["role"] == "user"]) == 2


def test_many_messages_are_answered_in_order(client: Client) -> None:
    """Twenty at once to one agent: all answered, in the order of their admission."""
    agent = client.agent()
    ids = [begun(client, agent, story({"text": [f"n{n}"]})) for n in range(20)]
    for run_id in ids:
        client.wait_status(run_id, "completed")
    said = client.ask("GET", f"/v1/agents/{agent}/messages?limit=200&order=asc")
    answers = [m["content"] for m in said if m["message_type"] == "assistant_message"]
    assert answers == [f"n{n}" for n in range(20)]


def test_the_middle_of_a_line_can_be_cancelled(client: Client, model: StoryModel, mark: str) -> None:
    """Lists show who waits behind whom; who is cancelled leaves, and those behind move up."""
    agent = client.agent()
    first = begun(client, agent, story({"text": ["a", {"gate": mark}]}, mark=f"{mark}-a"))
    model.wait_asked(f"{mark}-a", said=1)
    second, third, fourth = [begun(client, agent, story({"text": [f"n{n}"]}, mark=mark)) for n in range(3)]

    def line() -> dict[str, str | None]:
        active = client.ask("GET", f"/v1/runs/?active=true&agent_id={agent}")
        return {run["id"]: run["waiting_for"] for run in active}

    assert line() == {first: None, second: first, third: second, fourth: third}
    path = f"/v1/agents/{agent}/messages/cancel"
    assert client.ask("POST", path, {"run_ids": [third]}) == {third: "cancelled"}
    assert line() == {first: None, second: first, fourth: second}
    assert client.run(fourth)["line_position"] == 2
    model.open(mark)
    assert client.wait_status(fourth, "completed")["line_position"] == 0
    assert len(model.asked_with(mark)) == 3


def test_an_interrupt_reaches_a_silent_model(client: Client, model: StoryModel, mark: str) -> None:
    """The new message is answered although the model of the first would have said nothing more for ever."""
    agent = client.agent()
    first = begun(client, agent, story({"text": ["so far ", {"silence": True}]}, mark=f"{mark}-a"))
    model.wait_asked(f"{mark}-a", said=1)
    frames = client.sent(agent, story({"text": ["now"]}, mark=mark), busy_policy="interrupt")
    assert text_in(frames) == "now"
    assert client.run(first)["status"] == "cancelled"
    assert "so far " in [message.get("content") for message in model.asked_with(mark)[-1].body["messages"]]


def test_an_idempotency_key_is_one_run(client: Client, model: StoryModel, mark: str) -> None:
    """The same key and body: the same run, in every mode; another body: 409."""
    agent = client.agent()
    key = {"Idempotency-Key": mark}
    content = story({"text": ["once"]}, mark=mark)
    run_id = begun(client, agent, content, **key)
    assert begun(client, agent, content, **key) == run_id
    client.wait_status(run_id, "completed")
    assert begun(client, agent, content, **key) == run_id
    assert len(model.asked_with(mark)) == 1
    path = f"/v1/agents/{agent}/messages/async"
    refused = client.refused("POST", path, saying("another"), headers=key)
    assert refused.status_code == 409
    other = client.agent()
    refused = client.refused("POST", f"/v1/agents/{other}/messages/async", saying(content), headers=key)
    assert refused.status_code == 409


def test_the_same_otids_are_one_run(client: Client, model: StoryModel, mark: str) -> None:
    """A retry with the same otid follows the first run's stream from its beginning; another text with it: 409."""
    agent = client.agent()
    message = {"role": "user", "content": story({"text": ["once"]}, mark=mark), "otid": mark}
    path = f"/v1/agents/{agent}/messages/stream"
    body = {"messages": [message], "background": True}
    with client.stream(path, body) as frames:
        first = of_the_log(frames)
    with client.stream(path, body) as frames:
        assert of_the_log(frames) == first
    assert len(model.asked_with(mark)) == 1
    body = {"messages": [{**message, "content": "another"}], "background": True}
    assert client.refused("POST", path, body).status_code == 409


def test_the_same_blocking_request_has_the_same_answer(client: Client, model: StoryModel, mark: str) -> None:
    """A client that lost the answer asks again and gets it."""
    agent = client.agent()
    body = saying(story({"text": ["once"]}, mark=mark))
    key = {"Idempotency-Key": mark}
    path = f"/v1/agents/{agent}/messages"
    answers = [client.ask("POST", path, body, headers=key) for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(model.asked_with(mark)) == 1


def test_pings_fill_silence_and_move_no_cursor(client: Client, model: StoryModel, mark: str) -> None:
    """A silent run's stream gets pings without an id that repeat the last number seen; who asked for none gets none."""
    agent = client.agent()
    body = saying(story({"text": ["a", {"gate": mark}, "b"]}), stream_tokens=True, background=True)
    with client.stream(f"/v1/agents/{agent}/messages/stream", body) as frames:
        seen = [next(frames)]
        while [frame.json["seq_id"] for frame in seen[-3:]] != [2, 2, 2]:
            seen.append(next(frames))
        # A slow machine has silence before the first word, too.
        assert [(frame.seq, frame.type) for frame in seen if frame.seq] == [
            (1, "ping"),
            (2, "assistant_message"),
        ]
        assert [frame.type for frame in seen if not frame.seq] == ["ping"] * (len(seen) - 2)
        assert [frame.json["seq_id"] for frame in seen] == sorted(frame.json["seq_id"] for frame in seen)
        run_id = seen[0].json["run_id"]
        model.open(mark)
        rest = list(frames)
    assert [frame.seq for frame in rest if frame.seq] == [3, 4, 5]
    assert client.resumed(run_id, seen[-1].json["seq_id"])[0].seq == 3
    quiet = client.resumed(run_id, 0, include_pings=False)
    assert [frame.seq for frame in quiet[:-1]] == [2, 3, 4, 5]
