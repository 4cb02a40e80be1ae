"""Load on the service: many connections, ads and pages mixed; then SIGTERM under load.

    python benchmarks/load.py [--minutes 10] [--connections 64] [--model fast]

Three phases on one server: below the limit (no error is allowed), above it (more connections than
the queue has room for: only clean 503 answers beside the right ones), and a stop while requests are
in flight (each that the server began to read must be answered).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from api import free_port, texts


class Load:
    """Connections that ask over and over, and what they got."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.statuses: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.stopping = False
        ads, pages = texts()
        rng = random.Random(1)
        # One page in a hundred: a page takes as long as some fifty ads.
        self._texts = [rng.choice(pages if rng.random() < 0.01 else ads) for _ in range(20_000)]
        self._n = 0

    def _request(self) -> bytes:
        self._n += 1
        text = f"{self._texts[self._n % len(self._texts)]}\nNo. {self._n}"
        body = json.dumps({"text": text}).encode()
        head = f"POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"Content-Type: application/json\r\n\r\n" + body

    async def _one(self, until: float) -> None:
        reader = writer = None
        while time.monotonic() < until and not self.stopping:
            if writer is None:
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    self.statuses["refused"] += 1
                    await asyncio.sleep(0.05)
                    continue
            assert reader is not None
            start = time.perf_counter()
            try:
                writer.write(self._request())
                await writer.drain()
                head = await reader.readuntil(b"\r\n\r\n")
                size = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                )
                await reader.readexactly(size)
                if b"\r\nconnection: close" in head.lower():
                    writer.close()  # a stopping server says so with its last answer
                    writer = None
            except (asyncio.IncompleteReadError, ConnectionError) as e:
                # A stopping server may close an idle connection just as a request leaves here:
                # HTTP/1.1 cannot tell the two apart, and clients send such a request again.
                begun = isinstance(e, asyncio.IncompleteReadError) and e.partial
                self.statuses["broken off" if begun else "closed unanswered"] += 1
                writer = None
                continue
            status = head.split(b" ", 2)[1].decode()
            self.statuses[status] += 1
            if status == "200":
                self.seconds.append(time.perf_counter() - start)
            else:
                await asyncio.sleep(0.05)

    async def run(self, connections: int, seconds: float) -> None:
        """Ask for so long over so many connections."""
        until = time.monotonic() + seconds
        await asyncio.gather(*(self._one(until) for _ in range(connections)))

    def report(self, title: str) -> None:
        """Print what was answered, and start counting anew."""
        s = sorted(self.seconds) or [0.0]
        print(
            f"{title}: {dict(self.statuses)}; p50 {1000 * statistics.median(s):.0f} ms, "
            f"p99 {1000 * s[int(len(s) * 0.99)]:.0f} ms",
            flush=True,
        )
        self.statuses.clear()
        self.seconds.clear()


def resident(pid: int) -> float:
    """Give the resident memory of a process, MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Start a server, load it, stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    port = free_port()
    own = {"HYPECHECK_MODEL": options.model, "HYPECHECK_LOG_LEVEL": "error"}
    server = subprocess.Popen(
        [sys.executable, "-m", "hypecheck.cli", "serve", "--port", str(port)],
        env={**os.environ, **own},
    )

    async def phases() -> None:
        load = Load(port)
        await load.run(4, 30)  # caches fill, threads start
        load.report(f"warm-up, {options.model}")
        parts = 5
        for k in range(parts):
            await load.run(options.connections, options.minutes * 60 / parts)
            load.report(f"{options.connections} connections, part {k + 1} of {parts}")
            print(f"  resident {resident(server.pid):.0f} MB", flush=True)
        await load.run(400, 20)
        load.report("400 connections")
        print(f"  resident {resident(server.pid):.0f} MB", flush=True)
        job = asyncio.create_task(load.run(options.connections, 60))
        await asyncio.sleep(3)
        server.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.wait)
        load.stopping = True
        await job
        load.statuses.pop("refused", None)
        load.report("SIGTERM under load")

    try:
        asyncio.run(phases())
    finally:
        server.kill()


if __name__ == "__main__":
    main()
