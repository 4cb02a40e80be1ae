"""Blocks and sentences of normalised text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypecheck.normalise import normalise
from hypecheck.segment import segment


def cut(text: str) -> list[str]:
    """Give the sentences of ``text`` as they stand in it."""
    n = normalise(text)
    return [text[slice(*n.span(s.start, s.end))] for s in segment(n.text)]


SENTENCES: dict[str, list[str]] = {
    "two": ["We treat knees.", "We treat hips."],
    "lower case after a stop": ["We treat knees.", "we treat hips."],
    "question and exclamation": ["Tired of pain?", "Call now!", "Really?!", "Yes!"],
    "title before a name": ["Dr. Smith and Prof. Jones see you.", "Book now."],
    "initials": ["Dr. A. B. Smith, M.D., will see you.", "So will J. Jones."],
    "degree before a name": ["Ph.D. Smith works here.", "She is new."],
    "saint": ["Ask at St. John's clinic.", "It is open."],
    "morning inside": ["Open from 9 a.m. to 5 p.m. daily.", "Come in."],
    "morning at the end": ["We open at 9 a.m.", "Prices vary."],
    "weekdays": ["Open Mon. to Fri. all day.", "Come in."],
    "such as": ["It helps, e.g. with pain, i.e. aches.", "Call."],
    "and so on": ["Creams, oils, etc.", "They all help."],
    "versus": ["PRP vs. surgery: we compare.", "Read on."],
    "country": ["The U.S. FDA cleared it.", "So did the U.K. agency."],
    "number one": ["We are clinic No. 1 in town.", "Call."],
    "a plain no": ["Does it hurt?", "No.", "It is quick."],
    "prices": ["Was $2,999.99, now $1,499.50.", "Save $1,500.49!", "Ends soon."],
    "decimal": ["Take 2.5 ml.", "Rest for 3.5 hours."],
    "percent": ["It works in 97.5%.", "No pain."],
    "phone number": ["Call 555.123.4567.", "Ask for Jo."],
    "web address": ["Visit https://www.knee.example/a.b?c=1.5&d=e.", "It is free!"],
    "bare domain": ["See knee-clinic.co.uk.", "Book there."],
    "mail address": ["Write to info@knee.example.", "We answer."],
    "ellipsis inside": ["Wait... there is more."],
    "ellipsis as one character": ["Love it…", "Really?"],
    "ellipsis at the end": ["Imagine no pain...", "Call today."],
    "many marks": ["Wow!!!", "It works!!!", "Call???"],
    "emoji between": ["Pain gone!", "🔥 Book now 🔥 today"],
    "emoji before the next": ["It works!", "✨ Book now."],
    "quotation": ["“It cured me!”", "So says Jane."],
    "quotation inside": ['He said: "It cured me!" and left.'],
    "brackets": ["(Results vary.)", "Ask us."],
    "capitals": ["BOOK NOW!", "GUARANTEED RESULTS!", "NO RISK!"],
    "shouted headline": ["FREE CONSULTATION THIS WEEK ONLY"],
}


@pytest.mark.parametrize("sentences", SENTENCES.values(), ids=SENTENCES)
def test_text_is_cut_into_sentences(sentences: list[str]) -> None:
    assert cut(" ".join(sentences)) == sentences


def test_missing_space_still_ends_a_sentence() -> None:
    assert cut("Why wait?Call today.It works.") == ["Why wait?", "Call today.", "It works."]


BLOCKS: dict[str, tuple[str, list[str]]] = {
    "headline and text": ("Heal now\nWe treat knees.", ["Heal now", "We treat knees."]),
    "capitals over lower case": ("BOOK TODAY\nlow prices", ["BOOK TODAY", "low prices"]),
    "bullets": ("• Safe\n• Fast. Really.", ["Safe", "Fast.", "Really."]),
    "dashes": ("- Safe\n- Fast", ["Safe", "Fast"]),
    "ticks": ("✅ Safe\n☑ Fast\n★ Best", ["Safe", "Fast", "Best"]),
    "numbers": ("1. Safe\n2) Fast\n(3) Best", ["Safe", "Fast", "Best"]),
    "indented bullets": ("We are:\n  - safe\n\t• fast", ["We are:", "safe", "fast"]),
    "markdown headings": ("# Knees\n## Hips", ["Knees", "Hips"]),
    "cells by tabs": ("Knee\t$500\nHip\t$600", ["Knee", "$500", "Hip", "$600"]),
    "cells by bars": ("| Knee | It works. Yes. |", ["Knee", "It works.", "Yes."]),
    "bar inside a headline": ("Stem Cells | Boise", ["Stem Cells | Boise"]),
    "blank lines": ("Safe\n\n \n\nFast", ["Safe", "Fast"]),
    "line end of Windows": ("Safe\r\nFast\r\n", ["Safe", "Fast"]),
    "footnote": ("Results may vary*\n*see terms", ["Results may vary*", "*see terms"]),
    "empty": ("", []),
    "white space": (" \n\t\n ", []),
    "one stop": (".", ["."]),
}


@pytest.mark.parametrize(("text", "sentences"), BLOCKS.values(), ids=BLOCKS)
def test_block_ends_a_sentence(text: str, sentences: list[str]) -> None:
    assert cut(text) == sentences


def test_wrapped_line_goes_on() -> None:
    line = "We treat knees, hips and shoulders with the same care\nas any hospital would. Call."
    assert cut(line) == [line[:-6], "Call."]


NOT_WRAPPED = {
    "short line": "We treat knees\nand hips",
    "stop at the end": "We treat knees, hips and shoulders with the same care.\nand more",
    "colon at the end": "We treat knees, hips and shoulders with much care:\nand more",
    "capital below": "We treat knees, hips and shoulders with the same care\nAnd more",
    "bullet below": "We treat knees, hips and shoulders with the same care\n- and more",
    "blank line": "We treat knees, hips and shoulders with the same care\n\nand more",
}


@pytest.mark.parametrize("text", NOT_WRAPPED.values(), ids=NOT_WRAPPED)
def test_new_line_is_a_new_block(text: str) -> None:
    assert len(cut(text)) == 2


def test_sentences_know_their_block() -> None:
    blocks = [s.block for s in segment("Heal now\nIt works. It does.\n\na\tb")]
    assert blocks == [0, 1, 1, 2, 3]


def test_endless_sentence_is_cut_at_a_space() -> None:
    text = "word " * 1000
    sentences = segment(text)
    assert len(sentences) == 3
    assert all(s.end - s.start <= 2000 for s in sentences)
    assert all(text[s.start : s.end].strip("word ") == "" for s in sentences)
    assert all(text[s.start] == "w" and text[s.end - 1] == "d" for s in sentences)


def test_endless_word_is_cut_without_loss() -> None:
    sentences = segment("x" * 4500)
    assert [(s.start, s.end) for s in sentences] == [(0, 2000), (2000, 4000), (4000, 4500)]


# "o" may be a bullet, so the letters below do without it.
PIECES = st.sampled_from([
    "Dr. ", "9 a.m. ", "U.S. ", "e.g. ", "etc. ", "It helps. ", "WAIT! ", "...", "$1.50 ",
    "https://a.b/c ", "\n\n", "- ", "1. ", "| ", " |", "x" * 50, *'?")^N \n\t',
])  # fmt: skip
TEXTS = st.lists(
    st.one_of(PIECES, st.text(st.characters(min_codepoint=9, max_codepoint=126), max_size=5)),
    max_size=30,
).map(lambda parts: normalise("".join(parts).replace("o", "u")).text)


@given(TEXTS)
def test_sentences_are_tidy_in_order_and_apart(text: str) -> None:
    sentences = segment(text)
    for s in sentences:
        body = text[s.start : s.end]
        assert body
        assert body == body.strip(" \t\n")
    for a, b in pairwise(sentences):
        assert a.end <= b.start
        assert a.block <= b.block
    assert sentences == segment(text)


@given(TEXTS)
def test_no_letter_is_lost(text: str) -> None:
    inside = {i for s in segment(text) for i in range(s.start, s.end)}
    assert all(i in inside for i, c in enumerate(text) if c.isalpha())


@given(TEXTS)
def test_sentence_never_crosses_a_blank_line(text: str) -> None:
    assert all("\n\n" not in text[s.start : s.end] for s in segment(text))
