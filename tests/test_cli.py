"""The command line: formats, exit codes, and one line for whatever goes wrong."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import hypecheck
from hypecheck import cli
from hypecheck.checker import VERSION
from hypecheck.formats import FORMATS
from hypecheck.formats.json import report_dict
from hypecheck.types import CATEGORIES, KINDS

ROOT = Path(hypecheck.__file__).parents[1]
EXAMPLES = Path(__file__).parents[1] / "data" / "examples"
AD = "🔥 Only 3 spots left! Our clinic guarantees a cure for arthritis. It does not cure gout.\n"
SOBER = "The clinic opens at nine and closes at five.\n"
USER_RULE = r"""
kind = "miracle"
[[rule]]
id = "zorb"
pattern = '\bzorb cure'
score = 0.99
fires = ["Our [zorb cure] helps."]
silent = ["Our clinic helps."]
"""


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Stdin(io.TextIOWrapper):
    def __init__(self, raw: bytes, terminal: bool) -> None:
        super().__init__(io.BytesIO(raw), "utf-8")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command as its entry point does, errors and exit codes included."""

    def call(*argv: object, stdin: bytes = b"", terminal: bool = False) -> Result:
        monkeypatch.setattr(sys, "stdin", Stdin(stdin, terminal))
        with pytest.raises(SystemExit) as caught:
            cli.run([str(a) for a in argv])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Result(int(caught.value.code or 0), out, err)

    return call


@pytest.fixture
def ad(tmp_path: Path) -> Path:
    return write(tmp_path / "ad.txt", AD)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# Exit codes


def test_findings_give_one_and_none_gives_nought(run: Run, ad: Path, tmp_path: Path) -> None:
    assert run("check", ad).code == 1
    assert run("check", write(tmp_path / "sober.txt", SOBER)).code == 0
    assert run("check", write(tmp_path / "empty.txt", "")).code == 0


@pytest.mark.parametrize(("level", "code"), [("low", 1), ("medium", 1), ("high", 0)])
def test_fail_on_chooses_the_severity(run: Run, ad: Path, level: str, code: int) -> None:
    assert run("check", ad, "--only", "scarcity", "--fail-on", level).code == code


def test_fail_on_does_not_change_what_is_shown(run: Run, ad: Path) -> None:
    shown = run("check", ad, "--only", "scarcity", "--fail-on", "high").out
    assert shown == run("check", ad, "--only", "scarcity").out
    assert "»Only 3 spots left«" in shown


USAGE: dict[str, list[str]] = {
    "no command": [],
    "unknown command": ["chekc"],
    "unknown option": ["check", "--nonsense", "AD"],
    "unknown format": ["check", "AD", "--format", "xml"],
    "unknown sensitivity": ["check", "AD", "--sensitivity", "loud"],
    "unknown severity": ["check", "AD", "--fail-on", "fatal"],
    "unknown kind": ["check", "AD", "--only", "hype"],
    "unknown rule": ["check", "AD", "--disable", "urgency/no-such-rule"],
    "missing rule file": ["check", "AD", "--rules", "no.toml"],
    "kind to show": ["rules", "show", "hype"],
    "no kind to show": ["rules", "show"],
    "unknown split": ["evaluate", "CORPUS", "--split", "half"],
}


@pytest.mark.parametrize("argv", USAGE.values(), ids=USAGE)
def test_wrong_usage_gives_two(run: Run, ad: Path, tmp_path: Path, argv: list[str]) -> None:
    corpus = write(tmp_path / "corpus.txt", "# id: a | field: x\nAct now.\n")
    names = {"AD": str(ad), "CORPUS": str(corpus)}
    result = run(*(names.get(a, a) for a in argv))
    assert result.code == 2
    assert result.out == ""
    assert result.err


UNREADABLE: dict[str, tuple[bytes, list[str]]] = {
    "not UTF-8": (b"caf\xe9", ["not UTF-8", "iconv"]),
    "binary": (b"abc\x00def" * 9, ["binary"]),
    "image": (b"\x89PNG\r\n\x1a\n", ["PNG image"]),
    "PDF": (b"%PDF-1.7", ["PDF", "pdftotext"]),
    "archive": (b"PK\x03\x04", ["ZIP"]),
    "too large": (b"a" * (cli.MAX_BYTES + 1), ["too large", "10,000,001 bytes"]),
}


@pytest.mark.parametrize(("raw", "parts"), UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_file_gives_three_and_one_line(
    run: Run, tmp_path: Path, raw: bytes, parts: list[str]
) -> None:
    result = run("check", write(tmp_path / "in.txt", raw))
    assert result.code == 3
    assert result.out == ""
    assert result.err.startswith(f"hypecheck: {tmp_path / 'in.txt'} is ")
    assert result.err.count("\n") == 1
    assert all(p in result.err for p in parts)


@pytest.mark.parametrize(("raw", "parts"), UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_standard_input_gives_three(run: Run, raw: bytes, parts: list[str]) -> None:
    result = run("check", "-", stdin=raw)
    assert result.code == 3
    assert result.err.startswith("hypecheck: standard input is ")
    assert all(p in result.err for p in parts)


def test_missing_file_and_directory_give_three(run: Run, tmp_path: Path) -> None:
    missing, folder = run("check", tmp_path / "no.txt"), run("check", tmp_path)
    assert (missing.code, folder.code) == (3, 3)
    assert "no.txt does not exist" in missing.err
    assert "is a directory" in folder.err


def test_unreadable_file_does_not_hide_the_others(run: Run, ad: Path, tmp_path: Path) -> None:
    result = run("check", tmp_path / "no.txt", ad, "--format", "jsonl")
    assert result.code == 3
    assert json.loads(result.out)["name"] == str(ad)


def test_missing_model_gives_three(run: Run, ad: Path) -> None:
    result = run("check", ad, "--model", "1999.1")
    assert (result.code, result.out) == (3, "")
    assert "model '1999.1': not found; reinstall" in result.err


def test_broken_rule_file_gives_two_and_names_the_rule(run: Run, ad: Path, tmp_path: Path) -> None:
    broken = write(tmp_path / "ours.toml", USER_RULE.replace("pattern", "patern"))
    result = run("check", ad, "--rules", broken)
    assert result.code == 2
    assert result.err.startswith(f"hypecheck: {broken}: rule 'zorb': unknown key 'patern'")


def test_nothing_to_read_on_a_terminal_is_said(run: Run) -> None:
    result = run("check", terminal=True)
    assert result.code == 2
    assert "give a FILE" in result.err


# What is written


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_offered(run: Run, ad: Path, name: str) -> None:
    result = run("check", ad, "--format", name)
    assert result.code == 1
    assert "guarantees a cure" in result.out
    assert result.err == ""


def test_json_is_the_report_of_the_library(run: Run, ad: Path) -> None:
    wanted = report_dict(hypecheck.Checker().check(AD, str(ad)))
    for name in ("json", "jsonl"):
        got = json.loads(run("check", ad, "--format", name).out)
        assert got == {"name": str(ad), **wanted}


def test_text_is_left_out_of_json_unless_asked_for(run: Run, ad: Path) -> None:
    assert "text" not in json.loads(run("check", ad, "--format", "json").out)
    asked = run("check", ad, "--format", "json", "--include-text")
    assert json.loads(asked.out)["text"] == AD


@pytest.mark.parametrize("argv", [["check"], ["check", "-"]])
def test_standard_input_is_read(run: Run, argv: list[str]) -> None:
    got = json.loads(run(*argv, "--format", "json", stdin=AD.encode()).out)
    assert (got["name"], got["id"]) == ("standard input", "")
    assert [f["text"] for f in got["findings"]] == ["Only 3 spots left", "guarantees a cure"]


def test_several_files_are_reported_in_order(run: Run, ad: Path, tmp_path: Path) -> None:
    sober = write(tmp_path / "sober.txt", SOBER)
    lines = run("check", sober, ad, sober, "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["name"] for line in lines] == [str(sober), str(ad), str(sober)]
    assert len(json.loads(run("check", sober, ad, "--format", "json").out)) == 2


def test_page_is_read_as_a_page(run: Run, tmp_path: Path) -> None:
    html = (
        "<html><script>act now</script><h1>Our clinic guarantees a cure</h1>"
        "<p hidden>Act now!</p><button>Only 3 spots left</button></html>"
    )
    page = write(tmp_path / "page.html", html)
    got = json.loads(run("check", page, "--format", "json", "--include-text").out)
    assert got["text"] == "Our clinic guarantees a cure\nOnly 3 spots left"
    assert [f["text"] for f in got["findings"]] == ["guarantees a cure", "Only 3 spots left"]


def test_text_report_names_phrase_kind_why_and_what_to_ask(run: Run, ad: Path) -> None:
    out = run("check", ad).out
    for part in ("»guarantees a cure«", "Promises or guarantees", "Why ", "Ask ", "See "):
        assert part in out
    assert "\x1b" not in out


def test_explain_names_guard_and_cue(run: Run, ad: Path) -> None:
    assert "because of" not in run("check", ad).out
    out = run("check", ad, "--explain").out
    assert re.search(r"“cure gout”.*negated,\s+because of “does not”", out, re.S)


def test_explain_names_the_cue_of_every_warning(run: Run) -> None:
    result = run("check", EXAMPLES / "patient-education.txt", "--explain")
    assert result.code == 0
    assert "guaranteed cures" in result.out
    assert result.out.count("because of “") >= 2


def test_example_of_a_clinic_shows_all_three_categories(run: Run) -> None:
    out = run("check", EXAMPLES / "knee-clinic.txt").out
    for title in ("guaranteed cure", "pressure sales", "missing data"):
        assert f" {title} " in out.replace("·", " ").lower()


def test_choices_reach_the_checker(run: Run, tmp_path: Path) -> None:
    rules = write(tmp_path / "ours.toml", USER_RULE)
    text = AD + "Try our zorb cure."

    def kinds(*argv: object) -> list[str]:
        fixed = ("--format", "json", "--model", "none", "--sensitivity", "broad")
        got = run("check", "-", *fixed, *argv, stdin=text.encode())
        return [f["kind"] for f in json.loads(got.out)["findings"]]

    assert kinds("--rules", rules) == ["scarcity", "guaranteed_outcome", "miracle"]
    assert kinds("--only", "scarcity", "--only", "miracle") == ["scarcity"]
    assert "scarcity" not in kinds("--disable", "pressure_sales")
    assert "scarcity" not in kinds("--allow", "only 3 spots left")
    assert kinds("--sensitivity", "strict") == ["scarcity"]


def test_no_model_is_named_when_none_is_used(run: Run, ad: Path) -> None:
    got = json.loads(run("check", ad, "--model", "none", "--format", "json").out)
    assert got["versions"]["model"] is None


# rules


def test_rules_list_has_every_kind(run: Run) -> None:
    plain, table = run("rules", "list"), run("rules", "list", "--format", "md")
    assert plain.code == table.code == 0
    for category in CATEGORIES:
        assert f"({category})" in plain.out
        for kind in KINDS[category]:
            assert re.search(rf"^  {kind} .* [1-9]\d* rules  ", plain.out, re.M)
            assert f"| `{kind}` |" in table.out
    assert len(table.out.splitlines()) == 2 + 19


def test_rules_show_prints_the_kind_as_a_page(run: Run) -> None:
    result = run("rules", "show", "cure_claim")
    assert result.code == 0
    for part in ("Why: ", "Ask: ", "Relevant guidance:", "https://", "cure_claim/cures-condition"):
        assert part in result.out
    assert re.search(r"fires +.*\[.+\]", result.out)


def test_rules_test_runs_the_shipped_examples(run: Run) -> None:
    result = run("rules", "test")
    assert result.code == 0
    assert re.search(r"^\d{3} rules, \d+ fires, \d+ silent: 0 failed$", result.out, re.M)


def test_rules_test_runs_a_users_examples(run: Run, tmp_path: Path) -> None:
    good = write(tmp_path / "good.toml", USER_RULE)
    assert run("rules", "test", good) == (0, "1 rules, 1 fires, 1 silent: 0 failed\n", "")
    bad = write(tmp_path / "bad.toml", USER_RULE.replace("[zorb cure]", "[zorb] cure"))
    result = run("rules", "test", bad)
    assert result.code == 1
    assert "FAILED miracle/zorb: 'Our [zorb] cure helps.'" in result.out
    assert "1 failed" in result.out


# evaluate

CORPUS = """# id: a | field: knees | form: web page | site: none
Knee shots: [[book by Friday and save $200|urgency]]!
The clinic opens at nine.

# id: b | field: knees | form: web page | site: none
It does not cure gout.
"""


def test_evaluate_prints_a_table_and_figures(run: Run, tmp_path: Path) -> None:
    corpus = write(tmp_path / "corpus.txt", CORPUS)
    table = run("evaluate", corpus)
    assert table.code == 0
    assert "urgency" in table.out
    figures = json.loads(run("evaluate", corpus, "--json").out)
    assert (figures["documents"], figures["sentences"]) == (2, 3)
    assert figures["kinds"]["urgency"]["recall"] == 1.0


def test_evaluate_names_the_broken_line(run: Run, tmp_path: Path) -> None:
    broken = write(tmp_path / "corpus.txt", CORPUS.replace("urgency", "hurry"))
    result = run("evaluate", broken)
    assert (result.code, result.out) == (3, "")
    assert "line 2: unknown kind 'hurry'" in result.err


# Real processes


def process(
    *argv: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "hypecheck.cli", *argv]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, input=stdin, capture_output=True, env=env, check=False)


def test_command_runs_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = process("check", "-", "--format", "jsonl", stdin=AD.encode())
    assert (done.returncode, done.stderr) == (1, b"")
    assert [f["text"] for f in json.loads(done.stdout)["findings"]] == [
        "Only 3 spots left",
        "guarantees a cure",
    ]


def test_terminal_that_knows_no_unicode_gets_a_report() -> None:
    done = process("check", "-", stdin=AD.encode(), PYTHONIOENCODING="ascii")
    assert b"Traceback" not in done.stderr
    assert done.returncode == 1
    assert b"guarantees a cure" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_is_said_in_one_line() -> None:
    command = [sys.executable, "-m", "hypecheck.cli", "check", "-", "--model", "none"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, input=AD.encode(), stdout=full, stderr=subprocess.PIPE, env=env, check=False
        )
    assert b"Traceback" not in done.stderr
    assert b"No space left" in done.stderr
    assert done.returncode not in (0, 1)


def test_version_and_help_are_given(run: Run) -> None:
    assert run("--version").out == f"hypecheck, version {VERSION}\n"
    for command in ([], ["check"], ["scan"], ["rules"], ["serve"], ["train"]):
        shown = run(*command, "--help")
        assert shown.code == 0
        assert shown.out.startswith("Usage: ")
        assert "Options:" in shown.out
