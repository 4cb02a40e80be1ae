"""What an operator relies on: keys, limits, logs without texts, metrics, a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import SERVE, Ask, Server

from hypecheck.errors import HypeCheckError
from hypecheck.service.access import Access
from hypecheck.service.engine import Choice, Engine
from hypecheck.service.keys import Keys, new_key
from hypecheck.service.observe import Counts, Metrics
from hypecheck.service.problems import ProblemError
from hypecheck.service.settings import Settings, read_settings, refuse_open

CANARY = "zyxwvut's elbow"
AD = {"text": "Act now! Our clinic guarantees a cure."}


# Keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    key, line = new_key("press")
    other, second = new_key("other")
    path.write_text(f"# two keys\n{line}\n{second}\n", "utf-8")
    assert key != other
    assert key not in path.read_text("utf-8")
    return path, key


@pytest.fixture(scope="module")
def locked(start: Callable[..., Server], keys: tuple[Path, str]) -> Server:
    return start("--keys-file", str(keys[0]), model="none", rate="20/minute")


def test_key_is_asked_for_in_every_way_it_can_be_sent(
    locked: Server, keys: tuple[Path, str]
) -> None:
    key = keys[1]
    with locked.client() as client:
        refused = client.post("/v1/check", json=AD)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["title"] == "Unauthorized"
        wrong = client.post("/v1/check", json=AD, headers={"X-API-Key": f"{key}x"})
        assert wrong.status_code == 401
        for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
            assert client.post("/v1/check", json=AD, headers=headers).status_code == 200
        form = {**AD, "language": "en-US"}
        assert client.post("/v2/check", data=form).status_code == 403
        own = {**form, "username": "x", "apiKey": key}
        assert client.post("/v2/check", data=own, headers={"X-API-Key": ""}).json()["matches"]
        assert client.get("/v1/rules").status_code == 401
        assert client.get("/metrics").status_code == 401
        for path in ("/", "/livez", "/readyz", "/v2/languages", "/v2/info", "/static/page.css"):
            assert client.get(path).status_code == 200
    assert key not in locked.log


def test_rate_limit_is_announced_and_kept(locked: Server, keys: tuple[Path, str]) -> None:
    headers = {"X-API-Key": keys[1]}
    with locked.client() as client:
        first = client.get("/v1/version", headers=headers)
        assert first.headers["ratelimit-policy"] == '"default";q=20;w=60'
        left = re.fullmatch(r'"default";r=(\d+);t=(\d+)', first.headers["ratelimit"])
        assert left
        for _ in range(21):
            last = client.get("/v1/version", headers=headers)
        assert last.status_code == 429
        assert int(last.headers["retry-after"]) >= 1
        assert last.headers["ratelimit"].startswith('"default";r=0')
        assert last.headers["content-type"] == "application/problem+json"
        plain = client.post("/v2/check", data={**AD, "language": "en"}, headers=headers)
        assert plain.status_code == 429
        assert plain.text.startswith("Error: ")
        assert client.get("/livez").status_code == 200


@pytest.mark.parametrize(
    ("content", "part"),
    [("", "holds no key"), ("press", "line 1"), (f"# x\npress:{'g' * 64}\n", "line 2")],
)
def test_broken_key_file_is_named(tmp_path: Path, content: str, part: str) -> None:
    path = tmp_path / "keys.txt"
    path.write_text(content, "utf-8")
    with pytest.raises(HypeCheckError, match=part):
        Keys(path)
    with pytest.raises(HypeCheckError, match="cannot be read"):
        Keys(tmp_path / "none")


def test_key_command_prints_line_and_key() -> None:
    run = subprocess.run(
        [*SERVE[:-1], "keys", "new", "press"], capture_output=True, text=True, check=True
    )
    line, key = run.stdout.strip(), run.stderr.strip().rpartition(" ")[2]
    assert re.fullmatch(r"press:[0-9a-f]{64}", line)
    assert key.startswith("hype_")
    assert subprocess.run([*SERVE[:-1], "keys", "new", "a b"], capture_output=True).returncode == 2


# Settings


def test_listening_beyond_this_machine_needs_a_key_or_a_word() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        refuse_open(Settings(host=host))
    with pytest.raises(HypeCheckError, match="--insecure"):
        refuse_open(Settings(host="0.0.0.0"))
    refuse_open(Settings(host="0.0.0.0", insecure=True))
    refuse_open(Settings(host="0.0.0.0", keys_file=Path("keys.txt")))
    run = subprocess.run([*SERVE, "--host", "0.0.0.0"], capture_output=True, text=True)
    assert run.returncode == 2
    assert "hypecheck keys new" in run.stderr


def test_settings_come_from_arguments_environment_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hypecheck.toml"
    path.write_text('port = 1\nqueue = 7\nrate = "5/second"\ncors_origins = ["https://a.example"]')
    monkeypatch.setenv("HYPECHECK_CONFIG", str(path))
    monkeypatch.setenv("HYPECHECK_PORT", "2")
    monkeypatch.setenv("HYPECHECK_CORS_ORIGINS", "https://b.example, https://c.example")
    got = read_settings(max_body_bytes=5000, host=None)
    assert (got.port, got.queue, got.rate, got.max_body_bytes) == (2, 7, "5/second", 5000)
    assert got.cors_origins == ("https://b.example", "https://c.example")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("prot = 1", "prot: Extra inputs"),
        ("port = 'x'", "port: "),
        ("rate = '5 a day'", "600/minute"),
        ("cors_origins = ['*']", "name the origins"),
        ("cors_origin_regex = '('", "not a regular expression"),
        ("port = ", "hypecheck.toml"),
    ],
)
def test_wrong_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, part: str
) -> None:
    path = tmp_path / "hypecheck.toml"
    path.write_text(content)
    monkeypatch.setenv("HYPECHECK_CONFIG", str(path))
    with pytest.raises(HypeCheckError, match=re.escape(part)):
        read_settings()
    monkeypatch.setenv("HYPECHECK_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(HypeCheckError, match="there is no file"):
        read_settings()


def test_misspelt_variable_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPECHECK_RATES", "1/second")
    with pytest.raises(HypeCheckError, match="HYPECHECK_RATES"):
        read_settings()


@pytest.mark.parametrize("storage", ["memory://", "bogus://", "redis://"])
def test_unusable_rate_storage_is_named(storage: str) -> None:
    with pytest.raises(HypeCheckError, match="async"):
        Access(Settings(rate="1/second", rate_storage=storage))


# Pages of other origins


def test_no_other_origin_may_ask_unless_named(server: Server, start: Callable[..., Server]) -> None:
    origin = f"chrome-extension://{'a' * 32}"
    ask = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    with server.client() as client:
        assert "access-control-allow-origin" not in client.options("/v1/check", headers=ask).headers
        answer = client.post("/v1/check", json=AD, headers={"Origin": origin})
        assert "access-control-allow-origin" not in answer.headers
    named = start(
        "--cors-origin",
        "https://a.example",
        model="none",
        cors_origin_regex="chrome-extension://[a-p]{32}",
    )
    with named.client() as client:
        for allowed in (origin, "https://a.example"):
            before = client.options("/v1/check", headers={**ask, "Origin": allowed})
            assert before.status_code == 200
            answer = client.post("/v1/check", json=AD, headers={"Origin": allowed})
            assert answer.headers["access-control-allow-origin"] == allowed
            assert "Origin" in answer.headers["vary"]
            assert "access-control-allow-credentials" not in answer.headers
        evil = client.post("/v1/check", json=AD, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in evil.headers


def test_extensions_may_ask_where_the_operator_says_so(start: Callable[..., Server]) -> None:
    open_ = start("--cors-extensions", model="none")
    chrome, uuid = f"chrome-extension://{'a' * 32}", "01234567-89ab-cdef-0123-456789abcdef"
    with open_.client() as client:

        def allowed(origin: str) -> bool:
            answer = client.post("/v1/check", json=AD, headers={"Origin": origin})
            return bool(answer.headers.get("access-control-allow-origin") == origin)

        assert allowed(chrome)
        assert allowed(f"moz-extension://{uuid}")
        assert allowed(f"safari-web-extension://{uuid.upper()}")
        for evil in ("https://a.example", f"{chrome}.evil.example", f"https://{chrome}", "null"):
            assert not allowed(evil)


def test_whether_a_server_is_here_may_be_seen_from_anywhere(ask: Ask) -> None:
    policy = "cross-origin-resource-policy"
    assert ask("GET", "/livez").headers[policy] == "cross-origin"
    assert ask("GET", "/v1/version").headers[policy] == "same-origin"


# Busy


def test_queue_is_bounded() -> None:
    engine = Engine(Settings(model="none", threads=1, queue=1))
    go = threading.Event()

    async def ask() -> list[Any]:
        first = [asyncio.create_task(engine.run(go.wait)) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert engine.full
        assert engine.waiting == 1
        with pytest.raises(ProblemError) as refused:
            await engine.run(lambda: None)
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
        more = asyncio.create_task(engine.run(lambda: "in", admitted=True))
        go.set()
        return [*await asyncio.gather(*first), await more]

    assert asyncio.run(ask()) == [True, True, "in"]
    assert not engine.full
    engine.close()


def test_full_server_turns_away_and_stays_up(start: Callable[..., Server]) -> None:
    small = start(threads="1", queue="1", cache="0")
    text = "Our drip gives you back the energy of your twenties. " * 200

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=small.url, trust_env=False, timeout=60) as client:
            jobs = [client.post("/v1/check", json={"text": f"{i} {text}"}) for i in range(8)]
            return await asyncio.gather(*jobs)

    answers = asyncio.run(ask())
    statuses = {r.status_code for r in answers}
    assert statuses == {200, 503}
    for r in answers:
        if r.status_code == 503:
            assert r.headers["retry-after"] == "1"
            assert r.headers["content-type"] == "application/problem+json"
    with small.client() as client:
        assert client.post("/v1/check", json=AD).status_code == 200


def test_slow_and_half_requests_do_no_harm(start: Callable[..., Server]) -> None:
    hurried = start(model="none", body_seconds="0.5")
    head = b"POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", hurried.port), timeout=10) as s:
        s.sendall(head + b'Content-Length: 50\r\n\r\n{"te')
        assert b" 408 " in s.recv(65536).split(b"\r\n")[0]
    with socket.create_connection(("127.0.0.1", hurried.port), timeout=10) as s:
        s.sendall(head + b"Content-Length: 50\r\n\r\n{")
    with socket.create_connection(("127.0.0.1", hurried.port), timeout=10) as s:
        s.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert b" 400 " in s.recv(65536).split(b"\r\n")[0]
    with hurried.client() as client:
        assert client.post("/v1/check", json=AD).status_code == 200


def test_connection_without_a_whole_request_is_closed(start: Callable[..., Server]) -> None:
    waiting = start(model="none", body_seconds="1.5")
    opened = [socket.create_connection(("127.0.0.1", waiting.port)) for _ in range(3)]
    opened[1].sendall(b"POST /v1/check HTT")
    opened[2].sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")  # a whole one, then half
    assert b"200" in opened[2].recv(65536)
    opened[2].sendall(b"GET /li")
    started = time.monotonic()
    for s in opened:
        s.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            while s.recv(65536):  # what is left of the first answer
                pass
        s.close()
    assert time.monotonic() - started < 10


def test_made_up_method_is_no_label(start: Callable[..., Server]) -> None:
    watched = start(model="none")
    with socket.create_connection(("127.0.0.1", watched.port), timeout=10) as s:
        s.sendall(b"Zyxwvut /v1/check HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 405 " in s.recv(65536)
    with watched.client() as client:
        assert "Zyxwvut" not in client.get("/metrics").text
    assert "Zyxwvut" not in watched.log


# Logs and metrics


def test_no_text_in_logs_metrics_or_errors(start: Callable[..., Server]) -> None:
    watched = start(model="none")
    canary = f"{CANARY} was cured. Act now!"
    with watched.client() as client:
        answers = [
            client.post("/v1/check", json={"text": [canary]}),
            client.post("/v1/check", json={"text": canary, "sensitivity": canary}),
            client.post("/v1/check", content=f'{{"text":"{canary}', headers={"x-y": canary}),
            client.post("/v2/check", data={"text": canary}),
            client.get("/v2/check", params={"text": canary, "language": "xx"}),
            client.get(f"/{canary}", params={"q": canary}),
            client.post("/analyze", json={"text": canary, "language": canary}),
            client.get("/metrics"),
            client.post(
                "/v1/check/stream",
                content=f'{{"txt":"{canary}"}}\n{canary}',
                headers={"content-type": "application/x-ndjson"},
            ),
        ]
        client.post("/v1/check", json={"text": canary}, headers={"X-Request-ID": "my-id-1"})
        client.post("/v1/check", json={"text": canary}, headers={"X-Request-ID": f"{CANARY}\n"[:9]})
    for r in answers:
        assert "zyxwvut" not in r.text.lower()
    assert "zyxwvut" not in watched.log.lower()
    lines = [json.loads(x) for x in watched.log.splitlines() if x.startswith("{")]
    mine = [x for x in lines if x.get("request_id") == "my-id-1"]
    assert mine[0]["event"] == "request"
    assert mine[0]["findings"] >= 1
    assert mine[0]["characters"] == len(canary)
    assert {x["route"] for x in lines if "route" in x} >= {"/v1/check", "/v2/check", "other"}


def test_unforeseen_error_is_a_500_without_the_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hypecheck.service.app import create_app

    app = create_app(Settings(model="none"))

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"cannot read {CANARY}")

    monkeypatch.setattr("hypecheck.checker.Checker.check", fail)

    async def ask(path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path, **more)

    native = asyncio.run(ask("/v1/check", json={"text": CANARY}))
    assert native.status_code == 500
    assert native.headers["content-type"] == "application/problem+json"
    plain = asyncio.run(ask("/v2/check", data={"text": CANARY, "language": "en"}))
    assert (plain.status_code, plain.text[:7]) == (500, "Error: ")
    written = capsys.readouterr()
    logged = written.out + written.err
    assert "RuntimeError" in logged
    assert CANARY not in native.text + plain.text + logged


def test_metrics_count_what_was_done(server: Server) -> None:
    with server.client() as client:
        client.post("/v1/check", json={"text": "Act now! Only 3 spots left."})
        client.post("/v1/check", json={})
        time.sleep(0.1)
        got = client.get("/metrics").text
    assert re.search(r'hypecheck_requests_total\{[^}]*route="/v1/check",status="200"\} [1-9]', got)
    assert re.search(r'hypecheck_requests_total\{[^}]*route="/v1/check",status="422"\} [1-9]', got)
    assert re.search(r'hypecheck_findings_total\{kind="scarcity"\} [1-9]', got)
    assert re.search(r"hypecheck_documents_total [1-9]", got)
    assert 'hypecheck_request_seconds_bucket{le="0.1",route="/v1/check"}' in got


def test_metrics_of_one_application_are_its_own() -> None:
    one, other = Metrics(), Metrics()
    one.add(Counts(documents=3))
    assert b"hypecheck_documents_total 3.0" in one.render()[0]
    assert b"hypecheck_documents_total 0.0" in other.render()[0]


def test_traces_continue_the_client_s_and_hold_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from hypecheck.service import app as service

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(service, "_tracer", lambda: provider.get_tracer("test"))
    app = service.create_app(Settings(model="none", tracing=True))

    async def ask() -> None:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            trace = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
            await client.post("/v1/check", json={"text": CANARY}, headers=trace)

    asyncio.run(ask())
    (span,) = exporter.get_finished_spans()
    assert span.name == "POST /v1/check"
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == "a" * 32
    assert (span.attributes or {})["hypecheck.documents"] == 1
    assert CANARY not in span.to_json()


# Stopping


def test_stop_answers_what_was_accepted(start: Callable[..., Server]) -> None:
    leaving = start(cache="0")
    text = "Our drip gives you back the energy of your twenties. " * 150

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=leaving.url, trust_env=False, timeout=60) as client:
            jobs = [
                asyncio.create_task(client.post("/v1/check", json={"text": f"{i} {text}"}))
                for i in range(6)
            ]
            await asyncio.sleep(0.3)
            leaving.process.terminate()
            return await asyncio.gather(*jobs)

    assert [r.status_code for r in asyncio.run(ask())] == [200] * 6
    assert leaving.process.wait(60) in (0, -15)


def test_workers_share_their_metrics(start: Callable[..., Server]) -> None:
    several = start("--workers", "2", model="none")
    for _ in range(12):  # each over a connection of its own, so that both workers get some
        httpx.post(f"{several.url}/v1/check", json=AD, trust_env=False)
    time.sleep(0.2)
    counts = set()
    for _ in range(4):
        got = httpx.get(f"{several.url}/metrics", trust_env=False).text
        counts |= set(re.findall(r"^hypecheck_documents_total (\S+)", got, re.M))
    assert counts == {"12.0"}
    assert several.stop() in (0, -15)


def test_a_short_text_is_checked_at_once_unless_threads_are_busy() -> None:
    engine = Engine(Settings(model="fast", threads=2))
    engine.load()
    fast = engine.default
    assert not engine.quick(fast, "Act now!")  # patterns are not compiled yet
    engine.warm()
    assert engine.quick(fast, "Act now!")
    assert not engine.quick(fast, "Act now! " * 1000)
    assert not engine.quick(Choice("balanced", "default"), "Act now!")

    async def threads() -> tuple[int, int]:
        alone = await engine.run(threading.get_ident, quick=True)
        go_on = threading.Event()
        busy = asyncio.ensure_future(engine.run(go_on.wait))
        await asyncio.sleep(0.05)
        beside = asyncio.ensure_future(engine.run(threading.get_ident, quick=True))
        await asyncio.sleep(0.05)
        go_on.set()
        await busy
        return alone, await beside

    alone, beside = asyncio.run(threads())
    assert alone == threading.get_ident() != beside
    engine.close()
