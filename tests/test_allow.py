"""Allow-lists: what is accepted is marked with its reason, everywhere, and no longer counts."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars
import pytest

from hypecheck.allow import About, AllowList, Entry, directive, load, regions_of
from hypecheck.batch.scan import Plan, scan
from hypecheck.checker import Checker
from hypecheck.errors import HypeCheckError
from hypecheck.page import page_text, read_page

AD = "Act now! Only 3 spots left this week. There are no side effects at all."
CHECKER = Checker(model=None)


def split(
    allow: AllowList, about: About | None = None, text: str = AD
) -> tuple[set[str], set[str]]:
    report = allow.apply(CHECKER.check(text), about)
    return {f.kind for f in report.findings}, {s.finding.kind for s in report.suppressed}


def test_text_has_what_these_tests_speak_of() -> None:
    assert split(AllowList()) == ({"urgency", "scarcity", "risk_free"}, set())


ENTRIES: dict[str, tuple[Entry, set[str]]] = {
    "phrase": (Entry("ok", phrases=("ACT  now",)), {"urgency"}),
    "phrase around it": (Entry("ok", phrases=("are no side effects at all",)), {"risk_free"}),
    "kind": (Entry("ok", kinds=("scarcity",)), {"scarcity"}),
    "category": (Entry("ok", kinds=("pressure_sales",)), {"urgency", "scarcity"}),
    "rule": (Entry("ok", rules=("urgency/act-now",)), {"urgency"}),
    "advertiser": (Entry("ok", advertisers=("hope *",)), {"urgency", "scarcity", "risk_free"}),
    "site below": (Entry("ok", sites=("hope.example",)), {"urgency", "scarcity", "risk_free"}),
    "id": (Entry("ok", ids=("ads/*.txt",)), {"urgency", "scarcity", "risk_free"}),
    "all must hold": (Entry("ok", kinds=("urgency",), advertisers=("Hope*",)), {"urgency"}),
    "one does not hold": (Entry("ok", kinds=("urgency",), advertisers=("Other",)), set()),
    "another site": (Entry("ok", sites=("nothope.example", "ope.example")), set()),
    "another id": (Entry("ok", ids=("ads/",)), set()),
}  # fmt: skip
HOPE = About("ads/may/1.txt", "Hope Clinic", "https://www.shop.hope.example:8080/offer")


@pytest.mark.parametrize(("entry", "gone"), ENTRIES.values(), ids=ENTRIES)
def test_entry_accepts_what_it_names_and_nothing_else(entry: Entry, gone: set[str]) -> None:
    kept, suppressed = split(AllowList((entry,)), HOPE)
    assert suppressed == gone
    assert kept == {"urgency", "scarcity", "risk_free"} - gone


def test_first_reason_is_given() -> None:
    allow = AllowList((Entry("first", kinds=("urgency",)), Entry("second", phrases=("act now",))))
    (s,) = allow.apply(CHECKER.check(AD)).suppressed
    assert (s.by, s.reason, s.finding.text) == ("list", "first", "Act now")


# Files


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_file_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "allow.toml",
        'inline = true\n[[allow]]\nreason = "checked, case 12"\nkinds = ["urgency"]\n'
        'sites = ["a.example"]\n[[allow]]\nreason = "a name"\nphrases = ["Cure Street"]\n',
    )
    allow = load(path)
    assert allow.inline
    assert allow.entries == (
        Entry("checked, case 12", kinds=("urgency",), sites=("a.example",)),
        Entry("a name", phrases=("Cure Street",)),
    )


def test_file_of_the_documentation_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "docs" / "report.md").read_text("utf-8")
    block = text.partition("```\n# allow.toml")[2].partition("```")[0]
    allow = load(write(tmp_path / "allow.toml", "# allow.toml" + block))
    assert len(allow.entries) == 3
    Checker(model=None, allow=allow)
    regions = regions_of(text.partition("comments switch off a part")[2])
    assert [r.names for r in regions] == [(), ("urgency", "missing_data")]


BROKEN = {
    "reason": ('[[allow]]\nkinds = ["urgency"]', "entry 1: needs a reason"),
    "kind": ('[[allow]]\nreason = "x"\nkinds = ["hype"]', "entry 1: unknown kind 'hype'"),
    "key": ('[[allow]]\nreason = "x"\nphrase = "a"', "entry 1: unknown key 'phrase'"),
    "nothing": ('[[allow]]\nreason = "x"', "entry 1: names nothing"),
    "wordless": ('[[allow]]\nreason = "x"\nphrases = ["…"]', "holds no word"),
    "list": ('[[allow]]\nreason = "x"\nphrases = "a"', "phrases must be a list of texts"),
    "table": ('allow = ["a"]', r"entries are written as \[\[allow\]\] tables"),
    "inline": ('inline = "yes"', "inline must be true or false"),
    "toml": ("[[allow", "cannot be read as an allow-list"),
}


@pytest.mark.parametrize(("text", "says"), BROKEN.values(), ids=BROKEN)
def test_broken_file_says_where(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(HypeCheckError, match=says) as e:
        load(write(tmp_path / "allow.toml", text))
    assert "allow.toml" in str(e.value)


def test_unknown_rule_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.toml", '[[allow]]\nreason="x"\nrules=["urgency/no-such"]')
    with pytest.raises(HypeCheckError, match="unknown rule 'urgency/no-such'"):
        Checker(model=None, allow=load(path))


# Comments


INLINE = AllowList(inline=True)
TEXT = (
    "Act now!\n<!-- hypecheck: off; from an old flyer -->\nOnly 3 spots left this week.\n"
    "<!-- hypecheck: on -->\nThere are no side effects at all.\n"
)


def test_comments_switch_off_what_stands_between_them() -> None:
    report = INLINE.apply(CHECKER.check(TEXT))
    assert [f.kind for f in report.findings] == ["urgency", "risk_free"]
    (s,) = report.suppressed
    assert (s.finding.kind, s.by, s.reason) == ("scarcity", "comment", "from an old flyer")


def test_comments_do_not_count_unless_asked_for() -> None:
    text = "<!-- hypecheck: off -->\n" + AD
    assert split(AllowList.of_phrases(["no such phrase"]), text=text)[1] == set()
    assert split(INLINE, text=text)[0] == set()


def test_comment_may_name_kinds() -> None:
    text = "<!-- hypecheck: off urgency, missing_data -->\n" + AD
    assert split(INLINE, text=text) == ({"scarcity", "risk_free"}, {"urgency"})


@pytest.mark.parametrize(
    "comment", ["hypecheck: off urgncy", "hypecheck: of", "hypecheck off", "hypechecks: off", ""]
)
def test_misspelt_comment_switches_nothing_off(comment: str) -> None:
    assert directive(comment) is None
    assert regions_of(f"<!-- {comment} -->{AD}") == ()


def test_endless_comments_are_read_in_linear_time() -> None:
    spaces = " " * 300_000  # a pattern that backtracks would not come back from these
    for text in (
        f"<!-- hypecheck:{spaces}x",
        f"<!--{spaces}hypecheck: off",
        "<!-- hypecheck:" * 50_000,
    ):
        assert regions_of(text) == ()
        assert all(r.start == r.end for r in read_page(text)[1])  # an open comment at the end


def test_finding_across_the_border_counts() -> None:
    text = (
        "Act <!-- hypecheck: off -->now! <!-- hypecheck: on --> There are no side effects at all."
    )
    assert "risk_free" in split(INLINE, text=text)[0]


PAGES = {
    "blocks": "<p>Act now!</p><!-- hypecheck: off --><p>Cured!</p><!-- hypecheck: on --><p>Hi</p>",
    "inside a line": "<p>Act now! <!-- hypecheck: off --> Cured! <!-- hypecheck: on --> Hi</p>",
    "lower case block": "<p>Act now!</p><!-- hypecheck: off --><p>cured</p><!--hypecheck:on--><p>a",
    "before everything": "<!-- hypecheck: off --><html><p>Cured!<!-- hypecheck: on --></p><p>Hi",
    "to the end": "<p>Act now!</p><!-- hypecheck: off --><p>Cured!</p>",
    "an image": "<p>Act<!-- hypecheck: off --><img alt='Cured in days'><!-- hypecheck: on --> now",
}


@pytest.mark.parametrize("html", PAGES.values(), ids=PAGES)
def test_comments_change_no_word_of_a_page(html: str) -> None:
    plain = html
    for word in (
        "<!-- hypecheck: off -->",
        "<!-- hypecheck: on -->",
        "<!--hypecheck:on-->",
    ):
        plain = plain.replace(word, "")
    assert page_text(html) == page_text(plain)
    _, (region,) = read_page(html)
    inside = page_text(html)[region.start : region.end]
    assert "ured" in inside
    assert "Act now" not in inside
    assert "Hi" not in inside


def test_letters_of_icon_fonts_do_not_shift_regions() -> None:
    html = "<p>\U00100000\U00100001 Act now!</p><!-- hypecheck: off --><p>Cured!</p>"
    _, (region,) = read_page(html)
    assert page_text(html)[region.start : region.end] == "Cured!"


# The command line, and results of a scan


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hypecheck.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_what_is_accepted_does_not_fail_a_check(tmp_path: Path) -> None:
    write(tmp_path / "ad.txt", "Act now!\n")
    write(tmp_path / "allow.toml", '[[allow]]\nreason = "case 12"\nids = ["ad.*"]\n')
    model = ("--model", "none")
    assert run("check", "ad.txt", *model, cwd=tmp_path).returncode == 1
    assert run("check", "ad.txt", *model, "--fail-on", "none", cwd=tmp_path).returncode == 0
    done = run("check", "ad.txt", *model, "--allow-list", "allow.toml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "accepted by your allow-list" in done.stdout
    assert "case" in done.stdout
    for name in ("json", "jsonl", "html", "sarif", "github"):
        more = (*model, "--allow-list", "allow.toml", "--format", name)
        out = run("check", "ad.txt", *more, cwd=tmp_path)
        assert out.returncode == 0
        assert "case 12" in out.stdout, name
        assert "Act now" in out.stdout, name


def test_comments_count_in_files_of_html_when_asked(tmp_path: Path) -> None:
    write(tmp_path / "p.html", "<h1>Hi</h1><!-- hypecheck: off --><p>Act now!</p>")
    model = ("--model", "none", "--format", "json")
    done = run("check", "p.html", *model, cwd=tmp_path)
    assert done.returncode == 1
    assert "p.html: comments switch off 1 part; that counts with --inline only" in done.stderr
    done = run("check", "p.html", *model, "--inline", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [s["by"] for s in json.loads(done.stdout)["suppressed"]] == ["comment"]


@pytest.fixture
def ads(tmp_path: Path) -> Path:
    rows = [
        {"id": str(i), "advertiser": name, "text": AD} for i, name in enumerate(("Hope", "Vita"))
    ]
    return write(tmp_path / "ads.jsonl", "\n".join(map(json.dumps, rows)))


def scanned(ads: Path, name: str, **more: Any) -> Path:
    allow = AllowList((Entry("case 12", kinds=("urgency",), advertisers=("hope",)),))
    out = ads.parent / name
    summary = scan(Plan((str(ads),), model="none", allow=allow), out, workers=1, **more)
    assert (summary.findings, summary.suppressed) == (5, 1)
    return out


def test_same_text_of_two_advertisers_is_accepted_for_one(ads: Path) -> None:
    frame = polars.read_parquet(scanned(ads, "r.parquet"))
    gone = frame.filter(polars.col("suppressed").is_not_null())
    assert gone.select("advertiser", "kind", "suppressed", "suppressed_reason").rows() == [
        ("Hope", "urgency", "list", "case 12")
    ]
    assert len(frame) == 6


def test_every_format_of_a_scan_marks_what_is_accepted(ads: Path) -> None:
    lines = [json.loads(x) for x in scanned(ads, "r.jsonl").read_text("utf-8").splitlines()]
    assert [x["suppressed_reason"] for x in lines if x["suppressed"]] == ["case 12"]
    with scanned(ads, "r.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [r["suppressed_reason"] for r in csv.DictReader(file) if r["suppressed"]] == [
            "case 12"
        ]
    results = json.loads(scanned(ads, "r.sarif").read_text("utf-8"))["runs"][0]["results"]
    assert [r["suppressions"] for r in results if "suppressions" in r] == [
        [{"kind": "external", "status": "accepted", "justification": "case 12"}]
    ]
    notes = [x for x in scanned(ads, "r.github").read_text("utf-8").splitlines() if "case 12" in x]
    assert len(notes) == 1
    assert notes[0].startswith(f"::notice file={ads},line=1,title=Suppressed%3A ")
    folder = scanned(ads, "folder")
    assert json.loads((folder / "summary.json").read_text())["suppressed_findings"] == 1
    with scanned(ads, "d.csv", rows="documents").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["finding_count"], r["suppressed_count"]) for r in rows] == [("2", "1"), ("3", "0")]


def test_scan_fails_on_what_is_new_and_counts(tmp_path: Path) -> None:
    write(
        tmp_path / "ads.jsonl",
        json.dumps({"id": "a", "text": "Act now! There are no side effects at all."}),
    )
    base = ("scan", "ads.jsonl", "--model", "none", "--workers", "1", "--quiet", "--out")
    assert run(*base, "one", cwd=tmp_path).returncode == 0
    assert run(*base, "two", "--fail-on", "medium", cwd=tmp_path).returncode == 1
    high = ("--fail-on", "high", "--allow", "no side effects at all")
    assert run(*base, "three", *high, cwd=tmp_path).returncode == 0
    known = ("--fail-on", "low", "--baseline", "one")
    assert run(*base, "four", *known, cwd=tmp_path).returncode == 0
