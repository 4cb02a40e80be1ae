"""The LanguageTool API: its contract, its clients' habits, and the clients themselves."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import language_tool_python
import pytest
from conftest import Ask, Server
from hypothesis import example, given, settings
from hypothesis import strategies as st

import hypecheck
from hypecheck.service.app import create_app
from hypecheck.service.languagetool import LANGUAGES, parse_form, read_data
from hypecheck.service.problems import ProblemError
from hypecheck.service.settings import Settings

AD = "Our patients’ 🌟 100% effective cure & more"


@pytest.fixture(scope="session")
def send(ask: Ask) -> Ask:
    """Give :func:`ask` below ``/v2``."""
    return lambda method, path, **more: ask(method, f"/v2/{path}", **more)


def utf16(text: str, start: int, length: int) -> str:
    raw = text.encode("utf-16-le")
    return raw[2 * start : 2 * (start + length)].decode("utf-16-le")


def found(answer: Any, text: str) -> list[str]:
    return [utf16(text, m["offset"], m["length"]) for m in answer["matches"]]


WANTED = [f.text for f in hypecheck.check(AD).findings]


def test_the_sentence_of_the_contract_is_flagged() -> None:
    assert any("100% effective" in t for t in WANTED)


# How clients really send it

RAW = f"text={AD}&language=en-US".encode()
WAYS: dict[str, dict[str, Any]] = {
    "form": {"data": {"text": AD, "language": "en-US"}},
    "raw, not escaped (LibreOffice)": {"content": RAW},
    "raw, language first": {"content": f"language=en-US&enabledOnly=false&text={AD}".encode()},
    "form as text/json (TeXstudio)": {
        "content": f"language=en-US&text={quote(AD, safe='')}\n".encode(),
        "headers": {"content-type": "text/json"},
    },
    "text in the query, language in the body": {
        "params": {"text": AD},
        "data": {"language": "en-US"},
    },
    "data": {"data": {"data": json.dumps({"text": AD}), "language": "en-US"}},
    "unknown keys": {"data": {"text": AD, "language": "en-US", "api_key": "", "colour": "red"}},
    "auto": {"data": {"text": AD, "language": "auto", "preferredVariants": "en-GB"}},
    "unknown keys between": {
        "content": f"language=en-US&foo=1&text={quote(AD, safe='')}&_=99&dicts=x".encode()
    },
    "unknown key in the query": {
        "params": {"language": "en-US", "_": "123"},
        "data": {"text": AD, "username": "", "apiKey": ""},
    },
    "plus for a space": {"content": f"text={quote_plus(AD)}&language=en".encode()},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_text_arrives_whole_however_it_is_sent(send: Any, way: dict[str, Any]) -> None:
    response = send("POST", "check", **way)
    assert response.status_code == 200, response.text
    assert found(response.json(), AD) == WANTED


def test_get_is_answered_too(send: Any) -> None:
    response = send("GET", "check", params={"text": AD, "language": "en-US"})
    assert found(response.json(), AD) == WANTED


@pytest.mark.parametrize(
    "text",
    [
        "raw 100%",
        "50%-80% better",
        "a 95%ab c",
        "Q&A on pain & swelling",
        "1+1 is two",
        "x&languages",
    ],
)
def test_signs_in_a_raw_text_are_kept(text: str) -> None:
    assert parse_form(f"text={text}&language=en-US".encode())["text"] == text
    assert parse_form(b"text=95%ab&language=en-US")["text"] == "95%ab"
    escaped = f"language=en-US&text={quote(text, safe='')}"
    assert parse_form(escaped.encode()) == {"text": text, "language": "en-US"}


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("&text=&data=%")
@example("a\n")
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    for escape in (quote_plus, lambda t: quote(t, safe="")):
        assert parse_form(f"text={escape(text)}&language=en".encode())["text"] == text


@given(st.binary())
@example(b"text=\xff")
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        values = parse_form(raw)
    except ProblemError as e:
        if e.status != 400:
            raise
    else:
        assert all(isinstance(v, str) for v in values.values())


# Markup: offsets count what was sent, text and markup alike


def annotated(*nodes: dict[str, Any]) -> str:
    return json.dumps({"annotation": list(nodes)})


def test_matches_count_markup_but_not_what_it_stands_for(send: Any) -> None:
    nodes: list[dict[str, Any]] = [
        {"markup": "<h1 title='🌟'>", "interpretAs": "\n\n", "offset": {"start": 0}},
        {"text": "🌟 Our clinic guarantees a "},
        {"markup": "<b>"},
        {"text": "cure"},
        {"markup": "</b>", "interpretAs": ""},
        {"text": ". Hi."},
    ]
    sent = "".join(n.get("text", n.get("markup", "")) for n in nodes)
    body = {"data": annotated(*nodes), "language": "en-US"}
    answer = send("POST", "check", data=body).json()
    assert found(answer, sent) == ["guarantees a <b>cure"]
    assert [utf16(sent, a, b - a) for a, b in answer["sentenceRanges"]][-1] == "Hi."


def test_match_that_ends_in_markup_takes_it_whole(send: Any) -> None:
    nodes = [{"text": "A guaranteed "}, {"markup": "<b title='x'>", "interpretAs": "cure"}]
    body = {"data": annotated(*nodes), "language": "en-US"}
    answer = send("POST", "check", data=body).json()
    assert "guaranteed <b title='x'>" in found(answer, "A guaranteed <b title='x'>")


@given(
    st.lists(
        st.one_of(
            st.fixed_dictionaries({"text": st.text()}),
            st.fixed_dictionaries({"markup": st.text(), "interpretAs": st.text()}),
            st.fixed_dictionaries({"markup": st.text()}),
        )
    )
)
def test_every_span_of_a_text_node_is_found_again(nodes: list[dict[str, str]]) -> None:
    document = read_data(json.dumps({"annotation": nodes}))
    assert document.sent == "".join(n.get("text", n.get("markup", "")) for n in nodes)
    at = 0
    for n in nodes:
        shown = n.get("text", n.get("interpretAs", ""))
        if "text" in n and shown:
            start, end = document.span(at, at + len(shown))
            assert document.sent[start:end] == shown
        at += len(shown)
    start, end = document.span(0, len(document.plain))
    assert 0 <= start <= end <= len(document.sent) or not document.plain


# The answer


def test_answer_has_every_key_that_clients_read(send: Any) -> None:
    answer = send("POST", "check", data={"text": AD, "language": "en-US"}).json()
    assert set(answer) >= {"software", "warnings", "language", "matches", "sentenceRanges"}
    assert answer["software"]["name"] == "HypeCheck"
    assert answer["software"]["apiVersion"] == 1
    assert answer["warnings"] == {"incompleteResults": False}
    assert set(answer["language"]["detectedLanguage"]) >= {"name", "code", "confidence"}
    for m, f in zip(answer["matches"], hypecheck.check(AD).findings, strict=True):
        assert m["rule"]["id"] == f.kind
        assert m["rule"]["category"]["id"] == f.category
        assert m["rule"]["issueType"] == "style"
        assert m["rule"]["urls"] == [{"value": f.references[0].url}]
        assert {"description", "subId"} <= set(m["rule"])
        assert m["replacements"] == []
        assert m["message"].startswith(f.why)
        assert m["shortMessage"]
        assert m["sentence"] == AD
        c = m["context"]
        assert utf16(c["text"], c["offset"], c["length"]) == f.text


@pytest.mark.parametrize("around", ["", "We are open on weekdays.", "😀" * 30, "a\nb\n" * 30])
def test_context_is_forty_units_each_side(send: Any, around: str) -> None:
    text = f"{around} We guarantee a cure. {around}"
    (match,) = send("POST", "check", data={"text": text, "language": "en-US"}).json()["matches"]
    c = match["context"]
    assert "\n" not in c["text"]
    assert utf16(c["text"], c["offset"], c["length"]) == "guarantee a cure"
    assert c["offset"] <= 43
    assert len(c["text"].encode("utf-16-le")) // 2 - c["offset"] - c["length"] <= 43
    assert c["text"].startswith("...") == (len(f"{around} ".encode("utf-16-le")) // 2 > 40)


def test_options_choose_rules(send: Any) -> None:
    text = "Only 3 spots left! Our clinic guarantees a cure."

    def kinds(**more: str) -> set[str]:
        body = {"text": text, "language": "en-US", **more}
        answer = send("POST", "check", data=body).json()
        return {m["rule"]["id"] for m in answer["matches"]}

    every = kinds()
    assert len(every) == 2
    assert kinds(disabledRules="scarcity,MORFOLOGIK_RULE_EN_US") == every - {"scarcity"}
    assert kinds(disabledCategories="pressure_sales,TYPOS") == every - {"scarcity"}
    assert kinds(enabledRules="scarcity", enabledOnly="yes") == {"scarcity"}
    assert kinds(enabledCategories="pressure_sales", enabledOnly="true") == {"scarcity"}
    assert kinds(disabledRules="scarcity", enabledRules="scarcity") == every
    assert kinds(enabledRules="UPPERCASE_SENTENCE_START", enabledOnly="true") == set()
    assert kinds(level="picky", mode="textLevelOnly") >= every


# Errors are plain text that begins with Error:

SECRET = "Zyxwvut"
WRONG: dict[str, dict[str, str]] = {
    "both": {"text": SECRET, "data": "{}", "language": "en"},
    "neither": {"language": "en"},
    "no language": {"text": SECRET},
    "unknown language": {"text": "x", "language": SECRET},
    "old name": {"text": SECRET, "language": "en", "disabled": "x"},
    "variants without auto": {"text": SECRET, "language": "en", "preferredVariants": "en-GB"},
    "level": {"text": SECRET, "language": "en", "level": SECRET},
    "mode": {"text": SECRET, "language": "en", "mode": SECRET},
    "enabledOnly alone": {"text": SECRET, "language": "en", "enabledOnly": "true"},
    "username alone": {"text": SECRET, "language": "en", "username": SECRET},
    "data is no JSON": {"data": SECRET, "language": "en"},
    "data is a list": {"data": "[]", "language": "en"},
    "data is too deep": {"data": "[" * 100_000, "language": "en"},
    "data is empty": {"data": "{}", "language": "en"},
    "text and markup": {"data": annotated({"text": SECRET, "markup": "b"}), "language": "en"},
    "text with interpretAs": {
        "data": annotated({"text": SECRET, "interpretAs": "b"}),
        "language": "en",
    },
    "empty node": {"data": annotated({}), "language": "en"},
    "node is no object": {"data": json.dumps({"annotation": [SECRET]}), "language": "en"},
    "text is a number": {"data": '{"text": 5}', "language": "en"},
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_wrong_argument_is_named(send: Any, body: dict[str, str]) -> None:
    response = send("POST", "check", data=body)
    assert response.status_code == 400
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text.startswith("Error: ")
    assert SECRET not in response.text


def test_other_errors_are_plain_text_too(send: Any) -> None:
    long = {"text": "a" * (Settings().max_characters + 1), "language": "en"}
    for response, status in (
        (send("POST", "check", data=long), 413),
        (send("POST", "check", content=b"text=" + b"a" * 2_100_000), 413),
        (send("POST", "check", content=b"text=\xff\xff&language=en"), 400),
        (send("GET", "words"), 404),
        (send("DELETE", "check"), 405),
    ):
        assert response.status_code == status
        assert response.text.startswith("Error: ")


PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"text=", b"&language=en-US", b"&data=", b'{"annotation":[{"text":"', b'"}]}', b"%", b"&",
         b"+", b"=", b"%f0%9f", "🌟’".encode(), b"Act now! We guarantee a cure. ", b"\0", b"\n",
         b"&disabledRules=urgency", b"&enabledOnly=yes&enabledRules=", b"&level=picky",
         b'"markup":"'],
    ),
)  # fmt: skip


@settings(max_examples=int(os.environ.get("FUZZ_CASES", "300")), database=None)
@given(st.lists(PIECES, max_size=12).map(b"".join), st.binary(max_size=60), st.booleans())
def test_no_bytes_bring_it_down(light: Any, body: bytes, query: bytes, post: bool) -> None:
    """``FUZZ_CASES=50000`` for a long run."""
    status, headers, answer = light(
        "POST" if post else "GET", "/v2/check", body, query if post else body + query
    )
    assert status in (200, 400)
    if status == 400:
        assert headers[b"content-type"].startswith(b"text/plain")
        assert answer.startswith(b"Error: ")
    else:
        assert json.loads(answer)["software"]["name"] == "HypeCheck"


@pytest.fixture(scope="module")
def light() -> Any:
    """Give a function that calls the application as a server does, rules only: raw bytes in."""
    app = create_app(Settings(model="none"))
    loop = asyncio.new_event_loop()

    def call(method: str, path: str, body: bytes, query: bytes) -> tuple[int, Any, bytes]:
        sent: list[Any] = []
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(),
            "query_string": query, "headers": [], "client": ("127.0.0.1", 1), "root_path": "",
            "server": ("127.0.0.1", 80), "scheme": "http", "http_version": "1.1",
            "asgi": {"version": "3.0"},
        }  # fmt: skip

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        loop.run_until_complete(app(scope, receive, send))
        answer = b"".join(m.get("body", b"") for m in sent[1:])
        return sent[0]["status"], dict(sent[0]["headers"]), answer

    yield call
    loop.close()


# The other paths


def test_languages_are_a_list_with_us_english(send: Any) -> None:
    got = send("GET", "languages").json()
    assert {"name": "English (US)", "code": "en", "longCode": "en-US"} in got
    assert [x["longCode"] for x in got] == list(LANGUAGES)


def test_small_answers(send: Any) -> None:
    assert send("GET", "maxtextlength").text == str(Settings().max_characters)
    assert send("POST", "maxtextlength", content=b"\0").text == str(Settings().max_characters)
    assert send("GET", "healthcheck").text == "OK"
    assert send("GET", "info").json()["software"]["name"] == "HypeCheck"
    config = send("GET", "configinfo", params={"language": "en-US"}).json()
    assert len(config["rules"]) == 19
    assert config["parameter"]["maxTextLength"] == Settings().max_characters
    assert send("GET", "configinfo").status_code == 400


# Real clients


def test_language_tool_python_gets_the_spans(server: Server) -> None:
    tool = language_tool_python.LanguageTool("en-US", remote_server=server.url)
    try:
        matches = tool.check(AD)
    finally:
        tool.close()
    wanted = hypecheck.check(AD).findings
    assert [m.rule_id for m in matches] == [f.kind for f in wanted]
    # It turns offsets into code points by itself.
    assert [m.offset for m in matches] == [f.start for f in wanted]
    assert [AD[m.offset : m.offset + m.error_length] for m in matches] == WANTED


def test_pylanguagetool_prints_the_matches(server: Server) -> None:
    client = str(Path(sys.executable).with_name("pylanguagetool"))
    run = subprocess.run(
        [client, "--no-color", "-l", "en-US", "--api-url", f"{server.url}/v2/"],
        input=AD.encode(),
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    output = run.stdout.decode("utf-8")
    assert run.returncode == 1, run.stderr
    text = f"  ✗ {AD}\n"
    assert output.count(text) == len(WANTED)
    for phrase in WANTED:
        # It counts code points to draw the line below; LanguageTool's unit is UTF-16.
        start = len(AD[: AD.index(phrase)].encode("utf-16-le")) // 2
        assert text + " " * (4 + start) + "^" * len(phrase) + "\n" in output
    assert "English (US)" in output


OFFICE = shutil.which("soffice")
UNO = Path("/usr/bin/python3")


@pytest.mark.skipif(
    OFFICE is None or not Path("/usr/lib/python3/dist-packages/uno.py").exists(),
    reason="needs LibreOffice Writer and python3-uno",
)
def test_libreoffice_underlines_the_spans(server: Server) -> None:
    script = Path(__file__).parent / "clients" / "libreoffice.py"
    run = subprocess.run(
        [UNO, script, server.url, AD], capture_output=True, text=True, timeout=180, check=False
    )
    assert run.returncode == 0, run.stderr
    errors = json.loads(run.stdout)
    assert [utf16(AD, start, size) for start, size, _ in errors] == WANTED
    for (_, _, comment), f in zip(errors, hypecheck.check(AD).findings, strict=True):
        assert comment.startswith(f.why)


NODE = shutil.which("npm")


@pytest.fixture(scope="session")
def gramma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install gramma once; its script for the command line."""
    folder = tmp_path_factory.mktemp("gramma")
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "gramma@1.6.0"]
    subprocess.run(install, cwd=folder, capture_output=True, check=True, timeout=300)
    return folder


@pytest.mark.skipif(NODE is None, reason="needs Node.js and npm")
def test_gramma_gets_the_spans(server: Server, gramma: Path) -> None:
    script = gramma / "gramma.cjs"
    script.write_bytes((Path(__file__).parent / "clients" / "gramma.cjs").read_bytes())
    command = ["node", str(script), f"{server.url}/v2/check", AD]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert [phrase for _, _, phrase in json.loads(run.stdout)] == WANTED


@pytest.mark.skipif(NODE is None, reason="needs Node.js and npm")
@pytest.mark.parametrize("markdown", [False, True])
def test_gramma_prints_the_matches(server: Server, gramma: Path, markdown: bool) -> None:
    settings = {"api_url": f"{server.url}/v2/check", "api_key": "", "language": "en-US"}
    (gramma / ".gramma.json").write_text(json.dumps(settings))
    (gramma / "ad.md").write_text(f"# Hello\n\n**{AD}**\n" if markdown else AD, "utf-8")
    command = ["npx", "gramma", "check", "--print", *(["--markdown"] if markdown else []), "ad.md"]
    run = subprocess.run(
        command, cwd=gramma, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 1, run.stderr + run.stdout
    plain = re.sub(r"\x1b\[[0-9;]*m", "", run.stdout)
    assert f"Found {len(WANTED)} potential mistakes" in plain
    assert f"Context: {'**' if markdown else ''}{AD[:30]}" in plain or AD[:30] in plain
