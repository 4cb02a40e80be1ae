"""The native API: same results as the library, one shape of error, no text in either."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Ask, Server
from fastapi import FastAPI

import hypecheck
from hypecheck import Checker
from hypecheck.deep import Deep
from hypecheck.formats.json import report_dict
from hypecheck.service.app import api, create_app
from hypecheck.service.engine import Engine
from hypecheck.service.problems import ProblemError
from hypecheck.service.settings import Settings
from hypecheck.types import Report

AD = "🔥 Act now before it is too late! Our clinic guarantees a cure. It does not cure gout. 😀"
SECRET = "Zyxwvut's knee"
MOST = Settings().max_characters
JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}


@pytest.fixture(scope="session")
def send(ask: Ask) -> Ask:
    """Give the function that asks."""
    return ask


def check(send: Any, path: str = "/v1/check", **body: Any) -> Any:
    response = send("POST", path, json=body)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


def as_sent(report: Report, **more: Any) -> dict[str, Any]:
    """Give a report as the API sends it by default: what was let pass is left out."""
    content = report_dict(report, **more)
    del content["dismissed"]
    return json.loads(json.dumps(content))  # type: ignore[no-any-return]


# Results


def test_report_is_that_of_the_library(send: Any) -> None:
    assert check(send, text=AD) == as_sent(hypecheck.check(AD))
    assert check(send, text="") == as_sent(hypecheck.check(""))


def test_explain_adds_what_was_let_pass(send: Any) -> None:
    assert check(send, text=AD, explain=True) == report_dict(hypecheck.check(AD))
    assert check(send, text=AD, explain=True)["dismissed"]


@pytest.mark.parametrize(
    ("unit", "codec", "width"), [("utf16", "utf-16-le", 2), ("utf8", "utf-8", 1)]
)
def test_offsets_are_code_points_unless_asked_otherwise(
    send: Any, unit: str, codec: str, width: int
) -> None:
    points, units = check(send, text=AD), check(send, text=AD, offset_unit=unit)
    assert (points["offset_unit"], units["offset_unit"]) == ("codepoint", unit)
    raw = AD.encode(codec)
    assert points["findings"]
    for p, u in zip(points["findings"], units["findings"], strict=True):
        assert AD[p["start"] : p["end"]] == p["text"]
        assert raw[width * u["start"] : width * u["end"]].decode(codec) == p["text"]
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
    assert got == as_sent(wanted, include_text=True)
    assert check(send, text=AD, disable=["pressure_sales"])["findings"] == [
        f for f in check(send, text=AD)["findings"] if f["category"] != "pressure_sales"
    ]
    assert check(send, text=AD, model="none")["versions"]["model"] is None
    assert check(send, text=AD, model="fast")["versions"]["model"].endswith("/fast")


def test_html_is_read_as_a_visitor_sees_it(send: Any) -> None:
    page = "<script>cure()</script><h1>Only 3 spots left!</h1><p>We <b>guarantee</b> a cure.</p>"
    got = check(send, text=page, format="html")
    assert got["text"] == "Only 3 spots left!\nWe guarantee a cure."
    for f in got["findings"]:
        assert got["text"][f["start"] : f["end"]] == f["text"]
    assert len(got["findings"]) == 2


def test_jurisdiction_chooses_the_guidance(send: Any) -> None:
    places = {
        r["jurisdiction"]
        for f in check(send, text=AD, jurisdiction=["uk"])["findings"]
        for r in f["references"]
    }
    assert "uk" in places
    assert places <= {"uk", "int"}


@pytest.mark.parametrize(
    "text", ["\ud800 Act now! \udfff", "\x00Act now!", "\u202eAct now!", "(" * 10_000]
)
def test_any_text_is_answered(send: Any, text: str) -> None:
    body = json.dumps({"text": text, "include_text": True})
    response = send("POST", "/v1/check", content=body, headers=JSON)
    assert response.status_code == 200
    assert response.json() == as_sent(hypecheck.check(text), include_text=True)


def test_same_text_twice_gives_the_same_bytes(send: Any) -> None:
    first, second = (send("POST", "/v1/check", json={"text": AD, "id": "a"}) for _ in range(2))
    assert first.content == second.content
    assert check(send, text=AD, id="b")["id"] == "b"  # a kept answer carries the new id


def test_answer_with_a_text_is_not_cached(send: Any) -> None:
    response = send("POST", "/v1/check", json={"text": AD})
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["hypecheck-version"] == hypecheck.__version__


def test_text_that_takes_too_long_is_answered_in_part() -> None:
    sentence = "Drip {} gives you back the energy of your twenties. It tastes of nothing. "
    text = "".join(map(sentence.format, range(300)))
    engine = Engine(Settings(document_seconds=0.05))
    started = time.monotonic()
    report = engine.check(engine.default, text)
    assert report.incomplete
    assert time.monotonic() - started < 20
    assert report.sentences[-1].end >= len(text) - 1
    assert not engine.check(engine.default, "Act now!").incomplete


# Batch


def test_batch_keeps_order_and_one_bad_document_fails_alone(send: Any) -> None:
    documents = [{"id": "a", "text": AD}, 5, {"id": "c"}, {"text": [SECRET]}, {"text": "Hello."}]
    documents.append({"id": "long", "text": "a" * (MOST + 1)})
    got = check(send, "/v1/check/batch", documents=documents)
    assert got["results"][0] == as_sent(Checker().check(AD, "a"))
    assert got["results"][4]["findings"] == []
    wrong = [(r["id"], r["error"]["status"]) for r in got["results"] if "error" in r]
    assert wrong == [(None, 422), ("c", 422), ("", 422), ("long", 413)]
    assert "documents/1" in got["results"][1]["error"]["detail"]
    assert SECRET not in json.dumps(got)


def test_batch_has_a_limit_and_checks_its_options(send: Any) -> None:
    many = [{"text": ""}] * (Settings().max_documents + 1)
    assert send("POST", "/v1/check/batch", json={"documents": many}).status_code == 413
    bad = {"documents": [{"text": ""}], "only": ["hype"]}
    assert send("POST", "/v1/check/batch", json=bad).status_code == 422


# A page in blocks


def test_page_findings_come_by_block_in_its_own_offsets(send: Any) -> None:
    blocks = ["😀 Act now!", "", "Opening hours: 9 to 5", "😀 Our pills cure gout.", "😀"]
    body = {"blocks": [{"id": f"b{i}", "text": t} for i, t in enumerate(blocks)]}
    for unit, codec, width in (("utf16", "utf-16-le", 2), ("codepoint", "utf-32-le", 4)):
        got = check(send, "/v1/check/page", **body, offset_unit=unit)
        assert [b["id"] for b in got["blocks"]] == ["b0", "b1", "b2", "b3", "b4"]
        assert [len(b["findings"]) for b in got["blocks"]] == [1, 0, 0, 1, 0]
        for text, block in zip(blocks, got["blocks"], strict=True):
            for f in block["findings"]:
                raw = text.encode(codec)
                assert raw[width * f["start"] : width * f["end"]].decode(codec) == f["text"]


def test_page_is_read_as_one_text(send: Any) -> None:
    blocks = ["Say goodbye to gout", "9 in 10 patients improve.", "We have four rooms."]
    whole = hypecheck.check("\n\n".join(blocks))
    got = check(send, "/v1/check/page", blocks=[{"id": "", "text": t} for t in blocks])
    assert [f["text"] for b in got["blocks"] for f in b["findings"]] == [
        f.text for f in whole.findings
    ]
    assert got["scores"] == dict(whole.scores)


def test_page_explains_and_says_where_the_checklist_looked(send: Any) -> None:
    blocks = [
        {"id": "h", "text": "No clinic can cure gout."},
        {"id": "p", "text": "Our clinic charges $4,200 for the injection."},
    ]
    got = check(send, "/v1/check/page", blocks=blocks, explain=True)
    assert got["blocks"][0]["dismissed"]
    evidence = [e for item in got["checklist"] for e in item["evidence"]]
    assert ("p", "$4,200") in [(e["block"], e["text"]) for e in evidence]


def test_page_without_blocks_is_answered(send: Any) -> None:
    assert check(send, "/v1/check/page", blocks=[])["blocks"] == []


# A page again: a browser extension asks again whenever the page changes

LINE = "We guarantee a cure for gout. Call us at nine about knee {n}, or write to the front desk."


def long_page(size: int = 60) -> list[dict[str, str]]:
    return [{"id": f"b{n}", "text": LINE.format(n=n)} for n in range(size)]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the windows that the transformer reads."""
    counted: list[int] = []
    real = Deep._run

    def run(self: Deep, session: Any, ids: Any, places: Any) -> Any:
        counted.append(ids.shape[1])
        return real(self, session, ids, places)

    monkeypatch.setattr(Deep, "_run", run)
    return counted


def test_page_that_grew_costs_what_is_new_and_is_answered_as_if_new(
    send: Any, runs: list[int]
) -> None:
    blocks = long_page()
    check(send, "/v1/check/page", blocks=blocks)
    first = len(runs)
    assert first > 4
    blocks.append({"id": "late", "text": "Only 3 spots left! It cures arthritis."})
    got = check(send, "/v1/check/page", blocks=blocks)
    assert 1 <= len(runs) - first <= 2
    fresh = hypecheck.check("\n\n".join(b["text"] for b in blocks))
    assert [f["text"] for b in got["blocks"] for f in b["findings"]] == [
        f.text for f in fresh.findings
    ]
    assert [f["score"] for b in got["blocks"] for f in b["findings"]] == [
        f.score for f in fresh.findings
    ]
    assert got["scores"] == dict(fresh.scores)


def test_other_sensitivity_reads_nothing_again(send: Any, runs: list[int]) -> None:
    blocks = long_page(7)
    check(send, "/v1/check/page", blocks=blocks)
    before = len(runs)
    check(send, "/v1/check/page", blocks=blocks, sensitivity="broad")
    assert len(runs) == before


def test_page_in_a_hurry_is_answered_and_read_on(send: Any, runs: list[int]) -> None:
    blocks = [{**b, "text": f"{b['text']} In a hurry."} for b in long_page()]
    hurried = check(send, "/v1/check/page", blocks=blocks, seconds=1e-6)
    assert hurried["incomplete"]
    assert not runs
    whole = check(send, "/v1/check/page", blocks=blocks)
    assert not whole["incomplete"]
    fresh = hypecheck.check("\n\n".join(b["text"] for b in blocks))
    assert [(f["text"], f["score"]) for b in whole["blocks"] for f in b["findings"]] == [
        (f.text, f.score) for f in fresh.findings
    ]
    again = check(send, "/v1/check/page", blocks=blocks, seconds=1e-6)
    assert again == whole  # all was read before: the time does not matter


@pytest.mark.parametrize("seconds", [0, -1, "soon"])
def test_time_that_makes_no_sense_is_refused(send: Any, seconds: Any) -> None:
    body = {"blocks": [], "seconds": seconds}
    assert send("POST", "/v1/check/page", json=body).status_code == 422


def test_block_that_stays_the_same_is_not_answered_again(send: Any) -> None:
    blocks: list[dict[str, Any]] = [
        {"id": "a", "text": "Only 3 spots left!"},
        {"id": "b", "text": "We are open from nine."},
        {"id": "c", "text": "We guarantee a cure."},
    ]
    first = check(send, "/v1/check/page", blocks=blocks)["blocks"]
    assert [len(b["findings"]) for b in first] == [1, 0, 1]
    for sent, got in zip(blocks, first, strict=True):
        sent["known"] = got["tag"]
    again = check(send, "/v1/check/page", blocks=blocks)["blocks"]
    assert [b["findings"] for b in again] == [None, None, None]
    assert [b["tag"] for b in again] == [b["tag"] for b in first]
    blocks[0]["text"] = "😀 Only 3 spots left!"
    changed = check(send, "/v1/check/page", blocks=blocks, offset_unit="utf16")["blocks"]
    assert [f["start"] for f in changed[0]["findings"]] == [3]
    assert changed[0]["tag"] != first[0]["tag"]


# A stream


def test_stream_answers_each_line_and_goes_on_after_a_bad_one(send: Any) -> None:
    lines = [b'{"id":"1","text":"Act now!"}', b"", b"{broken", b'{"text":"\xff"}', b'{"text":"Hi"}']
    response = send("POST", "/v1/check/stream", content=b"\n".join(lines), headers=LINES)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/x-ndjson")
    got = [json.loads(line) for line in response.text.splitlines()]
    assert got[0] == as_sent(Checker().check("Act now!", "1"))
    assert [(r.get("line"), r["error"]["status"]) for r in got if "error" in r] == [
        (3, 400),
        (4, 400),
    ]
    assert got[3]["findings"] == []


def test_stream_takes_options_from_the_query(send: Any) -> None:
    path = "/v1/check/stream?offset_unit=utf16&only=urgency&explain=true"
    response = send("POST", path, content=json.dumps({"text": AD}).encode(), headers=LINES)
    got = json.loads(response.text)
    assert {f["kind"] for f in got["findings"]} == {"urgency"}
    assert got["offset_unit"] == "utf16"
    wrong = send("POST", "/v1/check/stream?only=hype", content=b"{}", headers=LINES)
    assert wrong.status_code == 422
    assert send("POST", "/v1/check/stream", json={"text": ""}).status_code == 415


def test_stream_answers_before_the_last_line_is_sent(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s:
        s.sendall(
            b"POST /v1/check/stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for n in range(3):
            line = json.dumps({"id": str(n), "text": f"Act now! {n}"}).encode() + b"\n"
            s.sendall(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            seen = b""
            while f'"id":"{n}"'.encode() not in seen:
                piece = s.recv(65536)
                assert piece, "the server hung up"
                seen += piece
        s.sendall(b"0\r\n\r\n")


def test_line_of_any_length_is_bounded(start: Callable[..., Server]) -> None:
    small = start(max_body_bytes="2000")
    lines = b'{"text":"' + b"a" * 50_000 + b'"}\n{"text":"Act now!"}\n'
    with small.client() as client:
        response = client.post("/v1/check/stream", content=lines, headers=LINES)
        got = [json.loads(line) for line in response.text.splitlines()]
        assert got[0]["error"]["status"] == 413
        assert got[0]["line"] == 1
        assert got[1]["findings"]
        # The same limit, while reading, for other bodies: declared, chunked, compressed.
        bomb = gzip.compress(b'{"text":"' + b"a" * 5_000_000 + b'"}')
        packed = {**JSON, "content-encoding": "gzip"}
        for content in (lines, iter([lines] * 3)):
            assert client.post("/v1/check", content=content, headers=JSON).status_code == 413
        assert client.post("/v1/check", content=bomb[:1900], headers=packed).status_code == 413
        fine = gzip.compress(json.dumps({"text": AD}).encode())
        assert client.post("/v1/check", content=fine, headers=packed).json() == as_sent(
            hypecheck.check(AD)
        )
        for broken in (fine[:-9], b"no gzip", fine + b"\0" * 900, fine + fine):
            assert client.post("/v1/check", content=broken, headers=packed).status_code == 400
        odd = {**JSON, "content-encoding": "br"}
        assert client.post("/v1/check", content=b"x", headers=odd).status_code == 415
        assert client.get("/livez").status_code == 200


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
    "unknown place": ({"json": {"text": SECRET, "jurisdiction": ["fr"]}}, 422, "jurisdiction"),
    "no JSON": ({"content": f'{{"text": "{SECRET}', "headers": JSON}, 400, "not JSON"),
    "too deep": ({"content": "[" * 100_000, "headers": JSON}, 400, "JSON"),
    "not UTF-8": ({"content": b'{"text":"\xe9"}', "headers": JSON}, 400, "byte 9"),
    "another charset": (
        {"content": b"{}", "headers": {"content-type": "application/json; charset=latin1"}},
        415,
        "UTF-8",
    ),
    "a form": ({"data": {"text": SECRET}}, 415, "application/json"),
    "no object": ({"json": [SECRET]}, 422, "body"),
    "no body": ({}, 422, "body"),
    "too long": ({"json": {"text": SECRET + "a" * MOST}}, 413, "split the text"),
    "too big": ({"json": {"text": SECRET + "a" * 2_000_000}}, 413, "2000000 bytes"),
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
    assert problem["instance"] == f"urn:request:{response.headers['x-request-id']}"
    assert part in problem["detail"]
    assert SECRET not in response.text


def test_longest_text_is_still_read(send: Any) -> None:
    assert len(check(send, text="a" * MOST)["sentences"]) >= 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nope", 404), ("GET", "/v1/check", 405), ("DELETE", "/v1/rules/urgency", 405)],
)
def test_wrong_address_gets_a_problem_too(send: Any, method: str, path: str, status: int) -> None:
    response = send(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    if status == 405:
        wanted = "POST" if path == "/v1/check" else "GET, HEAD"
        assert response.headers["allow"] == wanted


@pytest.mark.parametrize("path", ["/", "/livez", "/v1/rules", "/openapi.json", "/static/page.css"])
def test_head_is_answered_like_get(send: Any, path: str) -> None:
    head, get = send("HEAD", path), send("GET", path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_made_up_names_are_not_repeated(send: Any) -> None:
    for body in ({"text": "x", f"{SECRET} has gout": 1}, {"text": "x", "only": [SECRET]}):
        response = send("POST", "/v1/check", json=body)
        assert response.status_code == 422
        assert SECRET not in response.text


def test_answer_is_bounded_and_says_so(send: Any) -> None:
    got = check(send, text="Guaranteed cure! " * 3000, model="none", sensitivity="broad")
    assert len(got["findings"]) == Settings().max_findings
    assert got["incomplete"]
    assert "the first 1000 are given" in got["notes"][-1]


def test_only_tiers_that_the_operator_chose_are_served() -> None:
    engine = Engine(Settings(model="none"))
    assert engine.check(engine.default, "Hi").versions.model is None
    with pytest.raises(ProblemError, match="this server has none"):
        engine.checker(replace(engine.default, model="default"))


def test_batch_answer_has_a_limit() -> None:
    settings = Settings(model="none", max_answer_bytes=100_000)
    app = create_app(settings)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            documents = [
                {"id": str(i), "text": "Our clinic has only 3 spots left! " * 60} for i in range(4)
            ]
            return await client.post("/v1/check/batch", json={"documents": documents})

    results = asyncio.run(ask()).json()["results"]
    assert [r.get("error", {}).get("status") for r in results] == [None, 413, 413, 413]
    assert [r["id"] for r in results] == ["0", "1", "2", "3"]


# What does not change


@pytest.mark.parametrize("path", ["rules", "rules/urgency", "checklist", "version"])
def test_what_does_not_change_has_an_etag(send: Any, path: str) -> None:
    first = send("GET", f"/v1/{path}")
    assert first.status_code == 200
    tag = first.headers["etag"]
    again = send("GET", f"/v1/{path}", headers={"if-none-match": f'"other", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert send("GET", f"/v1/{path}", headers={"if-none-match": '"other"'}).status_code == 200


def test_rules_are_those_of_the_library(send: Any) -> None:
    ruleset = Checker(model=None).ruleset
    kinds = send("GET", "/v1/rules").json()
    assert [k["id"] for k in kinds] == list(ruleset.kinds)
    page = send("GET", "/v1/rules/urgency").json()
    assert [r["id"] for r in page["rules"]] == [r.id for r in ruleset.rules if r.kind == "urgency"]
    assert page["rule_count"] == len(page["rules"]) > 0
    assert send("GET", "/v1/rules/hype").status_code == 404


def test_versions_are_those_that_answer(send: Any) -> None:
    got = send("GET", "/v1/version").json()
    assert {k: got[k] for k in ("package", "ruleset", "model")} == check(send, text="")["versions"]
    assert got["limits"]["characters"] == MOST


def test_openapi_is_published_as_it_is(send: Any) -> None:
    golden = Path(__file__).parent / "golden" / "openapi.json"
    assert send("GET", "/openapi.json").json() == json.loads(golden.read_text("utf-8")), (
        "the API changed: python tests/golden/openapi.py"
    )


def test_every_operation_has_an_id_and_requests_have_examples(send: Any) -> None:
    described = send("GET", "/openapi.json").json()
    operations = [o for path in described["paths"].values() for o in path.values()]
    ids = [o["operationId"] for o in operations]
    assert len(set(ids)) == len(ids) > 15
    for name in ("CheckRequest", "BatchRequest", "PageRequest", "AnalyzeRequest"):
        for example in described["components"]["schemas"][name]["examples"]:
            path = {
                "CheckRequest": "/v1/check",
                "BatchRequest": "/v1/check/batch",
                "PageRequest": "/v1/check/page",
                "AnalyzeRequest": "/analyze",
            }[name]
            assert send("POST", path, json=example).status_code == 200


# Presidio


def test_presidio_client_gets_entities(send: Any) -> None:
    body = {"text": AD, "language": "en", "ad_hoc_recognizers": [], "trace": True}
    got = send("POST", "/analyze", json=body).json()
    wanted = hypecheck.check(AD).findings
    assert [(e["entity_type"], e["start"], e["end"], e["score"]) for e in got] == [
        (f.kind.upper(), f.start, f.end, f.score) for f in wanted
    ]
    names = send("GET", "/supportedentities").json()
    assert {e["entity_type"] for e in got} <= set(names)


def test_presidio_options_narrow_the_answer(send: Any) -> None:
    body = {"text": AD, "language": "en", "entities": ["URGENCY"], "return_decision_process": True}
    got = send("POST", "/analyze", json=body).json()
    assert {e["entity_type"] for e in got} == {"URGENCY"}
    assert got[0]["analysis_explanation"]["textual_explanation"]
    assert send("POST", "/analyze", json={**body, "score_threshold": 1.0}).json() == []
    both = send("POST", "/analyze", json={"text": [AD, "Hello."], "language": "en"}).json()
    assert [bool(x) for x in both] == [True, False]
    assert send("POST", "/analyze", json={**body, "language": "fr"}).status_code == 422
    assert send("POST", "/analyze", json={**body, "entities": ["PERSON"]}).status_code == 422


# Starting


def test_model_is_verified_before_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise hypecheck.ModelError("damaged")

    monkeypatch.setattr("hypecheck.model.load", refuse)
    with pytest.raises(hypecheck.HypeCheckError, match="damaged"):
        create_app(Settings())


def test_routes_alone_describe_themselves() -> None:
    settings = Settings(model="none")
    app = api(settings, Engine(settings))
    assert isinstance(app, FastAPI)
    assert app.openapi()["info"]["title"] == "HypeCheck"


# A real server


def test_real_server_answers_as_the_library_does(server: Server) -> None:
    with server.client() as client:
        assert client.get("/readyz").json()["status"] == "ready"
        assert client.post("/v1/check", json={"text": AD}).json() == as_sent(hypecheck.check(AD))
        assert client.post("/v1/check", json={}).status_code == 422


def test_real_server_answers_many_at_once(server: Server) -> None:
    texts = [f"{AD} Number {i}." for i in range(12)]

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client:
            return await asyncio.gather(
                *(client.post("/v1/check", json={"text": t, "include_text": True}) for t in texts)
            )

    for text, response in zip(texts, asyncio.run(ask()), strict=True):
        assert response.json() == as_sent(hypecheck.check(text), include_text=True)
