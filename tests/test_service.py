"""The HTTP front door: same results as the library, one shape of error, no text in either."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

import hypecheck
from hypecheck import Checker
from hypecheck.formats.json import report_dict
from hypecheck.service import app as service
from hypecheck.service.app import MAX_CHARACTERS, create_app

AD = "🔥 Act now! Our clinic guarantees a cure. It does not cure gout. 😀"
SECRET = "Zyxwvut's knee"


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app()


@pytest.fixture
def send(app: FastAPI) -> Any:
    """Give a function that sends one request to the application, without a socket."""

    def call(method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())

    return call


def check(send: Any, **body: Any) -> Any:
    response = send("POST", "/v1/check", json=body)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    return response.json()


# Results


def test_report_is_that_of_the_library(send: Any) -> None:
    assert check(send, text=AD) == report_dict(hypecheck.check(AD))
    assert check(send, text="") == report_dict(hypecheck.check(""))


def test_offsets_are_code_points_unless_utf16_is_asked_for(send: Any) -> None:
    points, units = check(send, text=AD), check(send, text=AD, offset_unit="utf16")
    assert (points["offset_unit"], units["offset_unit"]) == ("codepoint", "utf16")
    raw = AD.encode("utf-16-le")
    assert points["findings"]
    for p, u in zip(points["findings"], units["findings"], strict=True):
        assert AD[p["start"] : p["end"]] == p["text"]
        assert raw[2 * u["start"] : 2 * u["end"]].decode("utf-16-le") == p["text"]
        assert u["start"] == p["start"] + 1  # one emoji stands before
        assert u == {**p, "start": u["start"], "end": u["end"]}


def test_options_reach_the_checker(send: Any) -> None:
    wanted = Checker("broad", only=["urgency", "cure_claim"], allow=["act now"]).check(AD, "ad-7")
    got = check(
        send,
        text=AD,
        id="ad-7",
        sensitivity="broad",
        only=["urgency", "cure_claim"],
        allow=["act now"],
        include_text=True,
    )
    assert got == report_dict(wanted, include_text=True)
    assert check(send, text=AD, disable=["pressure_sales"])["findings"] == [
        f for f in check(send, text=AD)["findings"] if f["category"] != "pressure_sales"
    ]


@pytest.mark.parametrize(
    "text", ["\ud800 Act now! \udfff", "\x00Act now!", "\u202eAct now!", "(" * 10_000]
)
def test_any_text_is_answered(send: Any, text: str) -> None:
    body = json.dumps({"text": text, "include_text": True})
    headers = {"content-type": "application/json"}
    response = send("POST", "/v1/check", content=body, headers=headers)
    assert response.status_code == 200
    assert response.json() == json.loads(
        json.dumps(report_dict(hypecheck.check(text), include_text=True))
    )


def test_answer_with_a_text_is_not_cached(send: Any) -> None:
    response = send("POST", "/v1/check", json={"text": AD})
    assert response.headers["cache-control"] == "no-store"


# Errors: RFC 9457, and never the text

WRONG: dict[str, tuple[dict[str, Any], int, str]] = {
    "no text": ({"json": {"id": SECRET}}, 422, "body/text"),
    "text is a number": ({"json": {"text": 5, "id": SECRET}}, 422, "body/text"),
    "text is a list": ({"json": {"text": [SECRET]}}, 422, "body/text"),
    "unknown key": ({"json": {"text": SECRET, "sensitvity": "broad"}}, 422, "body/sensitvity"),
    "unknown sensitivity": (
        {"json": {"text": SECRET, "sensitivity": "loud"}},
        422,
        "body/sensitivity",
    ),
    "unknown unit": ({"json": {"text": SECRET, "offset_unit": "bytes"}}, 422, "body/offset_unit"),
    "unknown kind": ({"json": {"text": SECRET, "only": ["hype"]}}, 422, "'hype'"),
    "unknown rule": ({"json": {"text": SECRET, "disable": ["urgency/x"]}}, 422, "'urgency/x'"),
    "no JSON": (
        {"content": f'{{"text": "{SECRET}', "headers": {"content-type": "application/json"}},
        422,
        "JSON",
    ),
    "no object": ({"json": [SECRET]}, 422, "body"),
    "no body": ({}, 422, "body"),
    "too long": ({"json": {"text": SECRET + "a" * MAX_CHARACTERS}}, 413, "split the text"),
}


@pytest.mark.parametrize(("request_", "status", "part"), WRONG.values(), ids=WRONG)
def test_wrong_request_gets_a_problem(
    send: Any, request_: dict[str, Any], status: int, part: str
) -> None:
    response = send("POST", "/v1/check", **request_)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"]
    assert problem["title"]
    assert part in problem["detail"]
    assert SECRET not in response.text


def test_longest_text_is_still_read(send: Any) -> None:
    assert len(check(send, text="a" * MAX_CHARACTERS)["sentences"]) >= 1


@pytest.mark.parametrize(("path", "status"), [("/nope", 404), ("/v1/check", 405)])
def test_wrong_address_gets_a_problem_too(send: Any, path: str, status: int) -> None:
    response = send("GET", path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


def test_text_is_never_logged(send: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    check(send, text=f"{SECRET}. Act now!")
    send("POST", "/v1/check", json={"text": [SECRET]})
    assert SECRET not in caplog.text


# The other addresses


def test_health_names_the_versions(send: Any) -> None:
    versions = hypecheck.check("").versions
    response = send("GET", "/healthz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ok",
        "ruleset": versions.ruleset,
        "model": versions.model,
    }


def test_documentation_has_both_addresses_and_an_example(send: Any) -> None:
    assert "swagger" in send("GET", "/docs").text.lower()
    api = send("GET", "/openapi.json").json()
    assert {"/v1/check", "/healthz"} <= set(api["paths"])
    assert api["components"]["schemas"]["CheckRequest"]["examples"][0]["text"]


def test_model_is_verified_before_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise hypecheck.ModelError("damaged")

    monkeypatch.setattr("hypecheck.model.load", refuse)
    service._checker.cache_clear()
    with pytest.raises(hypecheck.ModelError, match="damaged"):
        create_app()


# A real server


@pytest.fixture(scope="module")
def address(app: FastAPI) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def test_real_server_answers_as_the_library_does(address: str) -> None:
    with httpx.Client(base_url=address, trust_env=False) as client:
        assert client.get("/healthz").json()["status"] == "ok"
        response = client.post("/v1/check", json={"text": AD})
        assert response.json() == report_dict(hypecheck.check(AD))
        assert client.post("/v1/check", json={}).status_code == 422


def test_real_server_answers_many_at_once(address: str) -> None:
    texts = [f"{AD} Number {i}." for i in range(12)]

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as client:
            return await asyncio.gather(
                *(client.post("/v1/check", json={"text": t, "include_text": True}) for t in texts)
            )

    for text, response in zip(texts, asyncio.run(ask()), strict=True):
        assert response.json() == report_dict(hypecheck.check(text), include_text=True)
