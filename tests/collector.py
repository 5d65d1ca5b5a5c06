"""A collector of traces for tests: takes OTLP over HTTP on a free port, as protobuf, and keeps the spans."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


@dataclass(frozen=True, slots=True)
class CollectedSpan:
    """One span as it arrived; ids as hexadecimal, `parent` empty where it has none."""

    name: str
    trace_id: str
    id: str
    parent: str
    kind: int
    attributes: dict[str, object]
    links: tuple[tuple[str, str], ...]
    events: tuple[str, ...]
    error: str | None
    began_ns: int
    ended_ns: int


@dataclass(slots=True)
class Collector:
    """What has arrived: `raw` as it was sent, `headers` of each request, `resources` that sent it."""

    url: str = ""
    spans: list[CollectedSpan] = field(default_factory=list[CollectedSpan])
    raw: list[bytes] = field(default_factory=list[bytes])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    resources: list[dict[str, object]] = field(default_factory=list[dict[str, object]])

    def take(self, body: bytes) -> None:
        """Keep one request's spans."""
        self.raw.append(body)
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append({each.key: _value(each.value) for each in sent.resource.attributes})
            for scope in sent.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        CollectedSpan(
                            name=span.name,
                            trace_id=span.trace_id.hex(),
                            id=span.span_id.hex(),
                            parent=span.parent_span_id.hex(),
                            kind=span.kind,
                            attributes={each.key: _value(each.value) for each in span.attributes},
                            links=tuple((each.trace_id.hex(), each.span_id.hex()) for each in span.links),
                            events=tuple(each.name for each in span.events),
                            error=span.status.message if span.status.code == 2 else None,
                            began_ns=span.start_time_unix_nano,
                            ended_ns=span.end_time_unix_nano,
                        )
                    )

    def named(self, name: str) -> list[CollectedSpan]:
        """The spans of that name, in the order in which they began."""
        found = [span for span in self.spans if span.name == name]
        return sorted(found, key=lambda span: span.began_ns)

    def one(self, name: str) -> CollectedSpan:
        """The only span of that name."""
        (span,) = self.named(name)
        return span

    def tree(self) -> list[str]:
        """The names of all spans, each with its depth before it, in the order in which they began."""
        by_id = {span.id: span for span in self.spans}

        def depth(span: CollectedSpan) -> int:
            return 0 if span.parent not in by_id else 1 + depth(by_id[span.parent])

        ordered = sorted(self.spans, key=lambda span: (span.began_ns, depth(span)))
        return ["  " * depth(span) + span.name for span in ordered]


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return None if kind is None else getattr(value, kind)


@contextmanager
def collecting() -> Generator[Collector]:
    """A collector that listens while the block lasts."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            known = self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
            if known:
                collector.headers.append({name.lower(): value for name, value in self.headers.items()})
                collector.take(body)
            self.send_response(200 if known else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_address[1]}"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        serving.start()
        try:
            yield collector
        finally:
            server.shutdown()
            serving.join()
