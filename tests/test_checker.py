"""The public interface, and how rules, guards and model become one report."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import pytest

import hypecheck
from hypecheck import Checker, HypeCheckError, ModelError, Report, RulesetError
from hypecheck.checker import RULE_THRESHOLDS
from hypecheck.linear import Linear
from hypecheck.model import Flag, Request, Scored
from hypecheck.ruleset import load
from hypecheck.spans import evidence
from hypecheck.types import CATEGORIES, KINDS, SENSITIVITIES, SEVERITIES, Sensitivity

AD = (
    "Act now! Our clinic guarantees a cure. 95% success rate, no side effects."
    " Only 3 spots left. It does not cure gout."
)
EXAMPLES = Path(__file__).parents[1] / "data" / "examples"
RULES_ONLY = Checker(model=None)
BROAD = Checker("broad", model=None)
USER_RULE = r"""
kind = "miracle"
[[rule]]
id = "zorb"
pattern = '\bzorb cures?'
fires = ["Our [zorb cure] helps."]
"""


def texts(report: Report) -> list[str]:
    return [f.text for f in report.findings]


def kinds(report: Report) -> set[str]:
    return {f.kind for f in report.findings}


# The public names


def test_public_names_are_those_listed() -> None:
    public = {
        n
        for n, v in vars(hypecheck).items()
        if not n.startswith("_") and not isinstance(v, types.ModuleType)
    }
    borrowed = {"Iterable", "Iterator", "lru_cache", "VERSION"}
    assert public - borrowed == set(hypecheck.__all__) - {"__version__"}


def test_check_gives_every_part_of_a_report() -> None:
    report = hypecheck.check(AD)
    assert isinstance(report, Report)
    assert report.text == AD
    assert report.findings
    assert report.dismissed
    assert tuple(report.scores) == CATEGORIES
    assert all(0 <= p <= 1 for p in report.scores.values())
    assert len(report.checklist) == 10
    assert report.versions.package == hypecheck.__version__
    assert report.versions.ruleset == load().hash
    assert report.versions.model


def test_finding_explains_itself() -> None:
    for f in hypecheck.check(AD).findings:
        assert f.text == AD[f.start : f.end]
        assert f.kind in KINDS[f.category]
        assert f.severity in SEVERITIES
        assert 0 <= f.score <= 1
        assert f.source in ("rule", "model", "both")
        assert (f.rule is None) == (f.source == "model")
        assert f.rule is None or f.rule.startswith(f"{f.kind}/")
        assert f.why
        assert f.advice
        assert f.references


def test_findings_and_dismissed_are_sorted_and_lie_in_their_sentence() -> None:
    report = BROAD.check(AD)
    assert len(report.findings) >= 4
    for items in (report.findings, report.dismissed):
        order = [(x.start, x.end, x.kind) for x in items]
        assert order == sorted(order)
        for x in items:
            sentence = report.sentences[x.sentence]
            assert sentence.start <= x.start < x.end <= sentence.end


def test_check_many_keeps_order_and_ids() -> None:
    pairs = [("b", AD), ("a", "We open at nine."), ("b", "")]
    assert [(r.id, r.text) for r in hypecheck.check_many(pairs)] == pairs
    assert [r.id for r in hypecheck.check_many(t for _, t in pairs)] == ["0", "1", "2"]
    assert list(hypecheck.check_many([])) == []
    assert BROAD.check(AD, "x").id == "x"


def test_check_many_is_lazy() -> None:
    asked: list[int] = []

    def endless() -> Iterator[str]:
        while True:
            asked.append(1)
            yield AD

    reports = RULES_ONLY.check_many(endless())
    assert asked == []
    next(reports)
    assert len(asked) == 1  # the first is answered before the second is asked for
    next(reports)
    assert len(asked) <= 100


@pytest.mark.parametrize("wrong", [5, None, b"Act now!", ("a", 5), ("a", "b", "c"), ["a"]])
def test_what_is_no_text_is_refused_by_number(wrong: object) -> None:
    with pytest.raises(TypeError, match="text number 1"):
        list(RULES_ONLY.check_many(["fine", wrong]))  # type: ignore[list-item]


def test_one_string_is_not_taken_for_many_texts() -> None:
    with pytest.raises(TypeError):
        list(RULES_ONLY.check_many(AD))


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b"])
@pytest.mark.parametrize("model", ["default", None])
def test_empty_text_gives_an_empty_report(text: str, model: str | None) -> None:
    report = Checker(model=model).check(text)
    assert (report.sentences, report.findings, report.dismissed) == ((), (), ())
    assert set(report.scores.values()) == {0.0}
    assert {c.status for c in report.checklist} == {"not_applicable"}


# The examples of data/examples


def test_clinic_page_is_flagged_in_all_categories() -> None:
    report = hypecheck.check((EXAMPLES / "knee-clinic.txt").read_text("utf-8"))
    assert {f.category for f in report.findings} == set(CATEGORIES)


@pytest.mark.parametrize("model", ["default", None])
@pytest.mark.parametrize("name", ["patient-education.txt", "honest-clinic.txt"])
def test_sober_page_is_left_alone(name: str, model: str | None) -> None:
    assert texts(Checker(model=model).check((EXAMPLES / name).read_text("utf-8"))) == []


def test_warning_names_the_cue_of_each_silenced_candidate() -> None:
    warning = (
        "Be wary of clinics that advertise guaranteed cures, pressure sales,"
        " and dramatic before-after photos without data."
    )
    report = hypecheck.check(warning)
    assert report.findings == ()
    named = {d.text: d for d in report.dismissed}
    assert {"guaranteed cures", "dramatic before-after photos"} <= set(named)
    for d in named.values():
        assert d.guard in ("refuted", "reported")
        assert d.cue is not None
        assert warning[d.cue.start : d.cue.end] == d.cue.text
        assert d.cue.end <= d.start
        assert d.reason


def test_dismissed_without_words_has_no_cue() -> None:
    (d,) = BROAD.check("Only 3 spots left for our pizza course!").dismissed
    assert (d.guard, d.cue) == ("not_health", None)


# Rules only


def test_rules_alone_use_no_model() -> None:
    report = BROAD.check(AD)
    assert report.versions.model is None
    assert RULES_ONLY.model is None
    assert {f.source for f in report.findings} == {"rule"}


def test_rules_alone_score_the_text_by_their_precision() -> None:
    report = BROAD.check(AD)
    for category in CATEGORIES:
        miss = 1.0
        for f in report.findings:
            if f.category == category:
                miss *= 1 - f.score
        assert report.scores[category] == pytest.approx(1 - miss, abs=1e-3)
    assert BROAD.check("We open at nine.").scores == dict.fromkeys(CATEGORIES, 0.0)


@pytest.mark.parametrize("sensitivity", SENSITIVITIES)
def test_rule_counts_from_its_threshold_on(sensitivity: Sensitivity) -> None:
    checker = Checker(sensitivity, model=None)
    report = checker.check(AD)
    assert all(f.score >= RULE_THRESHOLDS[sensitivity] for f in report.findings)
    for d in report.dismissed:
        rule = checker.rule(d.rule or "")
        assert rule is not None
        if d.guard == "unlikely":
            assert d.cue is None
            assert rule.score < RULE_THRESHOLDS[sensitivity]


def test_less_is_found_the_stricter() -> None:
    found = [set(texts(Checker(s, model=None).check(AD))) for s in SENSITIVITIES]
    assert found[0] <= found[1] <= found[2]
    assert found[0] < found[2]


@pytest.mark.parametrize(
    "phrase", ["g u a r a n t e e d results", "gu4ranteed success", "ｇuаranteed cure"]
)
def test_disguised_phrase_is_found_as_it_stands(phrase: str) -> None:
    assert phrase in texts(BROAD.check(f"🔥 Our clinic: {phrase}! 🔥"))


# Choosing what is reported


def test_only_keeps_kinds_and_categories() -> None:
    assert kinds(Checker("broad", None, only=["scarcity"]).check(AD)) == {"scarcity"}
    pressed = Checker("broad", None, only=["pressure_sales", "risk_free"]).check(AD)
    assert kinds(pressed) == {"urgency", "scarcity", "risk_free"}
    assert {d.kind for d in pressed.dismissed} <= set(KINDS["pressure_sales"])


def test_disable_drops_kinds_and_categories() -> None:
    everything = kinds(BROAD.check(AD))
    left = Checker("broad", None, disable=["scarcity", "missing_data"]).check(AD)
    assert kinds(left) == everything - {"scarcity"} - set(KINDS["missing_data"])
    both = Checker("broad", None, only=["pressure_sales"], disable=["urgency"]).check(AD)
    assert kinds(both) == {"scarcity"}


def test_disable_drops_one_rule() -> None:
    off = Checker("broad", None, disable=["urgency/act-now"])
    assert "Act now" not in texts(off.check(AD))
    assert "Don't wait" in texts(off.check("Don't wait, act now!"))


def test_only_with_a_model_reports_no_other_kind() -> None:
    assert kinds(Checker("broad", only=["scarcity"]).check(AD)) == {"scarcity"}


ALLOWED = {
    "as it stands": "guarantees a cure",
    "case and spacing": "  GUARANTEES   a Cure ",
    "part of the finding": "a cure",
    "more than the finding": "our clinic guarantees a cure",
    "disguised": "guаrantees a cure",
}


@pytest.mark.parametrize("phrase", ALLOWED.values(), ids=ALLOWED)
def test_allowed_phrase_is_suppressed_and_kept(phrase: str) -> None:
    report = Checker("broad", None, allow=[phrase]).check(AD)
    assert "guarantees a cure" not in texts(report)
    (s,) = report.suppressed
    assert (s.finding.text, s.by) == ("guarantees a cure", "list")
    assert phrase.strip() in s.reason
    assert "Act now" in texts(report)


NOT_ALLOWED = {
    "another phrase": "guarantees a result",
    "part of a word": "cu",
    "elsewhere": "gout",
    "empty": "",
    "blank": "  ",
}


@pytest.mark.parametrize("phrase", NOT_ALLOWED.values(), ids=NOT_ALLOWED)
def test_phrase_that_is_not_there_allows_nothing(phrase: str) -> None:
    assert texts(Checker("broad", None, allow=[phrase]).check(AD)) == texts(BROAD.check(AD))


# The user's own rules


def user_rules(folder: Path, text: str = USER_RULE) -> Path:
    path = folder / "ours.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("sensitivity", SENSITIVITIES)
@pytest.mark.parametrize("model", ["default", None])
def test_user_rule_fires_whatever_the_sensitivity(
    tmp_path: Path, model: str | None, sensitivity: Sensitivity
) -> None:
    checker = Checker(sensitivity, model, rules=[user_rules(tmp_path)])
    (f,) = [f for f in checker.check("Our zorb cure for knees.").findings if f.kind == "miracle"]
    assert (f.text, f.source, f.rule) == ("zorb cure", "rule", "miracle/zorb")


def test_user_rule_goes_through_the_guards(tmp_path: Path) -> None:
    checker = Checker("broad", None, rules=[str(user_rules(tmp_path))])
    (d,) = [d for d in checker.check("We offer no zorb cure.").dismissed if d.kind == "miracle"]
    assert (d.rule, d.guard, d.cue and d.cue.text) == ("miracle/zorb", "negated", "no")


def test_user_rules_leave_the_shipped_ones_alone(tmp_path: Path) -> None:
    checker = Checker("broad", None, rules=[user_rules(tmp_path)])
    assert checker.check(AD).findings == BROAD.check(AD).findings
    assert checker.versions.ruleset != BROAD.versions.ruleset


def test_rule_switched_off_does_not_hide_another(tmp_path: Path) -> None:
    second = """
    [[rule]]
    id = "short"
    pattern = 'zorb'
    fires = ["Our [zorb] helps."]
    score = 1
    """
    path = user_rules(tmp_path, USER_RULE + second)
    text = "Our zorb cure for knees."
    assert texts(Checker("broad", None, rules=[path]).check(text)) == ["zorb cure"]
    off = Checker("broad", None, rules=[path], disable=["miracle/zorb"])
    assert texts(off.check(text)) == ["zorb"]


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HypeCheckError, match=r"unknown sensitivity 'loud'.*balanced"):
        Checker("loud")  # type: ignore[arg-type]
    with pytest.raises(HypeCheckError, match=r"unknown kind or rule 'hype'.*rules list"):
        Checker(model=None, only=["hype"])
    with pytest.raises(HypeCheckError, match=r"'urgency/no-such-rule'.*rules list"):
        Checker(model=None, disable=["urgency/no-such-rule"])
    with pytest.raises(RulesetError, match=r"no\.toml"):
        Checker(model=None, rules=[tmp_path / "no.toml"])
    with pytest.raises(ModelError, match="'no-such-model'"):
        Checker(model="no-such-model")


# Rules and model together, with a model whose answers are known


class StubLinear:
    def attribute(self, body: str, _: str) -> list[float]:
        return [float(w.strip(".,!").lower() in ("zap", "pain")) for w in body.split()]


class StubModel:
    """Gives the probabilities of ``table``: word -> (kind, probability of its category)."""

    version = "stub"
    linear = StubLinear()
    rules = frozenset(r.id for r in load().rules)
    thresholds: ClassVar = {
        s: dict.fromkeys(CATEGORIES, t)
        for s, t in (("strict", 0.9), ("balanced", 0.6), ("broad", 0.3))
    }

    def __init__(self, table: Mapping[str, tuple[str, float]]) -> None:
        self.table = table
        self.requests: list[Request] = []

    def score(
        self,
        requests: Sequence[Request],
        deadline: float | None = None,
        kept: object = None,
        joined: object = None,
        bars: Sequence[float] = (2.0, 2.0, 2.0),
    ) -> list[Scored]:
        del deadline, kept, joined
        self.requests += requests
        return [self._one(r, bars) for r in requests]

    def _one(self, r: Request, bars: Sequence[float]) -> Scored:
        categories: list[dict[str, float]] = []
        by_kind: list[dict[str, float]] = []
        for s in r.sentences:
            p: dict[str, float] = dict.fromkeys(CATEGORIES, 0.0)
            k: dict[str, float] = {kind: 0.0 for names in KINDS.values() for kind in names}
            for word, (kind, value) in self.table.items():
                if word in r.text[s.start : s.end].lower():
                    category = next(c for c in CATEGORIES if kind in KINDS[c])
                    p[category], k[kind] = value, value
            categories.append(p)
            by_kind.append(k)
        labels = [[*c.values(), *k.values()] for c, k in zip(categories, by_kind, strict=True)]
        document: dict[str, float] = dict.fromkeys(CATEGORIES, 0.25)
        rows = [[*c.values()] for c in categories]
        flags = [
            self._flag(r, i, c, by_kind[i], row[c])
            for i, row in enumerate(rows)
            for c in range(len(CATEGORIES))
            if row[c] >= bars[c]
        ]
        return Scored(np.array(labels), document, {}, flags=flags)

    def _flag(self, r: Request, i: int, c: int, by_kind: Mapping[str, float], p: float) -> Flag:
        kind = max(KINDS[CATEGORIES[c]], key=lambda k: (by_kind[k], k))
        linear = cast("Linear", self.linear)
        start, end = evidence(r.text, r.sentences[i], CATEGORIES[c], linear, None)
        return Flag(i, c, kind, start, end, p)


def stubbed(monkeypatch: pytest.MonkeyPatch, table: Mapping[str, tuple[str, float]]) -> StubModel:
    stub = StubModel(table)
    monkeypatch.setattr("hypecheck.model.load", lambda *_: stub)
    return stub


def brief(report: Report) -> list[tuple[str, str, str, float]]:
    return [(f.text, f.kind, f.source, f.score) for f in report.findings]


def test_rule_and_model_together_are_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    stubbed(monkeypatch, {"act now": ("urgency", 0.75)})
    report = Checker().check("Act now, be free of pain!")
    assert brief(report) == [("Act now", "urgency", "both", 0.75)]
    assert report.findings[0].rule == "urgency/act-now"
    assert report.scores == dict.fromkeys(CATEGORIES, 0.25)
    assert report.versions.model == "stub"


def test_model_of_another_kind_in_the_category_yields_to_the_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stubbed(monkeypatch, {"act now": ("scarcity", 0.75)})
    assert brief(Checker().check("Act now!")) == [("Act now", "urgency", "both", 0.75)]


def test_model_believes_a_well_measured_rule_a_little_sooner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stubbed(monkeypatch, {"act now": ("urgency", 0.5), "zoom": ("urgency", 0.5)})
    assert texts(Checker().check("Act now!\nZoom in!")) == ["Act now"]
    assert texts(Checker("strict").check("Act now!\nZoom in!")) == []


def test_model_outvotes_a_rule_that_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    stubbed(monkeypatch, {"act now": ("urgency", 0.2)})
    report = Checker().check("Act now!")
    assert report.findings == ()
    (d,) = report.dismissed
    assert (d.guard, d.cue, d.source, d.rule) == ("unlikely", None, "rule", "urgency/act-now")


@pytest.mark.parametrize(("sensitivity", "found"), [("strict", 0), ("balanced", 0), ("broad", 1)])
def test_sensitivity_chooses_the_threshold(
    monkeypatch: pytest.MonkeyPatch, sensitivity: Sensitivity, found: int
) -> None:
    stubbed(monkeypatch, {"zoom": ("urgency", 0.5), "zap": ("miracle", 0.5)})
    report = Checker(sensitivity).check("Zoom in!\nOur zap will help.")
    assert len(report.findings) == 2 * found


def test_model_alone_says_so_and_marks_the_weightiest_clause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stubbed(monkeypatch, {"zap": ("miracle", 0.8)})
    report = Checker().check("We open at nine, our zap ends pain, and parking is free.")
    assert brief(report) == [("our zap ends pain", "miracle", "model", 0.8)]
    f = report.findings[0]
    assert f.rule is None
    assert f.why.startswith("No rule matches here")
    assert f.why.endswith(load().kinds["miracle"].why)


def test_model_alone_passes_the_same_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    stubbed(monkeypatch, {"zap": ("miracle", 0.8)})
    report = Checker().check("Be wary of clinics that say our zap ends pain.")
    assert report.findings == ()
    (d,) = report.dismissed
    assert (d.source, d.rule, d.guard) == ("model", None, "reported")
    assert d.cue is not None
    assert d.cue.text == "clinics that say"


def test_choices_hold_for_the_model_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stubbed(monkeypatch, {"zap": ("miracle", 0.8)})
    text = "Our zap ends pain."
    assert kinds(Checker().check(text)) == {"miracle"}
    assert kinds(Checker(disable=["miracle"]).check(text)) == set()
    assert kinds(Checker(only=["urgency"]).check(text)) == set()
    assert kinds(Checker(allow=["our zap"]).check(text)) == set()


def test_rule_switched_off_is_not_flagged_by_the_model_instead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stubbed(monkeypatch, {"act now": ("urgency", 0.75)})
    assert texts(Checker(disable=["urgency/act-now"]).check("Act now!")) == []


def test_model_hears_what_rules_and_guards_said(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = stubbed(monkeypatch, {})
    Checker().check("Act now! It does not cure gout.")
    (request,) = stub.requests
    assert [c.kind for c in request.candidates] == ["urgency", "cure_claim"]
    assert request.silenced == [None, "negated"]
    assert len(request.sentences) == 2


def test_model_does_not_judge_a_rule_that_it_never_saw(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub = stubbed(monkeypatch, {})
    path = user_rules(tmp_path, USER_RULE + "score = 0.95\n")
    report = Checker(rules=[path]).check("Our zorb cure for knees.")
    assert brief(report) == [("zorb cure", "miracle", "rule", 0.95)]
    assert list(stub.requests[0].candidates) == []
