"""What holds for any text whatever: spans, totality, determinism, one core for every door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import hypecheck
from hypecheck import Checker, Report
from hypecheck.formats import FORMATS, Options
from hypecheck.formats.json import report_dict
from hypecheck.service.offsets import Utf8, Utf16, convert
from hypecheck.types import CATEGORIES

BROAD = Checker("broad", model=None)
DEFAULT = Checker("broad")

PHRASES = st.sampled_from(
    """Act now!|Our clinic guarantees a cure.|We cure arthritis|95% success rate|no side effects
    Only 3 spots left|It does not cure gout.|Be wary of clinics that say|The advert said:|it may
    Does it cure pain?|No.|(Smith 2019)|[1]|g u a r a n t e e d results|gu4ranteed|c*re|сure
    🔥|é|\u200b|\u202e|שלום|…|“|”|½|Dr.|9 a.m.|$1,500.00|https://a.b/c|•|\ud800|\x00|before-after
    """.replace("\n", "|").split("|")
)
SPACES = st.sampled_from([" ", " ", " ", "\n", "\n\n", "\t", "\r\n", "", "\u00a0", "\n- "])
CHARACTERS = st.text(st.characters(), max_size=6)  # surrogates, NUL and right-to-left included
TEXTS = st.lists(st.one_of(PHRASES, SPACES, CHARACTERS), max_size=16).map("".join)


def spans(report: Report) -> Iterator[tuple[int, int, str]]:
    """Give every span of a report with the words it claims to cover."""
    for f in report.findings:
        yield f.start, f.end, f.text
    for d in report.dismissed:
        yield d.start, d.end, d.text
        if d.cue is not None:
            yield d.cue.start, d.cue.end, d.cue.text
    for item in report.checklist:
        for e in item.evidence:
            yield e.start, e.end, e.text


def verify(text: str, report: Report) -> None:
    assert report.text == text
    for start, end, words in spans(report):
        assert 0 <= start < end <= len(text)
        assert text[start:end] == words
    for s in report.sentences:
        assert 0 <= s.start < s.end <= len(text)
    for a, b in pairwise(report.sentences):
        assert a.end <= b.start
    for items in (report.findings, report.dismissed):
        assert [(x.start, x.end, x.kind) for x in items] == sorted(
            (x.start, x.end, x.kind) for x in items
        )
        for x in items:
            s = report.sentences[x.sentence]
            assert s.start <= x.start < x.end <= s.end
    assert tuple(report.scores) == CATEGORIES
    assert all(0 <= p <= 1 for p in report.scores.values())
    assert all(0 <= f.score <= 1 for f in report.findings)


@given(TEXTS)
@example("\ud800\udc00 Act now! \udfff")
@example("\x00Act now!\x00")
@example("\u202eAct now!\u202c שלום")
@example("a\u0301\u0301 Act now!\u0301")
@example("(" * 50 + "Act now!" + ")" * 50)
@example("½½½ Act now!")
def test_spans_slice_the_text_by_rules(text: str) -> None:
    report = BROAD.check(text)
    verify(text, report)
    assert report == BROAD.check(text)


@settings(max_examples=40)
@given(TEXTS)
@example("\ud800 Act now! \x00 שלום")
def test_spans_slice_the_text_with_the_model(text: str) -> None:
    report = DEFAULT.check(text)
    verify(text, report)
    assert report == DEFAULT.check(text)


@settings(max_examples=25)
@given(st.lists(TEXTS, max_size=6))
def test_many_texts_get_what_each_gets_alone(texts: list[str]) -> None:
    pairs = [(f"t{i}", t) for i, t in enumerate(texts)]
    for checker in (BROAD, DEFAULT):
        together = list(checker.check_many(pairs))
        assert together == [checker.check(t, i) for i, t in pairs]


@given(TEXTS)
def test_emoji_in_front_moves_every_span_by_its_length(text: str) -> None:
    front = "😀 é.\n\n"
    moved = BROAD.check(front + text)
    verify(front + text, moved)


@settings(max_examples=30)
@given(TEXTS, st.sampled_from(sorted(FORMATS)))
def test_every_format_writes_every_report(text: str, name: str) -> None:
    pieces = FORMATS[name].render([("ad", BROAD.check(text))], Options(explain=True))
    "".join(pieces).encode()


# UTF-16


@given(st.text(st.characters()))
def test_utf16_offsets_count_code_units(text: str) -> None:
    table = Utf16(text)
    units = [table.unit(i) for i in range(len(text) + 1)]
    assert units == [
        len(text[:i].encode("utf-16-le", "surrogatepass")) // 2 for i in range(len(text) + 1)
    ]


@given(TEXTS)
def test_utf8_offsets_count_bytes(text: str) -> None:
    table = Utf8(text)
    assert [table.unit(i) for i in range(len(text) + 1)] == [
        len(text[:i].encode("utf-8", "surrogatepass")) for i in range(len(text) + 1)
    ]


@given(TEXTS)
@example("😀😀 Act now! 😀 It does not cure gout. 😀")
def test_utf16_spans_slice_the_text_as_javascript_would(text: str) -> None:
    report = BROAD.check(text)
    converted = convert(report_dict(report), text, "utf16")
    assert converted["offset_unit"] == "utf16"
    raw = text.encode("utf-16-le", "surrogatepass")
    for span in _dicts(converted):
        piece = raw[2 * span["start"] : 2 * span["end"]]
        assert piece.decode("utf-16-le", "surrogatepass") == span["text"]
    for (a, b), s in zip(converted["sentences"], report.sentences, strict=True):
        sentence = raw[2 * a : 2 * b].decode("utf-16-le", "surrogatepass")
        assert sentence == text[s.start : s.end]


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    """Give every object in JSON-like data that has a span."""
    if isinstance(value, dict):
        if "start" in value:
            yield value
        for v in value.values():
            yield from _dicts(v)
    elif isinstance(value, list):
        for v in value:
            yield from _dicts(v)


def test_utf16_leaves_the_given_report_alone() -> None:
    before = report_dict(BROAD.check("😀 Act now!"))
    copy = json.loads(json.dumps(before))
    convert(before, "😀 Act now!", "utf16")
    assert before == copy


@pytest.mark.parametrize("text", ["Act now!", "é Act now!", ""])
def test_without_astral_characters_the_units_agree(text: str) -> None:
    plain = report_dict(hypecheck.check(text))
    assert convert(plain, text, "utf16") == {**plain, "offset_unit": "utf16"}
