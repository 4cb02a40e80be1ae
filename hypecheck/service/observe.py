"""What the operator sees: one JSON line a request, Prometheus metrics, optional traces.

Counts and durations only: no text, no query string, no message of an unforeseen error, since any of
them can hold what a user pasted.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import structlog
from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client import Counter as Total
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hypecheck.service.problems import unforeseen
from hypecheck.service.settings import Settings
from hypecheck.types import Report

__all__ = ["CorrelationIdMiddleware", "Counts", "Metrics", "Observe", "counts_of", "logger"]
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
# A client may send any word as the method: no label, and no place for a text in a log.
_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
_QUIET = frozenset(["/livez", "/readyz", "/metrics"])


@dataclass(slots=True)
class Counts:
    """What one request asked for and got, in numbers."""

    documents: int = 0
    characters: int = 0
    failed: int = 0
    incomplete: int = 0
    findings: Counter[str] = field(default_factory=Counter)

    def add(self, report: Report) -> None:
        """Count one answered document."""
        self.documents += 1
        self.characters += len(report.text)
        self.incomplete += report.incomplete
        self.findings.update(f.kind for f in report.findings)


def counts_of(scope: Scope) -> Counts:
    """Give the counts of the request, to be added to."""
    state = scope.setdefault("state", {})
    counts: Counts = state.setdefault("counts", Counts())
    return counts


class Metrics:
    """Prometheus metrics of one application; several workers share them through a folder."""

    def __init__(self) -> None:
        self._shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        self._registry = r = CollectorRegistry()
        self.requests = Total(
            "hypecheck_requests", "Answers", ("route", "method", "status"), registry=r
        )
        self.seconds = Histogram(
            "hypecheck_request_seconds", "Time to the whole answer", ("route",), registry=r,
            buckets=_BUCKETS,
        )  # fmt: skip
        self.documents = Total("hypecheck_documents", "Documents checked", registry=r)
        self.characters = Total("hypecheck_characters", "Characters checked", registry=r)
        self.failed = Total("hypecheck_documents_failed", "Documents refused", registry=r)
        self.incomplete = Total(
            "hypecheck_documents_incomplete", "Documents whose time ran out", registry=r
        )
        self.findings = Total("hypecheck_findings", "Findings", ("kind",), registry=r)
        self.in_flight = Gauge(
            "hypecheck_in_flight", "Requests being answered", multiprocess_mode="livesum",
            registry=r,
        )  # fmt: skip
        self.queue = Gauge(
            "hypecheck_queue", "Requests waiting for a thread", multiprocess_mode="livesum",
            registry=r,
        )  # fmt: skip
        self.load_seconds = Gauge(
            "hypecheck_model_load_seconds", "Time to load and verify the model",
            multiprocess_mode="livemax", registry=r,
        )  # fmt: skip

    def render(self) -> tuple[bytes, str]:
        """Give the metrics page and its media type."""
        registry = self._registry
        if self._shared:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def add(self, counts: Counts) -> None:
        """Add one request's counts."""
        self.documents.inc(counts.documents)
        self.characters.inc(counts.characters)
        self.failed.inc(counts.failed)
        self.incomplete.inc(counts.incomplete)
        for kind, n in counts.findings.items():
            self.findings.labels(kind).inc(n)


class Observe:
    """ASGI middleware around everything: log line, metrics, headers, and the last resort.

    An unforeseen error becomes a 500 here and goes no further: the server's own handler would log
    its message.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, version: str, tracer: Any = None) -> None:
        self._app = app
        self._metrics = metrics
        self._version = version
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = correlation_id.get()
        counts = counts_of(scope)
        status = 0
        sent = 0

        async def watch(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers["HypeCheck-Version"] = self._version
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        start = time.perf_counter()
        self._metrics.in_flight.inc()
        try:
            if self._tracer is None:
                await self._app(scope, receive, watch)
            else:
                await self._traced(scope, receive, watch, counts)
        except Exception as e:
            logger().error("error", error=type(e).__name__, where=_frames(e.__traceback__))
            if status == 0:
                await unforeseen().send(scope, receive, watch)
            elif status != 500:  # half an answer went out: only hanging up says so
                raise ConnectionAbortedError("answer broken off") from None
        finally:
            seconds = time.perf_counter() - start
            self._metrics.in_flight.dec()
            route = _route(scope)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(route, method, str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            self._metrics.add(counts)
            if scope["path"] not in _QUIET:
                logger().info(
                    "request",
                    method=method,
                    route=route,
                    status=status,
                    milliseconds=round(seconds * 1000, 1),
                    bytes_in=state.get("bytes_in", 0),
                    bytes_out=sent,
                    documents=counts.documents,
                    characters=counts.characters,
                    failed=counts.failed,
                    incomplete=counts.incomplete,
                    findings=counts.findings.total(),
                    client=state.get("client_name"),
                )

    async def _traced(self, scope: Scope, receive: Receive, send: Send, counts: Counts) -> None:
        """Run the request inside a span that continues the client's trace, if it sent one."""
        from opentelemetry import propagate

        carrier = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        with self._tracer.start_as_current_span(
            "request", context=propagate.extract(carrier), record_exception=False
        ) as span:
            await self._app(scope, receive, send)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            span.update_name(f"{method} {_route(scope)}")
            span.set_attribute("http.route", _route(scope))
            span.set_attribute("hypecheck.documents", counts.documents)
            span.set_attribute("hypecheck.characters", counts.characters)
            span.set_attribute("hypecheck.findings", counts.findings.total())


def _route(scope: Scope) -> str:
    """Give the route's template: a path that a client made up is no label."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else "other"


def _frames(trace: TracebackType | None) -> list[str]:
    return [f"{f.name}:{f.lineno}" for f in traceback.extract_tb(trace)][-12:]


def logger() -> Any:
    """Give the service's logger."""
    return structlog.get_logger("hypecheck")


def configure_logging(settings: Settings) -> None:
    """Send the service's and the server's log lines to standard error, one format for both."""

    def request_id(_: Any, __: str, event: Any) -> Any:
        if (found := correlation_id.get()) is not None:
            event["request_id"] = found
        return event

    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        request_id,
    ]
    last: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                _without_values,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in ("uvicorn", "uvicorn.error"):
        log = logging.getLogger(name)
        log.handlers.clear()
        log.propagate = True
    # Uvicorn's access log holds query strings, and a GET to /v2/check has the text there.
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False


def _without_values(_: Any, __: str, event: Any) -> Any:
    """Keep what failed and where of a traceback; its message can hold a user's text."""
    info = event.pop("exc_info", None)
    if info:
        kind, _error, trace = info if isinstance(info, tuple) else sys.exc_info()
        event["error"] = getattr(kind, "__name__", "unknown")
        event["where"] = _frames(trace)
    return event
