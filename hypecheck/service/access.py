"""Who may ask, and how often: API keys and rate limits, before any body is read.

On ``/v2`` the key may come in the form instead (``apiKey``): that path checks it itself, by
:meth:`Access.admit`.
"""

from __future__ import annotations

import time

from limits import RateLimitItem, parse
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hypecheck.errors import HypeCheckError
from hypecheck.service.keys import Keys
from hypecheck.service.problems import ProblemError
from hypecheck.service.settings import Settings

# Never asked for a key: what monitors need, and the page, which sends the key it is given.
OPEN = frozenset(
    [
        "/",
        "/livez",
        "/readyz",
        "/health",
        "/openapi.json",
        "/docs",
        "/favicon.ico",
        # What editors ask before they send the key with a text.
        "/v2/healthcheck",
        "/v2/languages",
        "/v2/info",
        "/v2/maxtextlength",
        "/v2/configinfo",
    ]
)
_LATER = frozenset(["/v2/check"])


class Access:
    """Checks keys and counts requests.

    Args:
        settings: ``keys_file``, ``rate``, ``rate_storage``.

    Raises:
        HypeCheckError: the keys or the storage cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.keys = Keys(settings.keys_file) if settings.keys_file else None
        self._limit: RateLimitItem | None = parse(settings.rate) if settings.rate else None
        if self._limit is not None:
            try:
                storage = storage_from_string(settings.rate_storage)
                self._limiter = SlidingWindowCounterRateLimiter(storage)
            except Exception as e:
                raise HypeCheckError(
                    f"rate_storage {settings.rate_storage!r}: {e or 'not usable'}; write it like "
                    "async+memory:// or async+redis://host:6379"
                ) from None

    def identify(self, key: str | None, scope: Scope) -> str:
        """Give who asks: the key's name, or the address where no keys are needed.

        Raises:
            ProblemError: 401, the key is missing or unknown.
        """
        if self.keys is None:
            client = scope.get("client")
            return f"address:{client[0] if client else 'unknown'}"
        name = self.keys.name_of(key) if key else None
        if name is None:
            raise ProblemError(
                401,
                "Unauthorized",
                "the API key is unknown"
                if key
                else "this server needs an API key: send it as "
                "Authorization: Bearer KEY or X-API-Key: KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return f"key:{name}"

    async def count(self, who: str) -> dict[str, str]:
        """Count one request; give the headers that say what is left.

        Raises:
            ProblemError: 429, with the same headers and ``Retry-After``.
        """
        if self._limit is None:
            return {}
        allowed = await self._limiter.hit(self._limit, who)
        stats = await self._limiter.get_window_stats(self._limit, who)
        wait = max(1, round(stats.reset_time - time.time()))
        # draft-ietf-httpapi-ratelimit-headers: quota q in a window of w seconds; r left, t to go.
        headers = {
            "RateLimit-Policy": f'"default";q={self._limit.amount};w={self._limit.get_expiry()}',
            "RateLimit": f'"default";r={max(0, stats.remaining)};t={wait}',
        }
        if not allowed:
            raise ProblemError(
                429,
                "Too many requests",
                f"the limit is {self._limit.amount} requests in {self._limit.get_expiry()} s; "
                f"try again in {wait} s",
                headers={**headers, "Retry-After": str(wait)},
            )
        return headers

    async def admit(self, key: str | None, scope: Scope) -> None:
        """Identify and count; the answer will carry the rate-limit headers."""
        who = self.identify(key, scope)
        state = scope.setdefault("state", {})
        state["client_name"] = who.removeprefix("key:") if who.startswith("key:") else None
        state["rate_headers"] = await self.count(who)


def sent_key(scope: Scope) -> str | None:
    """Give the key in the request's headers, if any."""
    headers = Headers(scope=scope)
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and value.strip():
        return value.strip()
    return headers.get("x-api-key", "").strip() or None


class AccessMiddleware:
    """ASGI middleware that lets :class:`Access` decide."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        open_ = path in OPEN or path.startswith("/static/") or scope["method"] == "OPTIONS"
        later = path in _LATER and sent_key(scope) is None
        if not open_ and not later:
            try:
                await self._access.admit(sent_key(scope), scope)
            except ProblemError as e:
                await e.send(scope, receive, send)
                return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = scope.get("state", {}).get("rate_headers") or {}
                MutableHeaders(scope=message).update(given)
            await send(message)

        await self._app(scope, receive, with_headers)
