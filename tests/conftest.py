"""Settings of the whole suite, and servers for the tests that need one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browsing import CHROMIUM, QUIET
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

# The first example of a run compiles patterns; how long that takes says nothing on a busy machine.
settings.register_profile("hypecheck", deadline=None)
settings.load_profile("hypecheck")


SERVE = (sys.executable, "-m", "hypecheck.cli", "serve")


class Server:
    """``hypecheck serve`` as users run it: a process of its own."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], **variables: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / f"server-{self.port}.log"
        own = {f"HYPECHECK_{k.upper()}": v for k, v in variables.items()}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*SERVE, "--port", str(self.port), *arguments],
                env={**os.environ, **own},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{self.log}")
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/livez", trust_env=False).status_code == 200:
                    break
            time.sleep(0.05)

    @property
    def log(self) -> str:
        """Give all that the server wrote."""
        return self._log.read_text("utf-8")

    def client(self) -> httpx.Client:
        """Give a client of this server."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=60)

    def stop(self) -> int:
        """Ask it to stop, as a service manager does; give its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Give a function that starts a server with some arguments and settings."""
    servers: list[Server] = []

    def call(*arguments: str, **variables: str) -> Server:
        servers.append(Server(tmp_path_factory.mktemp("server"), arguments, **variables))
        return servers[-1]

    yield call
    for s in servers:
        if s.process.poll() is None:
            s.process.kill()
            s.process.wait()


@pytest.fixture(scope="session")
def server(start: Callable[..., Server]) -> Server:
    """Give a server with the default settings."""
    return start()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a Chromium."""
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="session")
def ask() -> Ask:
    """Give a function that sends one request to the application, without a socket."""
    from hypecheck.service.app import create_app
    from hypecheck.service.settings import Settings

    app = create_app(Settings())

    def call(method: str, path: str, **more: Any) -> httpx.Response:
        async def one() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **more)

        return asyncio.run(one())

    return call
