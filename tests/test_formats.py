"""Output formats, on reports built by hand: no pipeline is needed to check what is written."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser, LexborNode

from hypecheck.formats import FORMATS, Options
from hypecheck.formats.json import report_dict
from hypecheck.types import (
    CATEGORY_OF,
    ChecklistItem,
    Cue,
    Dismissed,
    Finding,
    Reference,
    Report,
    Sentence,
    Versions,
)

AD = "Our miracle injection cures arthritis.\nGuaranteed 95% success, book now! No cure for MS."
GUIDE = Reference(
    "FTC", "FTC guidance", "II.B", 2022, "Needs evidence.", "https://ftc.example/a?b&c", "us", "x"
)


def finding(
    text: str, phrase: str, kind: str, sentence: int = 0, rule: str | None = "k/r", **more: Any
) -> Finding:
    start = text.index(phrase)
    values: dict[str, Any] = {
        "severity": "high",
        "score": 0.9,
        "source": "rule" if rule else "model",
        "why": f"Why {kind}.",
        "advice": f"Ask about {kind}.",
        "references": (GUIDE,),
    }
    return Finding(
        start=start,
        end=start + len(phrase),
        text=phrase,
        sentence=sentence,
        category=CATEGORY_OF[kind],
        kind=kind,
        rule=rule,
        **(values | more),
    )


def report(text: str, *found: Finding, **more: Any) -> Report:
    values: dict[str, Any] = {
        "id": "ad-1",
        "sentences": (Sentence(0, len(text), 0),),
        "dismissed": (),
        "scores": {"guaranteed_cure": 0.9},
        "checklist": (),
        "versions": Versions("1.0", "abc", None),
    }
    ordered = tuple(sorted(found, key=lambda f: (f.start, f.end, f.kind)))
    return Report(text=text, findings=ordered, **(values | more))


def sample() -> Report:
    cut = AD.index("\n"), AD.index(" No cure")
    return report(
        AD,
        finding(AD, "miracle injection", "miracle"),
        finding(AD, "cures arthritis", "cure_claim", rule=None),
        finding(AD, "Guaranteed 95% success", "guaranteed_outcome", 1),
        finding(AD, "95% success, book now", "bare_statistic", 1, severity="medium"),
        sentences=(
            Sentence(0, cut[0], 0),
            Sentence(cut[0] + 1, cut[1], 1),
            Sentence(cut[1] + 1, len(AD), 1),
        ),
        dismissed=(
            Dismissed(
                start=AD.index("cure for"),
                end=AD.index(" MS"),
                text="cure for",
                sentence=2,
                category="guaranteed_cure",
                kind="cure_claim",
                source="rule",
                rule="k/r",
                guard="negated",
                cue=Cue(AD.index("No"), AD.index("No") + 2, "No"),
                reason="The sentence denies it.",
            ),
        ),
        checklist=(
            ChecklistItem("price", "Price", "not_stated", (), "What does it cost?"),
            ChecklistItem("what", "Treatment", "stated", (Cue(4, 21, AD[4:21]),), "What is it?"),
            ChecklistItem("trial", "Trial", "not_applicable", (), "Which trial?"),
        ),
        notes=("Looks short.",),
    )


def written(name: str, *reports: Report, **options: Any) -> str:
    pairs = ((f"in-{i}", r) for i, r in enumerate(reports, start=1))
    return "".join(FORMATS[name].render(pairs, Options(**options)))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_writes_any_number_of_reports(name: str) -> None:
    assert FORMATS[name].name == name
    assert FORMATS[name].description
    for n in range(4):
        out = written(name, *[sample()] * n)
        assert out.endswith("\n") or (n == 0 and not out)
        out.encode()


# JSON


def test_dict_has_the_names_of_the_types() -> None:
    out = report_dict(sample())
    assert out["schema_version"] == "1"
    assert out["offset_unit"] == "codepoint"
    assert "text" not in out
    assert out["sentences"][0] == [0, 38]
    first = out["findings"][0]
    assert list(first) == list(Finding.__dataclass_fields__)
    assert AD[first["start"] : first["end"]] == first["text"] == "miracle injection"
    assert first["references"][0]["url"] == GUIDE.url
    assert out["dismissed"][0]["cue"] == {"start": 73, "end": 75, "text": "No"}
    assert out["checklist"][1]["evidence"][0]["text"] == "miracle injection"
    assert out["versions"] == {"package": "1.0", "ruleset": "abc", "model": None}
    assert out["notes"] == ["Looks short."]
    assert json.loads(json.dumps(out)) == out  # lists, not tuples


def test_text_is_included_when_asked() -> None:
    assert report_dict(sample(), include_text=True)["text"] == AD
    assert json.loads(written("json", sample(), include_text=True))["text"] == AD


def test_json_is_one_object_for_one_input_and_a_list_for_several() -> None:
    assert json.loads(written("json")) == []
    assert json.loads(written("json", sample()))["name"] == "in-1"
    several = json.loads(written("json", sample(), sample(), sample()))
    assert [r["name"] for r in several] == ["in-1", "in-2", "in-3"]
    assert several[0] == {"name": "in-1", **report_dict(sample())}


def test_jsonl_streams_a_line_a_report() -> None:
    asked: list[int] = []

    def source() -> Any:
        for i in range(3):
            asked.append(i)
            yield f"in-{i}", sample()

    lines = FORMATS["jsonl"].render(source(), Options())
    first = next(lines)
    assert asked == [0]
    assert first.count("\n") == 1
    assert json.loads(first)["name"] == "in-0"


@given(st.text(st.characters()))
def test_json_survives_any_text(text: str) -> None:
    out = written("jsonl", report(text), include_text=True)
    out.encode()
    assert out.count("\n") == 1
    assert json.loads(out)["text"] == text


# HTML


def one(tree: LexborHTMLParser, selector: str) -> LexborNode:
    """Give the one element that ``selector`` finds."""
    (node,) = tree.css(selector)
    return node


def shown(page: str, number: int = 1) -> str:
    """Give the text as a browser has it under the heading "The text"."""
    return one(LexborHTMLParser(page), f"#r{number}-text").text()


PIECES = st.sampled_from(
    [
        "<b>",
        "</span>",
        "&amp;",
        "&#0;",
        "\r\n",
        "\n",
        "'\"",
        "<!--",
        "</style>",
        "]]>",
        "\x85",
        "é",
        "🔥",
        " ",
        "a",
    ]
)


@settings(max_examples=60)
@given(st.data())
def test_text_of_the_page_is_the_text_given(data: st.DataObject) -> None:
    text = "".join(
        data.draw(st.lists(st.one_of(PIECES, st.text(st.characters(codec="utf-8"), max_size=4))))
    ).replace("\0", "")
    spans = data.draw(
        st.lists(
            st.tuples(
                st.integers(0, len(text)),
                st.integers(0, len(text)),
                st.sampled_from(sorted(CATEGORY_OF)),
            ),
            max_size=6,
        )
    )
    found = [span(text, a, b, kind) for a, b, kind in spans if a < b]
    page = written("html", report(text, *found))
    assert shown(page) == text
    tree = LexborHTMLParser(page)
    ids = [n.id for n in tree.css("[id]")]
    assert len(ids) == len(set(ids))
    for i, f in enumerate(report(text, *found).findings, start=1):
        marks = [m for m in tree.css("mark") if m.id == f"r1-m{i}"]
        assert len(marks) == 1
        assert text.startswith(marks[0].text(), f.start)
        assert one(tree, f"#r1-f{i} bdi").text() == f.text
    targets = [a.attributes["href"] for a in tree.css("a")]
    assert {t[1:] for t in targets if t and t[0] == "#"} <= set(ids)


def span(text: str, start: int, end: int, kind: str) -> Finding:
    category = CATEGORY_OF[kind]
    return Finding(
        start, end, text[start:end], 0, category, kind, "low", 0.5, "rule", "k/r", "W", "A", ()
    )


def test_nested_and_crossing_marks_cover_their_phrases() -> None:
    tree = LexborHTMLParser(written("html", sample()))
    inside = [m.text() for m in tree.css("#r1-text mark.data")]
    assert "".join(inside) == "95% success, book now"
    assert tree.css("#r1-text mark.cure mark.data")[0].text() == "95% success"
    numbers = [a.attributes["data-n"] for a in tree.css("#r1-text a[data-n]")]
    assert sorted(numbers, key=str) == ["1", "2", "3", "4"]


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)></style></title>"


def test_nothing_in_a_report_becomes_markup() -> None:
    hostile = report(
        HOSTILE,
        finding(
            HOSTILE,
            "<script>",
            "miracle",
            rule=HOSTILE,
            why=HOSTILE,
            advice=HOSTILE,
            references=(
                Reference("x", HOSTILE, HOSTILE, 2020, HOSTILE, "javascript:alert(1)", HOSTILE, ""),
                Reference("y", "t", "c", 2020, "p", 'https://x/" onclick="alert(1)', "us", ""),
            ),
        ),
        checklist=(ChecklistItem("a", HOSTILE, "stated", (Cue(0, 1, HOSTILE),), HOSTILE),),
        dismissed=(
            Dismissed(
                0,
                1,
                HOSTILE,
                0,
                "missing_data",
                "testimonial",
                "rule",
                HOSTILE,
                HOSTILE,
                None,
                HOSTILE,
            ),
        ),
        notes=(HOSTILE,),
        versions=Versions(HOSTILE, HOSTILE, HOSTILE),
    )
    pairs = [(HOSTILE, hostile), (HOSTILE, hostile)]
    titles = {"miracle": HOSTILE, "guaranteed_cure": HOSTILE}
    page = "".join(FORMATS["html"].render(pairs, Options(explain=True, titles=titles)))
    tree = LexborHTMLParser(page)
    assert not tree.css("script, img, iframe, link, object, form, [style]")
    assert len(tree.css("style")) == 1
    for node in tree.css("*"):
        for name, value in node.attributes.items():
            assert not name.startswith("on")
            if name in ("href", "src"):
                assert value is not None
                assert value.startswith(("#", "https://"))
    assert shown(page) == HOSTILE


def test_page_needs_no_network_and_allows_only_its_own_style() -> None:
    import base64
    import hashlib

    page = written("html", sample())
    style = re.search(r"<style>(.*?)</style>", page, re.S)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert style is not None
    assert policy is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy[1].startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_page_explains_each_kind_once_and_says_what_it_is_not() -> None:
    twice = "A miracle. A miracle pill."
    page = written(
        "html",
        report(
            twice, finding(twice, "miracle", "miracle"), finding(twice, "miracle pill", "miracle")
        ),
        titles={"miracle": "Calls it a miracle"},
    )
    tree = LexborHTMLParser(page)
    assert [n.text() for n in tree.css("h4")] == ["Calls it a miracle"]
    assert len(tree.css(".hits li")) == 2
    body = one(tree, "main").text()
    assert "Why miracle." in body
    assert "Ask the clinic about miracle." in body
    assert tree.css(".refs a")[0].attributes["href"] == GUIDE.url
    assert page.count("Relevant guidance, not legal or medical advice.") == 2


def test_page_of_several_texts_has_an_overview() -> None:
    tree = LexborHTMLParser(written("html", sample(), report("Fine.")))
    assert [a.attributes["href"] for a in tree.css("#all a")] == ["#r1", "#r2"]
    assert "Nothing flagged." in one(tree, "#all").text()
    assert not LexborHTMLParser(written("html", sample())).css("#all")


def test_dismissed_are_shown_when_asked() -> None:
    for name in ("html", "text"):
        assert "The sentence denies it." in written(name, sample(), explain=True)
        assert "The sentence denies it." not in written(name, sample())


# Text


def test_text_shows_flagged_sentences_in_order_with_marks() -> None:
    out = written("text", sample())
    assert "┃ Our »miracle injection« »cures arthritis«." in out
    assert "┃ »Guaranteed 95% success, book now«!" in out  # crossing phrases share a pair
    assert "No cure for MS" not in out
    places = [out.index(x) for x in ("Miracle ·", "Cure claim ·", "Guaranteed outcome ·")]
    assert places == sorted(places)
    assert "Bare statistic · missing data · medium · score 0.90" in out
    assert "By   rule k/r" in out
    assert "By   model" in out
    assert "Why  Why miracle." in out
    assert "Ask  about miracle." in out
    assert "See  FTC guidance, II.B (2022)\n         https://ftc.example/a?b&c" in out
    assert "Note: Looks short." in out


def test_text_shows_the_checklist_and_sums_up() -> None:
    out = written("text", sample())
    assert "✗ Price · not stated\n    Ask  What does it cost?" in out
    assert "✓ Treatment · stated\n    “miracle injection”" in out
    assert "– Trial · does not apply" in out
    assert "4 phrases flagged in 2 of 3 sentences: 3 guaranteed cure, 1 missing data." in out
    assert "Relevant guidance, not legal or medical advice." in out


def test_clean_text_is_said_to_be_clean() -> None:
    assert "Nothing flagged." in written("text", report("Call us."))


@pytest.mark.parametrize("width", [40, 80])
def test_lines_fit_and_words_stay_whole(width: int) -> None:
    text = "Extraordinary regenerative " * 12 + "miracle 🔥 " + "improvements guaranteed " * 12
    out = written("text", report(text, finding(text, "miracle", "miracle")), width=width)
    words = set(text.split()) | {"»miracle«", "…"}
    for line in out.split("\n"):
        assert line == line.rstrip()
        assert len(line) <= width or "https://" in line
        if line.startswith("┃ "):
            assert set(line[2:].split()) <= words


def test_colour_replaces_the_marks_and_stays_away_when_unwanted() -> None:
    plain, coloured = written("text", sample()), written("text", sample(), colour=True)
    assert "\x1b" not in plain
    assert "»" not in coloured
    assert "\x1b[1;4;31mmiracle injection\x1b[0m" in coloured


def test_text_of_the_user_is_no_markup_and_controls_nothing() -> None:
    text = "[bold red]Miracle[/bold red] :fire: \x1b]0;x\x07 \u202eabc\x9b31m\ud800 [link=x]y"
    out = written("text", report(text, finding(text, "Miracle", "miracle")), colour=False)
    assert "[bold red]»Miracle«[/bold red] :fire:" in out
    assert "␛]0;x␇" in out
    assert "<U+202E>" in out
    assert "[link=x]y" in out.replace("\n┃ ", " ")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", out)


@given(st.text(st.characters()), st.booleans())
def test_text_is_total_and_safe(text: str, colour: bool) -> None:
    found = [span(text, 0, max(1, len(text) // 2), "miracle")] if text else []
    out = written("text", report(text, *found, id=text), colour=colour)
    out.encode()
    rest = re.sub(r"\x1b\[[\d;]*m", "", out)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", rest)


def test_long_sentence_is_shown_around_the_phrase() -> None:
    text = "word " * 200 + "miracle " + "word " * 200
    out = written("text", report(text, finding(text, "miracle", "miracle")))
    sentence = "".join(line for line in out.split("\n") if line.startswith("┃"))
    assert "»miracle«" in sentence
    assert len(sentence) < 700
    assert sentence.startswith("┃ … ")
