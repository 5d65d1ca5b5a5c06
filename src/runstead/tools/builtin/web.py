"""The tools that look into the web: reading a page, behind the guard against inward addresses, and searching by a service.

What a page says is text for the model and nothing else: no script of it is run, no image is fetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from runstead.domain.tool import ToolOutcome, ToolSpec
from runstead.outward.addresses import Refused, host_and_port, joined
from runstead.outward.inward import EVERYWHERE, Inward
from runstead.settings import SearchSettings, Settings
from runstead.store.database import Database
from runstead.tools.reader import DocumentReader, Unreadable
from runstead.tools.registry import Arguments, BuiltinTool, ToolContext, ToolFailure, text_argument

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

PAGE_BYTES_MAX = 4 * 1024 * 1024
PAGE_S = 30.0
REDIRECTS_MAX = 5
SEARCH_S = 30.0
FOUND_DEFAULT = 5
FOUND_MAX = 20
EXCERPT_CHARS = 1_000
_ACCEPTED = {"accept": "text/html,text/*,application/json;q=0.9"}
QUERY_CHARS_MAX = 2_000
FETCH_WEBPAGE = ToolSpec(
    "fetch_webpage",
    "Fetch a page of the public web and read its text.",
    {
        "type": "object",
        "properties": {"url": {"type": "string", "description": "The page's address, http or https."}},
        "required": ["url"],
    },
)
WEB_SEARCH = ToolSpec(
    "web_search",
    "Search the web; gives titles, addresses and excerpts.",
    {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What to look for."},
            "num_results": {
                "type": "integer",
                "description": f"How many at the most; {FOUND_DEFAULT} if left out.",
            },
            "include_domains": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Only results of these domains.",
            },
            "exclude_domains": {
                "type": "array",
                "items": {"type": "string"},
                "description": "No results of these domains.",
            },
        },
        "required": ["query"],
    },
)


class Web:
    """The web as agents reach it."""

    def __init__(self, settings: Settings, reader: DocumentReader) -> None:
        self._reader = reader
        self._search_by = settings.search
        self._inward = Inward(EVERYWHERE if settings.fetch_private else "", "RUNSTEAD_FETCH_PRIVATE")

    @property
    def tools(self) -> tuple[BuiltinTool, ...]:
        """Its tools."""
        return (BuiltinTool(FETCH_WEBPAGE, self._fetch), BuiltinTool(WEB_SEARCH, self._search))

    async def _fetch(self, arguments: Arguments, _context: ToolContext, _db: Database) -> ToolOutcome:
        url = text_argument(arguments, "url")
        try:
            async with asyncio.timeout(PAGE_S):
                kind, body = await self._get(url)
        except Refused as why:
            raise ToolFailure(str(why)) from None
        except TimeoutError:
            raise ToolFailure(f"the page did not come within {PAGE_S:g} s.") from None
        text = await self._readable(kind, body)
        return ToolOutcome("success", text or "The page has no text.")

    async def _readable(self, kind: str, body: bytes) -> str:
        """A page's text, a line a paragraph. Raises `ToolFailure`."""
        if kind not in {"text/html", "application/xhtml+xml", ""}:
            return body.decode("utf-8", "replace")
        try:
            return await self._reader.text_of_page(body)
        except Unreadable as why:
            raise ToolFailure(f"the page cannot be read: {why}") from None

    async def _get(self, url: str) -> tuple[str, bytes]:
        """The type and body of what is at a URL, after its redirects. Raises `Refused` and `ToolFailure`."""
        transport: Any = await asyncio.to_thread(import_module, "runstead.outward.transport")
        httpx2: Any = import_module("httpx2")
        client: AsyncClient
        async with transport.outward_client(self._inward.reach, PAGE_S, headers=_ACCEPTED) as client:
            for _ in range(REDIRECTS_MAX + 1):
                host_and_port(url)
                try:
                    answer = await client.send(client.build_request("GET", url), stream=True)
                    location = answer.headers.get("location")
                    if answer.is_redirect and location is not None:
                        await answer.aclose()
                        url = joined(url, location)
                        continue
                    return await _body_of(answer)
                except transport.NotReached as why:
                    raise ToolFailure(str(why)) from None
                except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                    raise ToolFailure(f"the page cannot be fetched ({type(error).__name__}).") from None
        raise ToolFailure(f"the page redirects more than {REDIRECTS_MAX} times.")

    async def _search(self, arguments: Arguments, _context: ToolContext, _db: Database) -> ToolOutcome:
        query = text_argument(arguments, "query")[:QUERY_CHARS_MAX]
        count = arguments.get("num_results", FOUND_DEFAULT)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ToolFailure("num_results must be a whole number of at least 1.")
        if self._search_by is None:
            raise ToolFailure(
                "this server has no search service. Its operator can set TAVILY_API_KEY or EXA_API_KEY; until then, answer"
                " from what you know, or fetch a page whose address you know with fetch_webpage."
            )
        domains = {name: _domains(arguments, name) for name in ("include_domains", "exclude_domains")}
        found = await _ask(self._search_by, query, min(count, FOUND_MAX), domains)
        return ToolOutcome("success", "\n\n".join(found) or f"Nothing was found for {query!r}.")


async def _body_of(answer: Response) -> tuple[str, bytes]:
    """The type and body of an answer, within its limit. Raises `ToolFailure`."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.status_code >= 400:
        await answer.aclose()
        raise ToolFailure(f"the server answered {answer.status_code}.")
    if not (kind.startswith("text/") or kind.endswith(("json", "xml")) or not kind):
        await answer.aclose()
        raise ToolFailure(f"it is no text but {kind}.")
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > PAGE_BYTES_MAX:
            break
    await answer.aclose()
    return kind, bytes(body[:PAGE_BYTES_MAX])


def _domains(arguments: Arguments, name: str) -> list[str]:
    value = cast("list[object]", arguments.get(name) or [])
    if type(value) is not list or not all(isinstance(each, str) for each in value):
        raise ToolFailure(f"{name} must be a list of names.")
    return cast("list[str]", value)[:FOUND_MAX]


async def _ask(
    service: SearchSettings, query: str, count: int, domains: Mapping[str, list[str]]
) -> list[str]:
    """What a search service found. Raises `ToolFailure`."""
    httpx2: Any = await asyncio.to_thread(import_module, "httpx2")
    key = service.api_key.reveal()
    if service.kind == "tavily":
        headers = {"authorization": f"Bearer {key}"}
        body: dict[str, object] = {"query": query, "max_results": count}
        body |= {name: given for name, given in domains.items() if given}
    else:
        headers = {"x-api-key": key}
        names = {"include_domains": "includeDomains", "exclude_domains": "excludeDomains"}
        body = {"query": query, "numResults": count, "contents": {"text": {"maxCharacters": EXCERPT_CHARS}}}
        body |= {names[name]: given for name, given in domains.items() if given}
    client: AsyncClient
    try:
        async with httpx2.AsyncClient(timeout=SEARCH_S, trust_env=False) as client:
            answer = await client.post(f"{service.base_url}/search", headers=headers, json=body)
            answer.raise_for_status()
            found: object = answer.json()
    except httpx2.HTTPStatusError as error:
        raise ToolFailure(f"the search service answered {error.response.status_code}.") from None
    except (httpx2.HTTPError, ValueError) as error:
        raise ToolFailure(f"the search service cannot be asked ({type(error).__name__}).") from None
    results = cast("dict[str, Any]", found).get("results") if isinstance(found, dict) else None
    return [_told(cast("Mapping[str, object]", each)) for each in results or () if isinstance(each, dict)]


def _told(result: Mapping[str, object]) -> str:
    excerpt = str(result.get("content") or result.get("text") or "")[:EXCERPT_CHARS]
    return f"{result.get('title') or 'Untitled'}\n{result.get('url')}\n{excerpt}".strip()
