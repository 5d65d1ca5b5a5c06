"""A provider that an actor brought, through a real server: its runs, their end with the provider, a restart in between."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.test_isolation import new_user
from tests.serving import Server, saying, story, text_in
from tests.story_model import StoryModel

KEY = "sk-brought-by-ada-0123456789"
HANDLE = "adas/story"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_actors_runs_are_answered_by_the_actors_provider(folder: Path, model: StoryModel) -> None:
    """Also after a restart. Another actor has neither the provider nor its models; deleted, its runs fail and say why."""
    with Server(folder, "http://127.0.0.1:9/v1", RUNSTEAD_MODEL_RETRIES="0") as server:
        with server.client() as admin:
            ada, bob = new_user(admin, "ada"), new_user(admin, "bob")
        with server.client(user_id=ada) as client, server.client(user_id=bob) as other:
            body = {"name": "adas", "provider_type": "openai", "api_key": KEY, "base_url": model.url}
            provider = client.ask("POST", "/v1/providers/", body)
            handles = [each["handle"] for each in client.ask("GET", "/v1/models/?provider_category=byok")]
            assert handles == [HANDLE]
            agent = client.agent(model=HANDLE)
            assert text_in(client.sent(agent, story({"text": ["first"]}))) == "first"

            assert other.ask("GET", "/v1/models/?provider_category=byok") == []
            assert other.refused("POST", "/v1/agents/", {"model": HANDLE}).status_code == 404
            theirs = other.agent()
            sent = {**saying("hello"), "override_model": HANDLE}
            answered = other.refused("POST", f"/v1/agents/{theirs}/messages", sent)
            assert "No provider is configured" in answered.text
            other.ask("POST", "/v1/providers/", {**body, "api_key": "sk-brought-by-bob-0123456789"})

            assert server.stop() == 0
            server.start()
            assert text_in(client.sent(agent, story({"text": ["second"]}))) == "second"
            client.ask("DELETE", f"/v1/providers/{provider['id']}")
            failed = client.refused("POST", f"/v1/agents/{agent}/messages", saying("hello"))
            assert "No provider is configured for the model 'adas/story'" in failed.text
        assert KEY not in server.log
        kept = [each for each in folder.rglob("*") if each.is_file()]
        assert not [each for each in kept if KEY.encode() in each.read_bytes()]
