"""One pass for all rules: which candidates it gives, and which it must not."""

from __future__ import annotations

import re2

from hypecheck.match import Matcher, matcher
from hypecheck.normalise import normalise
from hypecheck.regexp import options
from hypecheck.ruleset import load, unmark
from hypecheck.segment import segment
from hypecheck.types import Candidate, Rule


def rule(pattern: str, kind: str = "miracle", slug: str = "a", score: float = 0.8) -> Rule:
    return Rule(f"{kind}/{slug}", kind, pattern, (), (), (), score)


def find(text: str, *rules: Rule) -> list[Candidate]:
    return Matcher(rules).find(text.encode(), segment(text))[0]


def found(text: str, *rules: Rule) -> list[str]:
    return [text[c.start : c.end] for c in find(text, *rules)]


def test_candidate_names_rule_kind_score_sentence_and_span() -> None:
    text = "We help. A magic cure."
    assert find(text, rule("magic")) == [Candidate("miracle", 1, 11, 16, "miracle/a", 0.8)]


def test_no_rules_or_no_text_give_nothing() -> None:
    assert find("A magic cure.") == []
    assert find("", rule("magic")) == []
    assert find(" \n", rule(r"\s")) == []


def test_case_does_not_matter() -> None:
    assert found("MAGIC Magic magic", rule("magic")) == ["MAGIC", "Magic", "magic"]
    assert found("magic", rule("MAGIC")) == ["magic"]


def test_every_hit_in_every_sentence_is_found_in_order() -> None:
    candidates = find("Magic and magic. More magic.\nmagic", rule("magic"))
    assert [(c.sentence, c.start) for c in candidates] == [(0, 0), (0, 10), (1, 22), (2, 29)]


def test_longest_of_overlapping_candidates_of_one_kind_is_kept() -> None:
    rules = rule("magic", slug="a"), rule("magic cure", slug="b"), rule("cure", slug="c")
    assert [c.rule for c in find("A magic cure.", *rules)] == ["miracle/b"]


def test_first_rule_id_wins_between_equal_spans() -> None:
    rules = rule("magic", slug="b"), rule("mag[a-z]+", slug="a")
    assert [c.rule for c in find("A magic cure.", *rules)] == ["miracle/a"]


def test_rule_that_is_off_hides_no_other_and_is_told_apart() -> None:
    rules = Matcher([rule("magic", slug="a"), rule("magic cure", slug="b")])
    text = b"A magic cure."
    on, off = rules.find(text, segment(text.decode()), frozenset({"miracle/b"}))
    assert ([c.rule for c in on], [c.rule for c in off]) == (["miracle/a"], ["miracle/b"])


def test_candidates_side_by_side_are_both_kept() -> None:
    assert found("A magic cure.", rule("magic ", slug="a"), rule("cure", slug="b")) == [
        "magic ",
        "cure",
    ]


def test_kinds_do_not_displace_each_other() -> None:
    kinds = [c.kind for c in find("A magic cure.", rule("magic cure"), rule("cure", "cure_claim"))]
    assert kinds == ["miracle", "cure_claim"]


def test_no_candidate_crosses_a_sentence() -> None:
    wide = rule("magic.{0,20}cure")
    assert found("It is magic. We cure.", wide) == []
    assert found("magic\ncure", rule(r"magic\s+cure")) == []


def test_hit_inside_a_sentence_is_found_where_a_longer_one_would_cross() -> None:
    greedy = rule("magic[a-z .]*now")
    assert found("It is magic now. Or now. And magic now.", greedy) == ["magic now", "magic now"]


def test_hit_behind_one_that_crosses_is_found() -> None:
    text = "It is magic. We cure magic cure."
    assert found(text, rule("magic.{0,20}cure")) == ["magic cure"]


def test_group_hit_narrows_the_span() -> None:
    assert found("We say magic cure now", rule("magic (?P<hit>cure) now")) == ["cure"]


def test_word_borders_hold_at_the_ends() -> None:
    assert found("magic", rule(r"\bmagic\b")) == ["magic"]
    assert found("magical", rule(r"\bmagic\b")) == []


def test_pattern_without_a_literal_is_not_filtered_away() -> None:
    assert found("Over 90 of 100", rule(r"\d+")) == ["90", "100"]
    assert found("Over 90 of 100", rule(r"\d+"), rule("of", "urgency")) == ["90", "of", "100"]


def test_filter_sees_capitals_and_alternatives() -> None:
    choice = rule("(?:MAGIC|wonder) (?:cure|pill)s?")
    assert found("Wonder Pills and Magic cures", choice) == ["Wonder Pills", "Magic cures"]


def test_matcher_can_be_used_again() -> None:
    one = Matcher([rule("magic")])
    text = "A magic cure."
    assert one.find(text.encode(), segment(text)) == one.find(text.encode(), segment(text))


def test_rules_compile_once_for_all_checkers() -> None:
    assert matcher(load().rules) is matcher(load().rules)


def test_filter_hides_no_hit_of_a_shipped_rule() -> None:
    shipped = matcher(load().rules)
    for r in load().rules:
        text = normalise(unmark(r.fires[0])[0], load().evasions).text
        hit = re2.search(r.pattern, text, options())
        kinds = {c.kind for c in shipped.find(text.encode(), segment(text))[0]}
        assert hit is None or r.kind in kinds, r.id


def test_shipped_patterns_never_match_the_empty_text() -> None:
    compiled = {r.id: re2.compile(r.pattern, options()) for r in load().rules}
    assert [i for i, p in compiled.items() if p.search("") is not None] == []
