"""The request body, read under limits before anything else sees it.

Size (also of chunked and compressed bodies), time, encoding and media type are checked here, so
that no handler can be made to wait, to swell or to guess. Streams are limited line by line instead.
"""

from __future__ import annotations

import asyncio
import zlib
from email.message import Message

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Event

from hypecheck.service.problems import ProblemError, speaks_languagetool

STREAMS = frozenset(["/v1/check/stream"])


class Head:
    """ASGI middleware that answers HEAD wherever GET is answered: the same without a body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(event: Event) -> None:
            if event["type"] == "http.response.body":
                event = {**event, "body": b""}
            await send(event)

        await self._app({**scope, "method": "GET"}, receive, without_body)


class BodyLimits:
    """ASGI middleware that reads, checks and unpacks the body.

    Args:
        app: what runs with the body.
        most: bytes of a body, after unpacking.
        seconds: in which the client must have sent it.
    """

    def __init__(self, app: ASGIApp, most: int, seconds: float) -> None:
        self._app = app
        self._most = most
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"] in STREAMS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            body = await self._read(headers, receive)
            if body is None:
                return  # the client went away
            if body and not speaks_languagetool(scope):
                _check_json(scope, headers, body)
        except ProblemError as e:
            await e.send(scope, receive, send)
            return
        scope.setdefault("state", {})["bytes_in"] = len(body)
        if "content-encoding" in headers:
            dropped = (b"content-encoding", b"content-length")
            scope["headers"] = [(k, v) for k, v in scope["headers"] if k not in dropped]
        given = False

        async def replay() -> Event:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await self._app(scope, replay, send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes | None:
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._most:
            raise self._too_big()
        coding = headers.get("content-encoding", "identity").strip().lower()
        unpack = None
        if coding in ("gzip", "x-gzip"):
            unpack = zlib.decompressobj(wbits=31)
        elif coding == "deflate":
            unpack = zlib.decompressobj()
        elif coding not in ("identity", ""):
            raise ProblemError(
                415,
                "Unsupported content encoding",
                "send the body as it is, or with Content-Encoding gzip or deflate",
                headers={"Accept-Encoding": "gzip, deflate"},
            )
        out = bytearray()
        raw = 0
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    event = await receive()
                    if event["type"] == "http.disconnect":
                        return None
                    piece = event.get("body", b"")
                    raw += len(piece)
                    if raw > self._most:
                        raise self._too_big()
                    if unpack is not None and piece:
                        if unpack.eof:
                            raise _behind(coding)
                        room = self._most - len(out) + 1
                        try:
                            piece = unpack.decompress(piece, room)
                        except zlib.error:
                            raise ProblemError(
                                400, "Broken compression", f"the body is not valid {coding}"
                            ) from None
                        if unpack.unused_data:
                            raise _behind(coding)
                    out += piece
                    if len(out) > self._most:
                        raise self._too_big()
                    if not event.get("more_body", False):
                        break
        except TimeoutError:
            raise ProblemError(
                408,
                "Request too slow",
                f"the body did not arrive within {self._seconds:g} seconds",
                headers={"Connection": "close"},
            ) from None
        if unpack is not None and out and not unpack.eof:
            raise ProblemError(400, "Broken compression", f"the {coding} body ends too early")
        return bytes(out)

    def _too_big(self) -> ProblemError:
        return ProblemError(
            413,
            "Body too large",
            f"the limit is {self._most} bytes, unpacked; split the text into several requests",
            headers={"Connection": "close"},
        )


def _behind(coding: str) -> ProblemError:
    return ProblemError(
        400, "Broken compression", f"there are bytes behind the end of the {coding} body"
    )


def _check_json(scope: Scope, headers: Headers, body: bytes) -> None:
    """Refuse what is not declared and encoded as JSON; an absent Content-Type counts as JSON."""
    declared = headers.get("content-type")
    if declared is None:
        scope["headers"] = [*scope["headers"], (b"content-type", b"application/json")]
    else:
        message = Message()
        message["content-type"] = declared
        kind = message.get_content_type()
        if kind != "application/json" and not kind.endswith("+json"):
            raise ProblemError(
                415, "Unsupported media type", "send JSON with Content-Type: application/json"
            )
        charset = str(message.get_param("charset", "utf-8")).lower()
        if charset not in ("utf-8", "utf8", "us-ascii", "ascii"):
            raise ProblemError(415, "Unsupported charset", "JSON must be encoded in UTF-8")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as e:
        raise ProblemError(
            400, "Wrong encoding", f"the body is not UTF-8: byte {e.start} does not fit"
        ) from None
