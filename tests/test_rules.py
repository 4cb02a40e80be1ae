"""The rules as their examples specify them, and what each kind owes its reader."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from hypecheck.checker import Checker
from hypecheck.rulecheck import Failure, check_examples
from hypecheck.ruleset import load, unmark
from hypecheck.types import KINDS, Kind, Rule

RULESET = load()
BROAD = Checker("broad", model=None)
ALL_KINDS = [k for kinds in KINDS.values() for k in kinds]
LEAST = 8  # fires and silent examples that each kind must have


@pytest.mark.parametrize("rule", RULESET.rules, ids=lambda r: r.id)
def test_examples_hold(rule: Rule) -> None:
    assert list(check_examples(BROAD, [rule])) == []


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_kind_has_rules_and_enough_examples(kind: str) -> None:
    rules = [r for r in RULESET.rules if r.kind == kind]
    assert len({e for r in rules for e in r.fires}) >= LEAST
    assert len({e for r in rules for e in r.silent}) >= LEAST
    assert all(len(r.fires) >= 2 and len(r.silent) >= 2 for r in rules)


@pytest.mark.parametrize("kind", RULESET.kinds.values(), ids=lambda k: k.id)
def test_kind_says_why_what_to_ask_and_where_it_stands(kind: Kind) -> None:
    assert kind.title[0].isupper()
    assert not kind.title.endswith(".")
    assert len(kind.title) <= 72
    assert kind.why.endswith(".")
    assert "Ask" in kind.advice
    assert kind.references
    for r in kind.references:
        assert r.url.startswith("https://")
        assert r.title
        assert r.point.endswith(".")
        assert r.jurisdiction in ("us", "eu", "uk", "au", "ca", "int")
        assert 1900 <= r.year <= date.fromisoformat(r.checked_on).year
    assert len({(r.id, r.clause) for r in kind.references}) == len(kind.references)


def test_guidance_comes_from_more_than_one_country() -> None:
    for kind in RULESET.kinds.values():
        assert len({r.jurisdiction for r in kind.references}) >= 2, kind.id


def test_ids_and_titles_are_unique() -> None:
    assert [i for i, n in Counter(r.id for r in RULESET.rules).items() if n > 1] == []
    assert len({k.title for k in RULESET.kinds.values()}) == len(ALL_KINDS)
    assert all(r.id.startswith(f"{r.kind}/") for r in RULESET.rules)


def test_no_text_shall_fire_twice_in_a_kind() -> None:
    seen = Counter((r.kind, e) for r in RULESET.rules for e in r.fires)
    assert [e for e, n in seen.items() if n > 1] == []


def test_fires_of_a_rule_are_its_own() -> None:
    """A rule whose examples another one catches is not specified by them."""
    for rule in RULESET.rules:
        texts = [unmark(e)[0] for e in rule.fires]
        assert any(f.rule == rule.id for t in texts for f in BROAD.check(t).findings), rule.id


# The runner itself


def failures(fires: tuple[str, ...], silent: tuple[str, ...]) -> list[Failure]:
    rule = next(r for r in RULESET.rules if r.id == "guaranteed_outcome/guaranteed-noun")
    made = Rule(rule.id, rule.kind, rule.pattern, fires, silent, rule.unless, rule.score)
    return list(check_examples(BROAD, [made]))


WRONG: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "nothing found": (("Come [soon] to our clinic.",), (), "fires on nothing"),
    "another span": (("[Guaranteed results!]",), (), "fires on 'Guaranteed results'"),
    "twice": (
        ("[Guaranteed results]! Guaranteed results!",),
        (),
        "'Guaranteed results', 'Guaranteed results'",
    ),
    "silenced": (("Beware of [guaranteed results].",), (), "silenced as refuted by"),
    "not silent": ((), ("Guaranteed results!",), "not silent: guaranteed_outcome/"),
}


@pytest.mark.parametrize(("fires", "silent", "problem"), WRONG.values(), ids=WRONG)
def test_example_that_does_not_hold_is_explained(
    fires: tuple[str, ...], silent: tuple[str, ...], problem: str
) -> None:
    (failure,) = failures(fires, silent)
    assert failure.rule == "guaranteed_outcome/guaranteed-noun"
    assert failure.example == (*fires, *silent)[0]
    assert problem in failure.problem


def test_examples_that_hold_are_not_mentioned() -> None:
    assert failures(("[Guaranteed results]!",), ("Our doors open at nine.",)) == []
