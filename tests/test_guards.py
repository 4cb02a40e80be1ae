"""Endorsement: which words silence a candidate, and which that look like them do not."""

from __future__ import annotations

import pytest
import spacy

from hypecheck import guards
from hypecheck.guards import CueExample, Verdict, cue_examples, judge
from hypecheck.normalise import normalise
from hypecheck.ruleset import GUARD_NAMES, load, unmark
from hypecheck.segment import segment
from hypecheck.types import Candidate

WORDED = ("negated", "refuted", "reported", "hedged")  # by the cues of cues.toml


def verdict(example: str, *names: str) -> tuple[str, str] | None:
    """Judge the ``[candidate]`` of an example: the guard and its cue, or None where it stands."""
    given, ((start, end),) = unmark(example)
    text = normalise(given).text
    assert len(text) == len(given), "offsets of examples are those of the normalised text"
    sentences = segment(text)
    at = next(i for i, s in enumerate(sentences) if s.start <= start < s.end)
    candidate = Candidate("cure_claim", at, start, end, "cure_claim/x", 0.9)
    (found,) = judge(text, sentences, [candidate], [names or GUARD_NAMES])
    return (found.guard, text[found.start : found.end]) if found else None


def cue(example: str, *names: str) -> str | None:
    """Give the words that silenced the ``[candidate]``, or None where it stands."""
    found = verdict(example, *names)
    return found[1] if found else None


# The examples that specify cues.toml


def name_of(e: CueExample) -> str:
    return f"{e.guard}-{'silences' if e.silenced else 'keeps'}-{e.text}"


@pytest.mark.parametrize("e", cue_examples(), ids=name_of)
def test_cue_example_holds(e: CueExample) -> None:
    found = verdict(e.text, e.guard)
    assert (found is not None) == e.silenced
    if found:
        assert found[0] == e.guard


def test_every_group_of_cues_shows_both_sides() -> None:
    for guard in WORDED:
        for silenced in (True, False):
            assert any(e.guard == guard and e.silenced == silenced for e in cue_examples())


# Direction, reach, terminators


PAIRS: dict[str, tuple[str, str]] = {
    "forward only": ("We do not [cure arthritis].", "We [cure arthritis], not."),
    "backward only": ("A [lasting cure] is not possible.", "It is not possible: a [lasting cure]."),
    "comma ends a short reach": ("No [lasting cure] exists.", "No fuss, a [lasting cure]."),
    "dash ends it": ("It is not a [cure].", "It is not surgery - it is a [cure]."),
    "but ends it": ("It does not [cure gout].", "It does not hurt but it does [cure gout]."),
    "however ends it": ("Be wary of [cures].", "Be wary of pills, however we [cure gout]."),
    "semicolon ends it": ("Beware of [cures].", "Beware of pills; our balm [cures gout]."),
    "too far": (
        "It will not [cure gout].",
        "It will not take more than one or two short visits to our clinic to [cure gout].",
    ),
    "only this sentence": ("We never [cure gout].", "We never lie. We [cure gout]."),
    "pseudo: not only": ("It is not [safe].", "It is not only cheap but it [cures gout]."),
    "pseudo: no longer": ("There is no [cure].", "You no longer suffer, it is [a cure]."),
    "pseudo: do not wait": ("Do not [act now].", "Do not wait, [act now]."),
    "cue inside the candidate": ("Never a [pain].", "[Never feel pain again]."),
}


@pytest.mark.parametrize(("silenced", "stands"), PAIRS.values(), ids=PAIRS)
def test_cue_reaches_as_far_as_its_scope(silenced: str, stands: str) -> None:
    assert verdict(silenced) is not None
    assert verdict(stands) is None


def test_nearest_cue_is_the_one_named() -> None:
    example = "The clinic said that it is a myth that stem cells [cure gout]."
    assert cue(example, "reported") == "clinic said"
    assert cue(example, "refuted") == "myth that"
    assert verdict(example, "reported", "refuted") == ("refuted", "myth that")


def test_cue_of_another_candidate_does_not_count() -> None:
    text = "It does not cure gout. It cures asthma."
    spans = ((0, 12, 21), (1, 26, 38))
    candidates = [Candidate("cure_claim", *span, None, 1) for span in spans]
    first, second = judge(text, segment(text), candidates, [GUARD_NAMES] * 2)
    assert first == Verdict("negated", 3, 11)
    assert second is None


def test_only_the_guards_that_a_rule_names_are_asked() -> None:
    example = "This does not [cure arthritis]."
    assert verdict(example, "negated") == ("negated", "does not")
    assert verdict(example, "refuted", "reported", "hedged", "supported") is None
    text = example.replace("[", "").replace("]", "")
    assert judge(text, segment(text), [Candidate("x", 0, 14, 28, None, 1)], [()]) == [None]


def test_nothing_to_judge_gives_nothing() -> None:
    assert judge("Text.", segment("Text."), [], []) == []


# Each guard by minimal pairs: (guard, silenced, its cue, stands)

MINIMAL: dict[str, tuple[str, str, str, str]] = {
    "negated": ("negated", "We cannot [cure gout].", "cannot", "We can [cure gout]."),
    "contraction": ("negated", "It won't [cure gout].", "won't", "It will [cure gout]."),
    "curly apostrophe": ("negated", "It doesn’t [cure gout].", "doesn't", "It does [cure gout]."),
    "no one can": ("negated", "No one can [cure gout].", "No one can", "We can [cure gout]."),
    "warning": (
        "refuted",
        "Be wary of anyone who will [cure gout].",
        "anyone who",
        "Be with someone who will [cure gout].",
    ),
    "myth": (
        "refuted",
        "It is a myth that pills [cure gout].",
        "myth that",
        "It is a fact that pills [cure gout].",
    ),
    "red flag": (
        "refuted",
        '"[Guaranteed cure]" is a red flag.',
        "is a red flag",
        '"[Guaranteed cure]" is our promise.',
    ),
    "regulator": (
        "refuted",
        "The line [cures gout] was misleading.",
        "was misleading",
        "Our balm [cures gout] for good.",
    ),
    "advert": (
        "reported",
        "The advert claimed it [cures gout].",
        "advert claimed",
        "Our doctors found it [cures gout].",
    ),
    "what she was told": (
        "reported",
        "She was told that it [cures gout].",
        "was told",
        "She is glad that it [cures gout].",
    ),
    "may": ("hedged", "It may [ease pain].", "may", "It will [ease pain]."),
    "vary": (
        "hedged",
        "It [eases pain] in some patients.",
        "in some patients",
        "It [eases pain] in all patients.",
    ),
    "question": (
        "questioned",
        "Does it [cure gout]? Sadly, it does not.",
        "Sadly",
        "Does it [cure gout]? Yes, it does.",
    ),
    "citation": (
        "supported",
        "It [helps 9 in 10] (Smith 2019).",
        "(Smith 2019)",
        "It [helps 9 in 10] (Smith agrees).",
    ),
    "counted": (
        "supported",
        "It [works]. 71 of 100 patients improved at 12 months.",
        "71 of 100 patients improved at 12 month",
        "It [works]. Most of our patients improved.",
    ),
    "trial number": (
        "supported",
        "It [works], see NCT01234567.",
        "NCT01234567",
        "It [works], see our page.",
    ),
    "footnote": (
        "supported",
        "It [helps 9 in 10] (1).\nSources\n1. Smith, Lancet, 2019.",
        "1. ",
        "It [helps 9 in 10] (1).\nSources\n1. Our own files.",
    ),
    "other trade": (
        "not_health",
        "[Only 3 left] of our used cars, new tyres on all vehicles.",
        "",
        "[Only 3 left] of our knee injections.",
    ),
}


@pytest.mark.parametrize(("guard", "silenced", "words", "stands"), MINIMAL.values(), ids=MINIMAL)
def test_guard_silences_one_of_a_minimal_pair(
    guard: str, silenced: str, words: str, stands: str
) -> None:
    assert verdict(silenced, guard) == (guard, words)
    assert verdict(stands) is None


QUESTIONS: dict[str, tuple[str, bool]] = {
    "no": ("Can you [cure it]? No, we cannot.", True),
    "it depends": ("Can you [cure it]? It depends on your knee.", True),
    "evidence": ("Can you [cure it]? The evidence is weak.", True),
    "yes": ("Can you [cure it]? Absolutely.", False),
    "nothing follows": ("Can you [cure it]?", False),
    "no question": ("We [cure it]. No, really.", False),
    "question before": ("Sceptical? We [cure it]. No wonder.", False),
    "answer in the next block": ("Can you [cure it]?\nNo.", True),
}


@pytest.mark.parametrize(("example", "silenced"), QUESTIONS.values(), ids=QUESTIONS)
def test_question_counts_with_a_sober_answer_only(example: str, silenced: bool) -> None:
    assert (verdict(example, "questioned") is not None) == silenced


SUPPORT: dict[str, tuple[str, bool]] = {
    "same sentence": ("It [works] (n = 120).", True),
    "next sentence": ("It [works]. See doi 10.1000/xyz123.", True),
    "sentence after next": ("It [works]. It is kind. See doi 10.1000/xyz123.", False),
    "sentence before": ("See doi 10.1000/xyz123. It [works].", False),
    "PubMed": ("It [works], PMID 12345678.", True),
    "and colleagues": ("It [works], as Lee et al., 2021, found.", True),
    "Cochrane": ("It [works]: Cochrane review of 2020.", True),
    "compared": ("It [works] in 40 of 80, against 20 of 80 on placebo.", True),
    "bare per cent": ("It [works] in 95% of patients.", False),
    "a year alone": ("It [works] since 2012.", False),
    "count without time": ("It [works] in 9 of 10 people.", False),
    "price": ("It [works] for $499.", False),
}


@pytest.mark.parametrize(("example", "silenced"), SUPPORT.values(), ids=SUPPORT)
def test_support_is_data_that_a_reader_can_check(example: str, silenced: bool) -> None:
    assert (verdict(example, "supported") is not None) == silenced


LISTS: dict[str, tuple[str, bool]] = {
    "warning": ("Be wary of clinics that:\n- [cure arthritis]", True),
    "warning, second item": ("Red flags:\n- pressure\n- [guaranteed cures]", True),
    "report": ("The advert said:\n- [we cure arthritis]", True),
    "own offer": ("At our clinic we:\n- [cure arthritis]", False),
    "denial does not lead in": ("What we do not need:\n- [a cure for arthritis]", False),
    "lead-in without a colon": ("Be wary of clinics\n- [cure arthritis]", False),
    "blank line and text between": (
        "Be wary of clinics that:\n- lie\n\nOur clinic is new.\n\n[We cure arthritis]",
        False,
    ),
}


@pytest.mark.parametrize(("example", "silenced"), LISTS.values(), ids=LISTS)
def test_lead_in_speaks_for_the_list_below(example: str, silenced: bool) -> None:
    assert (verdict(example, *WORDED) is not None) == silenced


HEALTH: dict[str, tuple[str, bool]] = {
    "short and neutral": ("[Only 3 spots left]!", False),
    "other trade": ("[Only 3 spots left] for our pizza course!", True),
    "other trade with a health word": ("[Only 3 spots left] for knees and pizza!", False),
    "long without a health word": ("[Only 3 left]! " + "Come and see our offers today. " * 8, True),
}


@pytest.mark.parametrize(("example", "silenced"), HEALTH.values(), ids=HEALTH)
def test_text_about_another_trade_is_left_alone(example: str, silenced: bool) -> None:
    assert (verdict(example, "not_health") is not None) == silenced


def test_every_reason_is_said_to_a_reader() -> None:
    assert set(guards.REASONS) == {*GUARD_NAMES, "unlikely"}
    assert all(reason and not reason.endswith(".") for reason in guards.REASONS.values())


def test_every_category_has_the_common_guards() -> None:
    for names in load().guards.values():
        assert {"negated", "refuted", "reported", "questioned", "not_health"} <= set(names)
    assert "supported" in load().guards["missing_data"]
    assert "supported" not in load().guards["pressure_sales"]


def test_tokens_are_those_of_a_blank_pipeline() -> None:
    blank = spacy.blank("en")
    cues = {p for group in guards._cue_table()[0]["cue"] for p in group["phrases"]}
    examples = [e.text for e in guards.cue_examples()]
    for text in [*examples, *cues, "Dr. O'Neil can't (won't) pay $1,500.50 e.g. at 9a.m.!", ""]:
        assert [(t.text, t.lower_, t.is_punct) for t in guards._context().tokenize(text)] == [
            (t.text, t.lower_, t.is_punct) for t in blank.make_doc(text)
        ]


def test_no_cue_is_shorter_than_what_is_looked_into() -> None:
    table, _ = guards._cue_table()
    words = {w for group in table["cue"] for phrase in group["phrases"] for w in [phrase]}
    assert min(map(len, words)) >= guards._SHORTEST_CUE
    assert min(len(w) for some in table["words"].values() for w in some) >= guards._SHORTEST_CUE
