"""The HTTP service beside a bare FastAPI echo and Presidio's service: one client, one worker each.

    python benchmarks/api.py [--seconds 20] [--presidio PYTHON] [--nothing-kept]

Every server is a process of its own; they are asked in turn, some requests each, over and over, so
that whatever else the machine does falls on all alike. Ads and pages are never the same twice, nor
are their beginnings, which the transformer reads with each sentence, unless the title says so: what
is kept would otherwise be what is measured. "The service" is what
HTTP adds to the checker and the echo; the checker, too, runs in a process of its own for that.
``--presidio`` names a Python that has presidio-analyzer and flask (see benchmarks/README.md).
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hypecheck import corpus
from hypecheck.training.splits import split_of

ECHO = """
from fastapi import FastAPI
from pydantic import BaseModel
class Body(BaseModel):
    text: str
app = FastAPI()
@app.get("/livez")
async def livez() -> str:
    return "ok"
@app.post("/echo")
async def echo(body: Body) -> Body:
    return body
"""
PRESIDIO = """
from flask import Flask, jsonify, request
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import SpacyNlpEngine
import spacy
class Blank(SpacyNlpEngine):
    def __init__(self):
        super().__init__()
        self.nlp = {"en": spacy.blank("en")}
    def load(self): ...
app = Flask(__name__)
engine = AnalyzerEngine(nlp_engine=Blank(), supported_languages=["en"])
@app.get("/livez")
def livez():
    return "ok"
@app.post("/analyze")
def analyze():
    body = request.get_json()
    return jsonify([r.to_dict() for r in engine.analyze(body["text"], language="en")])
"""


def free_port() -> int:
    """Give a port that is free now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


CHECKER = """
import json, sys, time
from hypecheck import Checker
model = sys.argv[1]
checker = Checker(model=None if model == "none" else model)
for line in sys.stdin:
    text = json.loads(line)
    start = time.perf_counter()
    checker.check(text)
    print(time.perf_counter() - start, flush=True)
"""
MODELS = {
    "HypeCheck, rules only": "none",
    "HypeCheck, fast": "fast",
    "HypeCheck, default": "default",
}
BLOCK = 40  # requests to one service before the next one's turn


class Bare:
    """A checker in a process of its own, asked through a pipe."""

    def __init__(self, model: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHECKER, model],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, text: str) -> float:
        """Check one text; give the seconds that it took there."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(text) + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


class Service:
    """A server process, and one connection to it that stays open."""

    def __init__(self, command: Callable[[int], list[str]], path: str, **more: object) -> None:
        self.port = free_port()
        self.path = path
        self.more = more
        null = subprocess.DEVNULL
        self.process = subprocess.Popen(command(self.port), stdout=null, stderr=null)
        for _ in range(600):
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                self.connection.request("GET", "/livez")
                self.connection.getresponse().read()
                self.last = time.monotonic()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"{path}: the server did not start")

    def seconds(self, text: str) -> float:
        """Send one text; give the seconds to the whole answer."""
        body = json.dumps({"text": text, **self.more})
        if time.monotonic() - self.last > 3:  # servers close idle connections
            self.connection.close()
            self.connection.connect()
        start = time.perf_counter()
        self.connection.request("POST", self.path, body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"{self.path}: {answer.status}")
        self.last = time.monotonic()
        return time.perf_counter() - start


def texts() -> tuple[list[str], list[str]]:
    """Give ads (short documents) and pages of about 2,000 words, from the test split."""
    documents = [d for d in corpus.read([Path("data/corpus")]) if split_of(d) == "test"]
    ads = [d.text for d in documents if 40 <= len(d.text.split()) <= 100]
    words = 0
    pages: list[str] = []
    part: list[str] = []
    for d in documents:
        part.append(d.text)
        words += len(d.text.split())
        if words >= 2000:
            pages.append("\n\n".join(part))
            part, words = [], 0
    return ads, pages


def main() -> None:
    """Start the servers, measure, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each of ads and pages")
    parser.add_argument("--presidio", help="a Python that has presidio-analyzer and flask")
    parser.add_argument("--nothing-kept", action="store_true", help="switch kept answers off")
    options = parser.parse_args()
    python = sys.executable
    if options.nothing_kept:
        os.environ["HYPECHECK_CACHE"] = "0"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "echo_app.py").write_text(ECHO)
        (Path(folder) / "presidio_app.py").write_text(PRESIDIO)
        os.environ["PYTHONPATH"] = folder
        os.environ["HYPECHECK_LOG_LEVEL"] = "warning"

        def uvicorn(port: int) -> list[str]:
            return [python, "-m", "uvicorn", "echo_app:app", "--port", str(port), "--no-access-log"]

        def serve(port: int) -> list[str]:
            return [python, "-m", "hypecheck.cli", "serve", "--port", str(port)]

        services = {"echo (bare FastAPI)": Service(uvicorn, "/echo")}
        for name, model in MODELS.items():
            services[name] = Service(serve, "/v1/check", model=model)
        if options.presidio:
            services["Presidio (patterns)"] = Service(
                lambda port: [
                    options.presidio, "-m", "flask", "--app", "presidio_app", "run", "--port",
                    str(port),
                ],
                "/analyze",
                language="en",
            )  # fmt: skip
        bare = {name: Bare(model) for name, model in MODELS.items()}
        try:
            measure(services, bare, options.seconds)
        finally:
            for s in (*services.values(), *bare.values()):
                s.process.terminate()


def measure(services: dict[str, Service], bare: dict[str, Bare], seconds: float) -> None:
    """Ask all services in turn and print one table for ads, one repeated ad, and pages."""
    ads, pages = texts()
    for title, pool, block in (
        ("one ad", ads, BLOCK),
        ("the same ad again", ads[:1], BLOCK),
        ("one page", pages, 2),
    ):
        asked: dict[str, Service | Bare] = {
            **services,
            **{f"{n}, bare": b for n, b in bare.items()},
        }
        times: dict[str, list[float]] = {name: [] for name in asked}
        numbers = itertools.count()
        several = itertools.cycle(pool)
        warm = True  # the first round only wakes them up
        end = time.perf_counter() + seconds
        while warm or time.perf_counter() < end:
            fresh = [
                text if len(pool) == 1 else f"No. {next(numbers)}\n{text}"
                for text in itertools.islice(several, block)
            ]
            for name, service in asked.items():
                took = [service.seconds(text) for text in fresh]
                if not warm:
                    times[name] += took
            warm = False
        first = next(iter(services))
        echo = statistics.median(times[first])
        print(f"\n### {title}: {len(times[first])} requests to each\n")
        print("| service | p50 ms | p99 ms | a second | × echo | + echo, ms | of it the service |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for name in services:
            t = sorted(times[name])
            p50 = statistics.median(t)
            p99 = t[min(len(t) - 1, int(len(t) * 0.99))]
            more = own = "–"
            if name != first:
                more = f"{1000 * (p50 - echo):.1f}"
            if name in bare:
                # What is kept costs the service no check.
                kept = len(pool) == 1 and os.environ.get("HYPECHECK_CACHE") != "0"
                check = 0.0 if kept else statistics.median(times[f"{name}, bare"])
                own = f"{1000 * (p50 - check - echo):.1f}"
            print(
                f"| {name} | {1000 * p50:.1f} | {1000 * p99:.1f} | {1 / statistics.mean(t):.0f} "
                f"| {p50 / echo:.1f} | {more} | {own} |"
            )


if __name__ == "__main__":
    main()
