"""Settings: what the environment says, what it may not say, and what a command is told of where the server is."""

from __future__ import annotations

import pytest

from runstead.domain.run import BusyPolicy
from runstead.errors import Invalid
from runstead.settings import (
    CHOICES,
    DEFAULT_URL,
    client_from_environment,
    colourless,
    from_environment,
)


def test_the_terms_of_an_approval() -> None:
    """A week and no, unless the environment says otherwise; a word that is none is refused."""
    assert (from_environment({}).approval_expires_s, from_environment({}).approval_default) == (
        604_800,
        "deny",
    )
    said = from_environment({"RUNSTEAD_APPROVAL_EXPIRES_S": "0", "RUNSTEAD_APPROVAL_DEFAULT": "Approve"})
    assert (said.approval_expires_s, said.approval_default) == (0, "approve")
    with pytest.raises(Invalid, match="RUNSTEAD_APPROVAL_DEFAULT must be deny or approve, not 'maybe'"):
        from_environment({"RUNSTEAD_APPROVAL_DEFAULT": "maybe"})


def test_a_busy_policy_is_one_of_three() -> None:
    """The words are the domain's; anything else is refused by name, with what is allowed."""
    assert tuple(policy.value for policy in BusyPolicy) == CHOICES["RUNSTEAD_BUSY_POLICY"]
    assert from_environment({}).busy_policy == "wait"
    assert from_environment({"RUNSTEAD_BUSY_POLICY": " Interrupt "}).busy_policy == "interrupt"
    with pytest.raises(Invalid, match="RUNSTEAD_BUSY_POLICY must be wait, refuse or interrupt, not 'queue'"):
        from_environment({"RUNSTEAD_BUSY_POLICY": "queue"})


def test_this_machine_unless_told_otherwise() -> None:
    """And without a key."""
    settings = client_from_environment({})
    assert (settings.url, settings.key) == (DEFAULT_URL, None)


def test_what_was_typed_comes_first_then_our_names_then_theirs() -> None:
    """The names of Letta's clients work where ours are not set."""
    theirs = {"LETTA_BASE_URL": "https://theirs/", "LETTA_API_KEY": "their-key"}
    ours = theirs | {"RUNSTEAD_URL": "https://ours/v1/", "RUNSTEAD_KEY": "our-key"}

    def read(environ: dict[str, str], **typed: str) -> tuple[str, str | None]:
        settings = client_from_environment(environ, **typed)
        return settings.url, settings.key and settings.key.reveal()

    assert read(theirs) == ("https://theirs", "their-key")
    assert read(ours) == ("https://ours", "our-key")
    assert read(ours, url="http://typed:1", key="typed-key") == ("http://typed:1", "typed-key")


def test_a_key_is_never_shown() -> None:
    """Not by accident."""
    assert "hidden" not in repr(client_from_environment({"RUNSTEAD_KEY": "hidden"}))


@pytest.mark.parametrize("url", ["localhost:8283", "ftp://x", "http://", "nonsense"])
def test_what_is_no_url(url: str) -> None:
    """It says what one looks like."""
    with pytest.raises(Invalid, match="RUNSTEAD_URL"):
        client_from_environment({"RUNSTEAD_URL": url})


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"NO_COLOR": "1"}, True),
        ({"NO_COLOR": ""}, False),
        ({"TERM": "dumb"}, True),
        ({"TERM": "xterm"}, False),
    ],
)
def test_colours(environ: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR counts when it says something."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("TERM", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert colourless() is wanted


def test_roles_and_processes_are_for_those_who_share_a_postgres() -> None:
    """On SQLite both are refused, with what to do; who only works takes a free port unless one is named."""
    shared = {"RUNSTEAD_DATABASE_URL": "postgresql://db/runstead"}
    for given in ({"role": "worker"}, {"role": "api"}, {"processes": 2}):
        with pytest.raises(Invalid, match="RUNSTEAD_DATABASE_URL=postgresql"):
            from_environment({}, **given)
    with pytest.raises(Invalid, match="between 1 and"):
        from_environment({**shared, "RUNSTEAD_PROCESSES": "0"})

    worker = from_environment(shared, role="worker")
    assert (worker.port, worker.works, worker.serves) == (0, True, False)
    assert from_environment({**shared, "RUNSTEAD_PORT": "8284"}, role="worker").port == 8284
    api = from_environment({**shared, "RUNSTEAD_ROLE": "api"})
    assert (api.port, api.works, api.serves) == (8283, False, True)


def test_programs_are_allowed_by_a_list() -> None:
    """Command lines by words; what cannot be read is told."""
    settings = from_environment({"RUNSTEAD_MCP_STDIO_COMMANDS": "npx, 'a b' c"})
    assert settings.mcp_commands == (("npx",), ("a b", "c"))
    assert from_environment({}).mcp_commands == ()
    with pytest.raises(Invalid, match="RUNSTEAD_MCP_STDIO_COMMANDS"):
        from_environment({"RUNSTEAD_MCP_STDIO_COMMANDS": "'unclosed"})


def test_sites_are_named_as_browsers_name_them() -> None:
    given = " https://App.example/ ,http://localhost:3000,*"
    settings = from_environment({"RUNSTEAD_CORS_ORIGINS": given})
    assert ("https://app.example", "http://localhost:3000", "*") == settings.origins
    for wrong in ("app.example", "https://*.example", "https://app.example/page", "https://me@app.example"):
        with pytest.raises(Invalid, match="RUNSTEAD_CORS_ORIGINS"):
            from_environment({"RUNSTEAD_CORS_ORIGINS": wrong})
