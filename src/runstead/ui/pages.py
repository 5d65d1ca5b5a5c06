"""Serves the web page: an index and its files, read and compressed once, under a policy that lets nothing in from elsewhere.

It never reads the store and knows no user: all that the page shows comes from the public API, asked for with the reader's
own key. Every link in the page is relative, so it works under any path prefix. Files stand under a name that changes with
their contents, so browsers keep them; the index is asked for anew each time.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from http import HTTPStatus
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from runstead import __version__

FOLDER = Path(__file__).parent / "static"
INDEX = "index.html"
VERSION_CHARS = 12
YEAR_S = 365 * 24 * 3600
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "vary": "accept-encoding",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is served."""

    body: bytes
    packed: bytes
    media_type: str
    etag: str


class Pages:
    """The files of the page, in memory from the first request on."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._pages: Mapping[str, Asset] = {}
        self._version = ""

    def routes(self) -> Sequence[BaseRoute]:
        """The routes of the page, for whoever serves it."""
        return (Route("/", self._index), Route("/ui/{version}/{name:path}", self._file))

    def read(self) -> Mapping[str, Asset]:
        """All files by their names."""
        if not self._pages:
            bodies = {
                path.relative_to(self._folder).as_posix(): path.read_bytes()
                for path in sorted(self._folder.rglob("*"))
                if path.suffix in _TYPES
            }
            whole = b"".join(name.encode() + body for name, body in bodies.items())
            self._version = sha256(whole).hexdigest()[:VERSION_CHARS]
            bodies[INDEX] = self._completed(bodies[INDEX], sorted(bodies))
            self._pages = {name: _page(name, body) for name, body in bodies.items()}
        return self._pages

    async def _index(self, request: Request) -> Response:
        return _answer(request, self.read()[INDEX], "no-cache")

    async def _file(self, request: Request) -> Response:
        page = self.read().get(request.path_params["name"])
        if page is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        # A page that was opened before an upgrade asks under the old name: it is given what there is, but not to keep.
        current = request.path_params["version"] == self._version
        kept = f"public, max-age={YEAR_S}, immutable" if current else "no-cache"
        return _answer(request, page, kept)

    def _completed(self, index: bytes, names: Sequence[str]) -> bytes:
        """The index, with the folder of its files, and each module named so that none waits for another."""
        base = f"ui/{self._version}/"
        modules = "\n".join(
            f'<link rel="modulepreload" href="{base}{escape(name)}">'
            for name in names
            if name.startswith("js/")
        )
        text = index.decode().replace("{modules}", modules).replace("{base}", base)
        return text.replace("{version}", escape(__version__)).encode()


def _page(name: str, body: bytes) -> Asset:
    etag = f'"{sha256(body).hexdigest()[:16]}"'
    return Asset(body, gzip.compress(body, 9, mtime=0), _TYPES[Path(name).suffix], etag)


def _answer(request: Request, page: Asset, cache_control: str) -> Response:
    headers = {**_HEADERS, "etag": page.etag, "cache-control": cache_control}
    if page.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(page.body, media_type=page.media_type, headers=headers)
    return Response(page.packed, media_type=page.media_type, headers={**headers, "content-encoding": "gzip"})
