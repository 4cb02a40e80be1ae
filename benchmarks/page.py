"""How soon a long page is answered, as the browser extension asks: the server on one core.

    python benchmarks/page.py [--words 20000] [--rounds 5]

Pages are made of the corpus's test split, block by block, never the same twice. Timed are the whole
of a request and its answer, with the findings' texts: the fast tier, the default tier in a hurry
(``seconds``, the extension's first request), the default tier to the end, and the same page sent
again with one block put in near its top and one at its end.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from api import free_port

from hypecheck import corpus
from hypecheck.training.splits import split_of

HURRY = 0.4  # seconds, as in extension/content/watch.js
LATE = "Only 3 spots left this week! Our injections cure arthritis, guaranteed."


def blocks(words: int, seed: int) -> list[dict[str, str]]:
    """Give a page of about so many words."""
    documents = [d for d in corpus.read([Path("data/corpus")]) if split_of(d) == "test"]
    random.Random(seed).shuffle(documents)
    out: list[dict[str, str]] = []
    size = 0
    for d in documents:
        for text in filter(None, map(str.strip, d.text.split("\n"))):
            out.append({"id": str(len(out)), "text": text})
            size += len(text.split())
            if size >= words:
                return out
    raise SystemExit("the test split holds fewer words")


class Client:
    """Sends pages over one connection that stays open."""

    def __init__(self, port: int, process: int) -> None:
        self.port = port
        self.process = process

    def _spent(self) -> float:
        """Give the processor time of the server so far, in seconds."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, page: list[dict[str, str]], **more: Any) -> tuple[float, float, Any]:
        """Give the seconds to the whole answer, those of the processor, and the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.connect()
        body = json.dumps({"blocks": page, "offset_unit": "utf16", **more})
        spent, start = self._spent(), time.perf_counter()
        connection.request("POST", "/v1/check/page", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        raw = response.read()
        seconds, spent = time.perf_counter() - start, self._spent() - spent
        connection.close()
        if response.status != 200:
            raise SystemExit(f"{response.status}: {raw[:300]!r}")
        return seconds, spent, json.loads(raw)


def main() -> None:
    """Start the server, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    port = free_port()
    core = {max(os.sched_getaffinity(0))}  # the client keeps off it as well as it can
    null = subprocess.DEVNULL
    environment = {**os.environ, "HYPECHECK_DOCUMENT_SECONDS": "120", "OPENBLAS_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, "-m", "hypecheck.cli", "serve", "--port", str(port)],
        stdout=null,
        stderr=null,
        env=environment,
        preexec_fn=lambda: os.sched_setaffinity(0, core),
    )
    try:
        measure(Client(port, server.pid), options.words, options.rounds)
    finally:
        server.terminate()


def measure(client: Client, words: int, rounds: int) -> None:
    """Ask in turn, and print medians."""
    for _ in range(600):
        try:
            client.ask([{"id": "0", "text": LATE}], model="fast")
            break
        except OSError:
            time.sleep(0.1)
    times: dict[str, list[float]] = {}
    spent: dict[str, list[float]] = {}
    found: dict[str, list[int]] = {}

    def note(name: str, page: list[dict[str, str]], **more: Any) -> Any:
        seconds, processor, answer = client.ask(page, **more)
        times.setdefault(name, []).append(seconds)
        spent.setdefault(name, []).append(processor)
        count = sum(len(b["findings"] or ()) for b in answer["blocks"])
        found.setdefault(name, []).append(count)
        return answer

    for n in range(rounds + 1):
        page = blocks(words, n)
        if n == 0:  # warms caches of words and code
            client.ask(page, seconds=HURRY)
            continue
        note("fast tier", blocks(words, 1000 + n), model="fast")
        note("default tier, in a hurry", page, seconds=HURRY)
        whole = note("default tier, read to the end", page)
        known = [{**b, "known": a["tag"]} for b, a in zip(page, whole["blocks"], strict=True)]
        late = [*known, {"id": "end", "text": LATE}]
        note("again, a block more at its end", late)
        early = [*known[:5], {"id": "top", "text": LATE}, *known[5:]]
        note("again, a block more near its top", early, seconds=HURRY)
    print(f"{words:,} words, {rounds} pages, {len(page):,} blocks in the last\n")
    print("| request | median s | slowest s | median processor s | findings sent |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, values in times.items():
        middle = statistics.median(values)
        count = statistics.median(found[name])
        work = statistics.median(spent[name])
        print(f"| {name} | {middle:.2f} | {max(values):.2f} | {work:.2f} | {count:.0f} |")


if __name__ == "__main__":
    main()
