"""What a pattern needs: wherever it matches, the text holds it."""

from __future__ import annotations

import re

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st

from hypecheck.literals import EDGE, Needs, Reader, UnreadableError, Way, begins_text, finite
from hypecheck.regexp import Regexp, options
from hypecheck.ruleset import load, unmark


def holds(needs: Needs, text: str) -> bool:
    """Say whether a text holds what a pattern needs."""
    low = text.lower()

    def spans(literal: str) -> list[tuple[int, int]]:
        body = re.escape(literal.strip(EDGE))
        before = r"(?<!\w)" if literal[0] == EDGE else ""
        behind = r"(?!\w)" if literal[-1] == EDGE else ""
        found = re.finditer(f"(?={before}({body}){behind})", low, re.A)
        return [m.span(1) for m in found]

    def complete(way: Way) -> bool:
        at = 0
        for place in way:
            ends = [
                min((b for x in clause for a, b in spans(x) if a >= at), default=-1)
                for clause in place
            ]
            if min(ends) < 0:
                return False
            at = max(ends)
        return True

    return any(map(complete, needs.ways))


def test_shipped_rules_need_what_their_examples_hold() -> None:
    reader = Reader()
    for rule in load().rules:
        needs = reader.read(rule.pattern)
        assert all(needs.ways), rule.id
        pattern = re2.compile(rule.pattern, options())
        for text in (unmark(t)[0] for t in rule.fires):
            # An example may be another rule's of the kind.
            assert pattern.search(text) is None or holds(needs, text), (rule.id, text)


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("cure", [[[["cure"]]]]),
        (r"\bcures?\b", [[[[f"{EDGE}cure{EDGE}", f"{EDGE}cures{EDGE}"]]]]),
        ("act now|hurry", [[[["act now"]]], [[["hurry"]]]]),
        ("(?:a b|c d) .*end", [[[["a b ", "c d "]], [["end"]]]]),
        ("x+ cure", [[[[" cure"]]]]),
        ("(?:foo.*bar)?baz", [[[["baz"]]]]),
        ("foo(?:bar.*baz)", [[[["foo"]], [["bar"]], [["baz"]]]]),
        ("(?:foo.*bar|baz).*end", [[[["baz"]], [["end"]]], [[["foo"]], [["bar"]], [["end"]]]]),
        ("(?:foo.*bar|baz|q?).*end", [[[["end"]]]]),
        (r"\d+ kg", [[[list("0123456789")], [[" kg"]]]]),
        (r"\w+", [[]]),
    ],
)
def test_literals_are_read(pattern: str, wanted: list[list[list[list[str]]]]) -> None:
    needs = Reader().read(pattern)
    ways = [[[sorted(c) for c in place] for place in way] for way in needs.ways]
    assert sorted(ways) == sorted(wanted)


@pytest.mark.parametrize(
    "pattern", [r"\pL", r"\Qa.b\E", "a{,3}", "é", r"\x41", "(?P>x)", "a)", "[a"]
)
def test_what_is_unknown_is_refused(pattern: str) -> None:
    with pytest.raises(UnreadableError):
        Reader().read(pattern)


@pytest.mark.parametrize(
    ("pattern", "plain"),
    [("cure", True), (r"\b(?:a|\d)b", True), (" cure", False), ("[^a]b", False), ("-?a", False)],
)
def test_where_a_match_may_begin_is_known(pattern: str, plain: bool) -> None:
    assert Reader().read(pattern).plain is plain


ATOM = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        "ba ",
        " a",
        "B",
        r"\b",
        ".",
        "[ab]",
        "[^a]",
        r"\w",
        r"\d",
        r"\s",
        "-",
        "%",
        "^",
    ]
)
PATTERN = st.recursive(
    ATOM,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda x: f"(?:{x[0]}|{x[1]})"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{0,2}", "{1,3}", "??"])).map(
            lambda x: f"(?:{x[0]}){x[1]}"
        ),
        st.tuples(inner, inner).map("|".join),
        inner.map(lambda x: f"({x})"),
    ),
    max_leaves=12,
)


@given(PATTERN, st.text("abB 1-%\n", max_size=12))
@example("(?:a.*b)?a", "a")
@example("a(?:b.*b)", "ab b")
@example(r"a\bb|(?:ab){2}", "abab")
@example(r"\b(?:%|a)b", "a%b")
def test_where_a_pattern_matches_the_text_holds_what_it_needs(pattern: str, text: str) -> None:
    m = re2.compile(pattern, options()).search(text)
    needs = Reader().read(pattern)
    if m is not None:
        assert holds(needs, text)
        if needs.plain and m.group():
            assert m.group()[0].isalnum() or m.group()[0] == "$"


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        (r"\b(?:pain|aches?)\b", {"\bpain\b", "\bache\b", "\baches\b"}),
        (r"\b(?:inject\w*|dr\.?|(?:a|b) c)\b", {"\binject", *("\bdr\b", "\ba c\b", "\bb c\b")}),
        (r"\b(?:heal|cells?\b)", {"\bheal", "\bcell\b", "\bcells\b"}),
        (r"\b(?:\w+ pain)\b", None),
        (r"\b(?:pain)|(?:ache)", None),
        (r"\b(?:^pain)", None),
        (r"\b(?:(?-i:IV)|x)\b", None),
        (r"\b(?:foo-\w*)\b", None),
        (r"\b(?:xa{0}y)\b", None),
        (r"\b(?:a[\s-]b)\b", {"\ba b\b", "\ba\nb\b", "\ba\tb\b", "\ba-b\b"}),
        ("pain", None),
    ],
)
def test_finite_patterns_are_listed(pattern: str, literals: set[str] | None) -> None:
    assert finite([pattern]) == literals  # EDGE is what Python reads in "\\b"


def test_words_that_go_on_are_listed_by_their_next_letter() -> None:
    listed = finite([r"\b(?:ayurved\w+)\b"])
    assert listed is not None
    assert len(listed) == 37
    assert EDGE + "ayurveda" in listed


@given(
    st.lists(st.sampled_from(["pain", "painful", " ", ".", "Dr", "dr.", "x", "injection", "NAD+"]))
)
def test_finite_patterns_match_where_a_literal_stands(words: list[str]) -> None:
    pattern = r"\b(?:pain|inject\w+|dr\.?|nad\+?)\b"
    text = "".join(words).lower()
    listed = finite([pattern])
    assert listed is not None
    stands = any(
        re.search(
            r"(?<!\w)" * (x[0] == EDGE) + re.escape(x.strip(EDGE)) + r"(?!\w)" * (x[-1] == EDGE),
            text,
        )
        for x in listed
    )
    assert stands == (re.search(pattern, text) is not None)


def test_matches_of_the_shipped_rules_begin_as_is_said() -> None:
    reader, known = Reader(), 0
    for rule in load().rules:
        start = reader.read(rule.pattern).start
        if start is None:
            continue
        known += 1
        for line in (*rule.fires, *rule.silent):
            text = unmark(line)[0].encode("ascii", "replace")
            for a, _ in Regexp(rule.pattern).spans(text):
                begins = text[a:].lower().decode()
                assert any(begins.startswith(x.strip(EDGE)) for x in start), (rule.id, begins)
    assert known > 250


@pytest.mark.parametrize(
    ("pattern", "start"),
    [
        (r"\b(?:cures?|heals) pain", {"\bcure ", "\bcures ", "\bheals "}),
        (
            r"\b(?:our |the )?(?:cure|fix)\b(?: it)?",
            {"our cure", "our fix", "the cure", "the fix", "cure", "fix"},
        ),
        (r"\bcure(?: \w+)* pain", {"\bcure"}),
        (r"\b(?:really )*cures", {"\breally ", "\bcures"}),
        (r"(?:\w+ )?cures", None),
        (r"\w+ cures", None),
    ],
)
def test_how_a_match_begins_is_read(pattern: str, start: set[str] | None) -> None:
    read = Reader().read(pattern).start
    if start is None:
        assert read is None
    else:
        assert read is not None
        for x in read:  # the reading may go on further
            assert any(x.strip(EDGE).startswith(s.strip(EDGE).strip()) for s in start), x


@pytest.mark.parametrize(
    ("pattern", "alone"),
    [
        *(("^(?:a|b)", True), ("^a|b", False), ("a", False), ("^a)", False), (r"^[|]\|", True)),
        *(("^?a", False), ("^*a", False), ("^{0}a", False)),
    ],
)
def test_what_matches_at_the_beginning_of_a_text_alone(pattern: str, alone: bool) -> None:
    assert begins_text(pattern) is alone
