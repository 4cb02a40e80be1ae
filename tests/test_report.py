"""The report on a scan in a real browser, and the sample that people judge."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from advertisements import write
from axe_playwright_python.sync_playwright import Axe
from browsing import Tab, needs_chromium
from playwright.sync_api import Browser, Page, expect

from hypecheck import corpus
from hypecheck.allow import AllowList
from hypecheck.batch import overview, parts, readers, report, results, review, writers
from hypecheck.batch.scan import Plan, scan
from hypecheck.errors import InputError

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028$x^2$ & “Act now!”\x00"

ACT_NOW = AllowList.of_phrases(["act now"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of results: 1,500 made-up advertisements, and hostile ones, scanned."""
    base = tmp_path_factory.mktemp("report")
    ads = write(base / "ads.jsonl", 1500)
    with ads.open("a", encoding="utf-8") as file:
        for i in range(40):
            evil = {"id": f"{EVIL}{i}", "page_name": EVIL, "link": EVIL, "date": EVIL}
            file.write(
                json.dumps({**evil, "text": f"{EVIL} Only {i + 2} spots left! Act now!"}) + "\n"
            )
    plan = Plan((str(ads),), model="none", allow=ACT_NOW)
    scan(plan, base / "results", workers=2)
    return base / "results"


def gathered(path: Path, **more: Any) -> overview.Overview:
    return overview.gather(results.open_results(path), **more)[0]


@pytest.fixture(scope="module")
def numbers(folder: Path) -> overview.Overview:
    return gathered(folder)


# Numbers


def test_numbers_are_those_of_another_engine(folder: Path, numbers: overview.Overview) -> None:
    documents = f"read_parquet('{folder}/documents.parquet')"
    findings = f"read_parquet('{folder}/findings.parquet')"
    summary = json.loads((folder / "summary.json").read_text())

    def ask(query: str) -> list[tuple[Any, ...]]:
        return duckdb.connect().execute(query).fetchall()

    assert numbers.texts == summary["records"] == 1540
    assert numbers.scanned == summary["scanned"]
    assert round(numbers.distinct) == summary["distinct_texts"]
    assert round(numbers.clustered) == summary["clusters"]
    assert numbers.flagged == summary["flagged_records"]
    assert numbers.findings == summary["findings"]
    assert numbers.suppressed.total() == summary["suppressed_findings"] > 0
    by_kind = dict(zip(results.KIND_IDS, numbers.by_kind.tolist(), strict=True))
    assert {k: n for k, n in by_kind.items() if n} == summary["kinds"]
    by_text = ask(
        f"select kind, count(distinct number) from {findings} where suppressed is null group by 1"
    )
    texts = dict(zip(results.KIND_IDS, numbers.texts_by_kind.tolist(), strict=True))
    assert {k: n for k, n in texts.items() if n} == dict(by_text)
    wanted = ask(
        f"select advertiser, count(*) filter (status = 'scanned') from {documents} "
        "where advertiser <> '' group by advertiser"
    )
    assert {n: int(s[0]) for n, s in numbers.advertisers.items()} == dict(wanted)
    wanted = ask(
        f"select strftime(date::date, '%Y-%m'), count(*) filter (status = 'scanned') "
        f"from {documents} where date like '2026-%' group by all"
    )
    assert {n: int(s[0]) for n, s in numbers.months.items()} == dict(wanted)
    i, j = results.KIND_IDS.index("urgency"), results.KIND_IDS.index("risk_free")
    both = ask(
        f"select count(*) from (select number from {findings} where suppressed is null group by "
        "number having bool_or(kind = 'urgency') and bool_or(kind = 'risk_free'))"
    )
    assert numbers.together[i, j] == numbers.together[j, i] == both[0][0] > 0


def test_who_sells_hardest_ranks_first(numbers: overview.Overview) -> None:
    names = [n for n, *_ in overview.ranked(numbers.advertisers, 12, base=2.0) if n != EVIL]
    assert names[0] in ("Northgate Stem Cell Centre", "SlimNow Medical", "Vital Drip Lounge")
    assert names[-1] in ("Oakfield Dermatology", "City Eye Surgeons", "Metabolic Health Partners")
    few = results.Groups()
    sums = np.zeros((2, results.Groups.WIDTH), np.int64)
    sums[:, :3] = [[1, 1, 4], [500, 450, 1500]]
    few.add(["one text", "many"], sums)
    assert [n for n, *_ in overview.ranked(few, 5, base=1.0)] == ["many", "one text"]


FORMS = ("r.parquet", "r.jsonl", "r.csv", "d.parquet", "d.jsonl")


@pytest.fixture(scope="module")
def parts_of_it(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Give the parts that the scan's workers made."""
    plan = Plan((str(folder.parent / "ads.jsonl"),), model="none", allow=ACT_NOW)
    base = tmp_path_factory.mktemp("parts")
    out: list[Path] = []
    first = 0
    for items in parts.cut(readers.read(plan.inputs, readers.Ask())):
        out.append(base / f"{len(out)}.arrow")
        parts.write(parts.scan(items, first, plan.checker()), out[-1])
        first += len(items)
    return out


@pytest.mark.parametrize("name", FORMS)
def test_every_format_gives_the_same_findings(
    name: str, parts_of_it: list[Path], numbers: overview.Overview, tmp_path: Path
) -> None:
    rows = "documents" if name[0] == "d" else "findings"
    writers.finish(parts_of_it, tmp_path / name, rows, {"versions": {}, "plan": {}}, None)
    other = gathered(tmp_path / name)
    assert other.findings == numbers.findings
    assert other.flagged == numbers.flagged
    assert other.by_kind.tolist() == numbers.by_kind.tolist()
    assert other.phrases == numbers.phrases
    assert other.source.complete == (name[0] == "d")
    first = [(d["id"], d["findings"][i]["text"]) for d, i in numbers.examples]
    assert [(d["id"], d["findings"][i]["text"]) for d, i in other.examples] == first
    assert len(report.render(other, name)) < 1_000_000


def test_small_batches_add_up_to_the_same(
    folder: Path, numbers: overview.Overview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "BATCH", 97)
    other = gathered(folder)
    assert other.by_kind.tolist() == numbers.by_kind.tolist()
    assert other.clusters == numbers.clusters
    assert report.render(other, "x") == report.render(numbers, "x")


def test_baseline_tells_new_from_known(tmp_path: Path) -> None:
    ads = tmp_path / "a.jsonl"
    ads.write_text(json.dumps({"id": "a", "text": "Act now! Only 3 spots left."}))
    scan(Plan((str(ads),), model="none"), tmp_path / "one", workers=1)
    ads.write_text(json.dumps({"id": "a", "text": "Act now! There are no side effects at all."}))
    scan(Plan((str(ads),), model="none"), tmp_path / "two", workers=1, baseline=tmp_path / "one")
    o = gathered(tmp_path / "two")
    assert (o.baseline, o.findings, o.known) == (True, 2, 1)
    page = report.render(o, "x")
    assert 'data-known="new"' in page
    assert 'data-known="known"' in page


def test_many_groups_keep_the_largest() -> None:
    groups = results.Groups(most=100)
    for n in range(1000):
        sums = np.zeros((1, results.Groups.WIDTH), np.int64)
        sums[0, 0] = 50 if n % 25 == 0 else 1
        groups.add([f"g{n}"], sums)
    assert len(groups) <= 200
    assert {f"g{n}" for n in range(0, 1000, 25)} <= {n for n, _ in groups.items()}
    assert groups.dropped == 1000 - len(groups)


WRONG: dict[str, tuple[str, bytes | None, str]] = {
    "nothing there": ("no", None, "does not exist"),
    "another folder": ("", None, "holds no documents.parquet"),
    "another file": ("a.docx", b"x", "read are a scan's folder"),
    "torn Parquet": ("a.parquet", b"PAR1xx", "cannot be read as Parquet"),
    "other CSV": ("a.csv", b"id,text\n1,Hi\n", "no column kind, number"),
    "documents as CSV": ("a.csv", b"number,finding_count\n1,2\n", "holds no phrases"),
    "other JSON": ("a.jsonl", b'{"id": 1}\n', "line 1: not a row"),
}


@pytest.mark.parametrize(("name", "content", "says"), WRONG.values(), ids=WRONG)
def test_what_is_no_result_is_refused(
    name: str, content: bytes | None, says: str, tmp_path: Path
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=re.escape(says)):
        gathered(tmp_path / name)


@pytest.mark.parametrize(
    ("date", "wanted"),
    [
        ("2026-02-03", "2026-02"),
        ("2026/2/3 10:00", "2026-02"),
        ("20260203", "2026-02"),
        ("Tue, 03 Feb 2026 10:00:00 +0000", "2026-02"),
        ("1770112800", "2026-02"),
        ("1770112800000", "2026-02"),
        ("2026-13-01", ""),
        ("03/02/2026", ""),
        ("soon", ""),
        ("", ""),
    ],
)
def test_months_are_read_or_left_out(date: str, wanted: str) -> None:
    assert results.month(date) == wanted


# The page


@pytest.fixture(scope="module")
def page_file(numbers: overview.Overview, tmp_path_factory: Any) -> Path:
    path: Path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report.render(numbers, f"Ads {EVIL}"), "utf-8")
    return path


class Opened(Tab):
    """A report, which holds all that it shows."""

    def close(self) -> None:
        super().close()
        assert len(self.asked) == 1


def shown(page: Page) -> int:
    return page.locator("#list > li:visible").count()


@needs_chromium
def test_filters_show_what_is_asked_for(browser: Browser, page_file: Path) -> None:
    tab = Opened(browser, page_file.as_uri())
    page = tab.page
    everything = shown(page)
    assert everything > 60
    expect(page.locator("#count")).to_have_text(f"All {everything} examples are shown.")
    page.get_by_label("Pressure sales").uncheck()
    left = shown(page)
    assert 0 < left < everything
    assert page.locator("#list > li.press:visible").count() == 0
    expect(page.locator("#count")).to_have_text(f"{left} of {everything} examples are shown.")
    page.locator("select[name=kind]").select_option("risk_free")
    assert shown(page) == page.locator("#list > li[data-kind=risk_free]").count() > 0
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#count")).to_have_text(f"All {everything} examples are shown.")
    page.get_by_label("Words").fill("MIRACLE people")
    assert 0 < shown(page) < everything
    page.get_by_label("Words").fill("no such word anywhere")
    expect(page.locator("#count")).to_have_text(f"0 of {everything} examples are shown.")
    tab.close()


@needs_chromium
def test_page_is_used_by_keyboard(browser: Browser, page_file: Path) -> None:
    tab = Opened(browser, page_file.as_uri())
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.className") == "skip"
    tab.page.keyboard.press("Enter")
    assert tab.page.evaluate("document.activeElement.id") == "main"
    first = tab.page.locator("details summary").first
    first.focus()
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("table.grid").first).to_be_visible()
    box = tab.page.get_by_label("Missing data")
    box.focus()
    tab.page.keyboard.press("Space")
    assert tab.page.locator("#list > li.data:visible").count() == 0
    tab.close()


@needs_chromium
def test_texts_stay_texts(browser: Browser, page_file: Path) -> None:
    tab = Opened(browser, page_file.as_uri())
    assert tab.page.locator("script").count() == 1
    assert tab.page.locator("img").count() == 0
    assert "<img src=x onerror=alert(2)>" in tab.page.locator("#who").inner_text()
    assert "$x^2$" in tab.page.locator("#title").inner_text()
    tab.close()


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_page_is_accessible_and_fits(
    browser: Browser, page_file: Path, scheme: Any, width: int
) -> None:
    tab = Opened(
        browser, page_file.as_uri(), color_scheme=scheme, viewport={"width": width, "height": 900},
        bypass_csp=True,  # for axe itself, which is put into the page
    )  # fmt: skip
    for summary in tab.page.locator("details summary").all():
        summary.click()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(tab.page)
    assert found.violations_count == 0, found.generate_report()
    if shots := os.environ.get("SCREENSHOTS"):
        tab.page.screenshot(path=f"{shots}/report-{scheme}-{width}.png", full_page=True)
    tab.close()


@needs_chromium
def test_all_but_the_filters_is_there_without_scripts(browser: Browser, page_file: Path) -> None:
    tab = Opened(browser, page_file.as_uri(), java_script_enabled=False)
    assert tab.page.locator("#filters").is_hidden()
    assert tab.page.locator("#list > li").first.is_visible()
    assert tab.page.locator("figure svg").first.is_visible()
    tab.close()


@needs_chromium
def test_paper_shows_the_numbers_and_no_filters(browser: Browser, page_file: Path) -> None:
    tab = Opened(browser, page_file.as_uri())
    tab.page.emulate_media(media="print")
    assert tab.page.locator("#filters").is_hidden()
    assert tab.page.locator("#list > li").first.is_visible()
    assert len(tab.page.pdf(format="A4")) > 50_000
    tab.close()


def test_plots_need_no_style_attribute(page_file: Path) -> None:
    text = page_file.read_text("utf-8")
    assert text.count("<svg") > 30
    assert not re.search(r"<[^>]* style=", text.partition("</style>")[2])
    ids = Counter(re.findall(r'<[^>]* id="([^"]+)"', text.partition("</style>")[2]))
    assert not [i for i, n in ids.items() if n > 1]
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)


# The sample and its verdicts


def sampled(folder: Path, path: Path, size: int = 120, seed: int = 1) -> list[dict[str, str]]:
    _, drawn = overview.gather(results.open_results(folder), seed, size, review.rows_of)
    assert drawn is not None
    review.write_sample(drawn, size, path)
    return read(path)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def save(path: Path, rows: list[dict[str, str]], **form: Any) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]), **form)
        out.writeheader()
        out.writerows(rows)


def test_sample_is_the_same_for_a_seed_and_balanced(folder: Path, tmp_path: Path) -> None:
    rows = sampled(folder, tmp_path / "a.csv")
    drawn = [r for r in rows if r["role"] == "sampled"]
    assert len(drawn) == 120
    per_stratum = Counter(r["stratum"] for r in drawn)
    assert len(per_stratum) > 10
    assert max(per_stratum.values()) - min(per_stratum.values()) <= 2
    assert all(r["verdict"] == "" for r in rows)
    assert all(r["phrase"] in r["sentence"] and r["phrase"] in r["context"] for r in rows)
    first = (tmp_path / "a.csv").read_bytes()
    sampled(folder, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes() == first
    sampled(folder, tmp_path / "c.csv", seed=2)
    assert (tmp_path / "c.csv").read_bytes() != first
    for r in rows:
        assert not any(v[:1] in ("=", "+", "-", "@", "\t", "\r") for v in r.values())


def test_stratum_sizes_count_distinct_findings(folder: Path, tmp_path: Path) -> None:
    rows = sampled(folder, tmp_path / "a.csv")
    unit = 'count(distinct (text_hash, start, "end"))'
    stratum = "kind || case source when 'model' then '/model' else '/rule' end"
    query = f"select {stratum}, {unit} from read_parquet('{folder}/findings.parquet')"
    wanted = duckdb.connect().execute(f"{query} where suppressed is null group by 1").fetchall()
    sizes = {r["stratum"]: int(r["stratum_size"]) for r in rows if r["role"] == "sampled"}
    assert sizes == dict(wanted)


def test_verdicts_give_weighted_precision(folder: Path, tmp_path: Path) -> None:
    rows = sampled(folder, tmp_path / "a.csv")
    for r in rows:
        r["verdict"] = "yes" if r["kind"] != "urgency" else "no"
    save(tmp_path / "a.csv", rows)
    reviewed = review.read_review(tmp_path / "a.csv")
    by_kind = {e.name: e for e in reviewed.kinds}
    assert (by_kind["urgency"].precision, by_kind["risk_free"].precision) == (0, 1)
    sizes = {r["stratum"]: int(r["stratum_size"]) for r in rows if r["role"] == "sampled"}
    urgent = sum(n for s, n in sizes.items() if s.startswith("urgency/"))
    assert reviewed.overall is not None
    assert reviewed.overall.precision == pytest.approx(1 - urgent / sum(sizes.values()))
    low, high = reviewed.overall.interval
    assert low < reviewed.overall.precision < high
    assert reviewed.overall.effective <= 120
    kind = by_kind["risk_free"]
    if sum(s.startswith("risk_free/") for s in sizes) == 1:  # one stratum: the plain interval
        n = kind.judged
        assert kind.interval[0] == pytest.approx(1 / (1 + 1.96**2 / n))


def test_verdict_may_be_another_kind(folder: Path, tmp_path: Path) -> None:
    rows = sampled(folder, tmp_path / "a.csv")
    for r in rows:
        r["verdict"] = {
            "urgency": "scarcity",
            "risk_free": "Miracle",
            "miracle": "bare_efficacy",
        }.get(r["kind"], "unsure")
    save(tmp_path / "a.csv", rows)
    reviewed = review.read_review(tmp_path / "a.csv")
    kinds = {e.name: e.precision for e in reviewed.kinds}
    assert kinds == {"urgency": 0, "risk_free": 0, "miracle": 0}
    categories = {e.name: e.precision for e in reviewed.categories}
    assert categories["pressure_sales"] == 1
    assert 0 < categories["guaranteed_cure"] < 1
    assert reviewed.overall is not None
    assert reviewed.overall.precision == 1
    assert reviewed.overall.missing > 0
    assert reviewed.unsure > 0


def test_wrong_verdicts_are_named_by_row_and_column(folder: Path, tmp_path: Path) -> None:
    rows = sampled(folder, tmp_path / "a.csv")
    rows[0]["verdict"], rows[7]["verdict"], rows[8]["verdict"] = "yse", "cure_claim+hype", "YES "
    save(tmp_path / "a.csv", rows)
    with pytest.raises(InputError) as e:
        review.read_review(tmp_path / "a.csv")
    assert "column verdict" in str(e.value)
    assert "row 2: 'yse'; row 9: 'cure_claim+hype'" in str(e.value)
    assert "row 10" not in str(e.value)
    rows[0]["verdict"] = rows[7]["verdict"] = ""
    rows[3]["start"] = "1e3"
    save(tmp_path / "a.csv", rows)
    with pytest.raises(InputError, match="row 5, column start: '1e3' is no number"):
        review.read_review(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no column verdict"):
        review.read_review(tmp_path / "b.csv")


def test_file_from_a_spreadsheet_with_semicolons_is_read(folder: Path, tmp_path: Path) -> None:
    rows = sampled(folder, tmp_path / "a.csv")
    for r in rows:
        r["verdict"] = "Y"
    save(tmp_path / "a.csv", rows, delimiter=";", lineterminator="\r\n")
    reviewed = review.read_review(tmp_path / "a.csv")
    assert reviewed.overall is not None
    assert reviewed.overall.precision == 1


def test_judged_sentences_become_training_rows(folder: Path, tmp_path: Path) -> None:
    rows = sampled(folder, tmp_path / "a.csv")
    sentences: dict[tuple[str, str], list[dict[str, str]]] = {}
    for r in rows:
        r["verdict"] = "no" if r["kind"] == "urgency" else "yes"
        sentences.setdefault((r["document"], r["sentence_start"]), []).append(r)
    beside = next(rs for rs in sentences.values() if len(rs) > 1)
    for r in beside:
        r["verdict"] = ""
    beside[0]["verdict"] = "yes"  # the sentence waits for its other rows
    unsure = next(rs for rs in sentences.values() if len(rs) == 1)
    unsure[0]["verdict"] = "unsure"
    save(tmp_path / "a.csv", rows)
    reviewed = review.read_review(tmp_path / "a.csv")
    text, count, left = review.training_rows(tmp_path / "a.csv", reviewed)
    (tmp_path / "t.txt").write_text(text, "utf-8")
    documents = corpus.read([tmp_path / "t.txt"])
    assert sum(len(d.sentences) for d in documents) == count
    assert count + left == len(sentences)
    assert left >= 1
    assert sum(s.unsure for d in documents for s in d.sentences) == 1
    kinds = {k for d in documents for s in d.sentences if not s.unsure for k in s.kinds}
    assert "urgency" not in kinds
    assert len(kinds) > 8
    flags = {s.text[f.start : f.end] for d in documents for s in d.sentences for f in s.flags}
    assert (
        flags
        <= {r["phrase"].strip() for r in rows}
        | {  # or what two of them cover together
            s.text[f.start : f.end]
            for d in documents
            for s in d.sentences
            for f in s.flags
            if f.kinds[1:]
        }
    )
    assert {d.meta["form"] for d in documents} == {"reviewed advertisement"}
    assert "kneewell.example" in {d.meta["site"] for d in documents}


def test_formulas_come_back_as_they_were(tmp_path: Path) -> None:
    ads = tmp_path / "a.jsonl"
    text = "=2+3 means only 3 spots left this week"
    ads.write_text(json.dumps({"id": "@x", "text": text}))
    scan(Plan((str(ads),), model="none"), tmp_path / "r", workers=1)
    rows = sampled(tmp_path / "r", tmp_path / "a.csv")
    assert rows[0]["sentence"] == f"'{text}"
    rows[0]["verdict"] = "yes"
    save(tmp_path / "a.csv", rows)
    reviewed = review.read_review(tmp_path / "a.csv")
    training, count, _ = review.training_rows(tmp_path / "a.csv", reviewed)
    assert count == 1
    assert "\n=2+3 means [[only 3 spots left" in training


def test_one_phrase_twice_in_a_sentence_stays_two(tmp_path: Path) -> None:
    ads = tmp_path / "a.jsonl"
    ads.write_text(json.dumps({"id": "a", "text": "Act now, and again: act now, act now"}))
    scan(Plan((str(ads),), model="none"), tmp_path / "r", workers=1)
    rows = sampled(tmp_path / "r", tmp_path / "a.csv")
    assert len(rows) >= 2
    for r in rows:
        r["verdict"] = "yes"
    save(tmp_path / "a.csv", rows)
    text, count, _ = review.training_rows(
        tmp_path / "a.csv", review.read_review(tmp_path / "a.csv")
    )
    assert count == 1
    assert text.count("|urgency]]") == len(rows)


def test_command_line(folder: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hypecheck.cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    done = run("report", str(folder), "--out", "r.html", "--sample", "s.csv", "--sample-size", "60")
    assert (done.returncode, done.stderr) == (0, "")
    assert "60 findings of" in done.stdout
    assert (tmp_path / "r.html").stat().st_size < 1_000_000
    rows = read(tmp_path / "s.csv")
    for r in rows:
        r["verdict"] = "yes"
    save(tmp_path / "s.csv", rows)
    done = run("review", "s.csv", "--training", "t.txt", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["overall"]["precision"] == 1
    assert corpus.read([tmp_path / "t.txt"])
    rows[0]["verdict"] = "perhaps"
    save(tmp_path / "s.csv", rows)
    done = run("review", "s.csv")
    assert done.returncode == 3
    assert "row 2: 'perhaps'" in done.stderr
    assert run("report", "nowhere").returncode == 3
    assert run("report", str(folder), "--out", "no/r.html").returncode == 3


def test_report_on_nothing_is_a_page(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": "a", "text": "We open at nine."}))
    scan(Plan((str(tmp_path / "a.jsonl"),), model="none"), tmp_path / "r", workers=1)
    page = report.render(gathered(tmp_path / "r"), "r")
    assert "Nothing was flagged" in page


@needs_chromium
def test_report_on_ten_thousand_opens_quickly(
    folder: Path, browser: Browser, tmp_path: Path
) -> None:
    table = pq.read_table(folder / "documents.parquet")
    pq.write_table(pa.concat_tables([table] * 7), tmp_path / "many.parquet")
    many = gathered(tmp_path / "many.parquet")
    assert many.texts == 10_780
    path = tmp_path / "r.html"
    path.write_text(report.render(many, "many"), "utf-8")
    assert path.stat().st_size < 1_000_000  # the size is what a browser's time hangs on
    start = time.monotonic()
    tab = Opened(browser, path.as_uri())
    expect(tab.page.locator("#count")).to_have_text(re.compile("examples are shown"))
    print(f"opened in {time.monotonic() - start:.2f} s")  # noqa: T201 (a figure, not a verdict)
    tab.close()
