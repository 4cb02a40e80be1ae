"""The values that flow through HypeCheck, and the words that name them.

Everything here is a frozen dataclass without behaviour. Offsets are code points,
half-open, into the text as it was given. Only ``hypecheck.service`` knows UTF-16.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Category = Literal["guaranteed_cure", "pressure_sales", "missing_data"]
Severity = Literal["low", "medium", "high"]
Source = Literal["rule", "model", "both"]
Sensitivity = Literal["strict", "balanced", "broad"]
Status = Literal["stated", "not_stated", "not_applicable"]

CATEGORIES: tuple[Category, ...] = ("guaranteed_cure", "pressure_sales", "missing_data")
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high")
SENSITIVITIES: tuple[Sensitivity, ...] = ("strict", "balanced", "broad")

# The guide's 19 kinds, by category. The order is the guide's, and the model's label order.
KINDS: dict[Category, tuple[str, ...]] = {
    "guaranteed_cure": (
        "guaranteed_outcome",
        "cure_claim",
        "permanent_or_instant",
        "universal_efficacy",
        "risk_free",
        "miracle",
    ),
    "pressure_sales": (
        "urgency",
        "scarcity",
        "inducement",
        "fear_appeal",
        "discourages_care",
    ),
    "missing_data": (
        "bare_statistic",
        "vague_evidence",
        "testimonial",
        "before_after",
        "superiority",
        "volume_as_proof",
        "regulatory_halo",
        "bare_efficacy",
    ),
}
CATEGORY_OF: dict[str, Category] = {k: c for c, kinds in KINDS.items() for k in kinds}
# What the models predict of a sentence, in this order.
LABELS: tuple[str, ...] = (*CATEGORIES, *(k for c in CATEGORIES for k in KINDS[c]))


@dataclass(frozen=True, slots=True)
class Reference:
    """Official guidance that bears on a kind; relevant, never a verdict of illegality."""

    id: str
    title: str
    clause: str
    year: int
    point: str
    url: str
    jurisdiction: str  # "us" | "eu" | "uk" | "au" | "ca" | "int"
    checked_on: str  # ISO date on which the point was last read


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the guide's kinds of hype: what it is, why it matters, what to ask."""

    id: str
    category: Category
    title: str
    severity: Severity
    why: str
    advice: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern for one kind, with the examples that specify it."""

    id: str  # "cure_claim/cures-condition"
    kind: str
    pattern: str  # RE2, words already expanded
    fires: tuple[str, ...]
    silent: tuple[str, ...]
    unless: tuple[str, ...]  # names of guards
    score: float  # probability that a careful reader would flag what it matches


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, headline, bullet, button or caption: ``[start, end)`` in code points."""

    start: int
    end: int
    block: int  # paragraph, list item, cell or DOM block that it lies in


@dataclass(frozen=True, slots=True)
class Document:
    """A text exactly as given, cut into sentences."""

    id: str
    text: str
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span that may be hype, before the guards have looked at it."""

    kind: str
    sentence: int
    start: int
    end: int
    rule: str | None
    score: float


@dataclass(frozen=True, slots=True)
class Cue:
    """The words that made a guard decide."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A flagged phrase; self-contained, so that a tooltip needs no second call."""

    start: int
    end: int
    text: str
    sentence: int  # index into Report.sentences
    category: Category
    kind: str
    severity: Severity  # from the kind, never from the score
    score: float  # calibrated probability that a careful reader would flag it
    source: Source
    rule: str | None  # stable rule id; None when only the model found it
    why: str
    advice: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Dismissed:
    """A candidate that was silenced, with the guard that did it and its cue."""

    start: int
    end: int
    text: str
    sentence: int
    category: Category
    kind: str
    source: Source
    rule: str | None
    guard: str
    cue: Cue | None  # None where no words decide (guard "unlikely": the model's judgement)
    reason: str


@dataclass(frozen=True, slots=True)
class Region:
    """A part ``[start, end)`` of a text that a comment in it switches off."""

    start: int
    end: int
    names: tuple[str, ...]  # kinds, categories or rule ids; none: everything
    reason: str


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that the user's allow-list accepts: shown, with its reason, but never counted."""

    finding: Finding
    by: Literal["list", "comment"]
    reason: str


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """One line of the patient's checklist over the whole text."""

    id: str
    title: str
    status: Status
    evidence: tuple[Cue, ...]  # where the text states it
    question: str  # what to ask when it does not


@dataclass(frozen=True, slots=True)
class Versions:
    """What produced a report, so that a stored one can be explained later."""

    package: str
    ruleset: str
    model: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything HypeCheck has to say about one text.

    ``findings`` are sorted by (start, end, kind). ``scores`` hold, for each category,
    the probability that a careful reader would flag the text at least once.
    """

    id: str
    text: str
    sentences: tuple[Sentence, ...]
    findings: tuple[Finding, ...]
    dismissed: tuple[Dismissed, ...]
    scores: Mapping[str, float]
    checklist: tuple[ChecklistItem, ...]
    versions: Versions
    # What a reader should know, e.g. "looks non-English".
    notes: tuple[str, ...] = field(default=())
    # The time given ran out: what the transformer did not read was judged by the fast tier.
    incomplete: bool = False
    # Findings that the user's allow-list accepts; in none of the above.
    suppressed: tuple[Suppressed, ...] = ()
