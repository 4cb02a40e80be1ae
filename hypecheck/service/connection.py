"""Connections that send no request, or half of one: Uvicorn alone would keep them for ever."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class Hurried(H11Protocol):
    """Uvicorn's protocol with a time limit for the head of each request.

    Attributes:
        seconds: from the connection, or the first byte of a later request, to the end of its head.
    """

    seconds = 20.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take bytes; wait on while they are no whole head."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait()
        else:
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Stop after the answer in the making, and say so: the client asks elsewhere."""
        if self.cycle is not None and not self.cycle.response_started:
            scope = self.cycle.scope  # Uvicorn gives the header on that it finds there
            scope["headers"] = [*scope["headers"], (b"connection", b"close")]
        super().shutdown()

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self._late)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()
