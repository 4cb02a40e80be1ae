"""Measure a checker on labelled texts, sentence by sentence, as a reader would see it."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypecheck.checker import Checker
from hypecheck.corpus import LabelledDocument
from hypecheck.intervals import wilson
from hypecheck.training.splits import units
from hypecheck.types import CATEGORIES, CATEGORY_OF, KINDS, Report

_BOOTSTRAP = 300


@dataclass(frozen=True, slots=True)
class Count:
    """True positives, false positives and misses of one label."""

    tp: int
    fp: int
    fn: int

    @property
    def precision(self) -> float:
        """Give the share of flags that are right; 1 where nothing was flagged."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 1.0

    @property
    def recall(self) -> float:
        """Give the share of labelled sentences that were flagged; 1 where there are none."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 1.0

    @property
    def f1(self) -> float:
        """Give the harmonic mean of precision and recall."""
        return (
            2 * self.tp / (2 * self.tp + self.fp + self.fn) if self.tp + self.fp + self.fn else 1.0
        )


@dataclass
class _Tally:
    tp: Counter[str] = field(default_factory=Counter)
    fp: Counter[str] = field(default_factory=Counter)
    fn: Counter[str] = field(default_factory=Counter)

    def add(self, gold: Iterable[str], found: Iterable[str]) -> None:
        gold, found = set(gold), set(found)
        self.tp.update(gold & found)
        self.fp.update(found - gold)
        self.fn.update(gold - found)

    def plus(self, other: _Tally) -> None:
        self.tp.update(other.tp)
        self.fp.update(other.fp)
        self.fn.update(other.fn)

    def count(self, label: str) -> Count:
        return Count(self.tp[label], self.fp[label], self.fn[label])


@dataclass
class Error:
    """A sentence that was flagged wrongly or missed in a category."""

    document: str
    text: str
    category: str
    wrong: bool  # True: a false flag; False: a miss
    detail: str


_AD = re.compile(
    r"\b(?:ad|ads|sms|caption|post|tweet|flyer|banner|teaser|spot|push|billboard|e-?mail|mailer"
    r"|poster|coupon|deal|broadcast|radio|tv|mail|message|text|reel|story|listing|notification"
    r"|whatsapp|facebook|instagram|tiktok|google|leaflet|voucher|pop-?up)\b",
    re.I,
)
_PAGE = re.compile(
    r"\b(?:clinic|page|blog|faq|landing|website|site|practice|spa|brochure|shop|testimonial"
    r"|advertorial|price|menu|product)",
    re.I,
)
_SOBER = re.compile(
    r"\b(?:news|hospital|regulator|abstract|consent|encyclop|charity|guide|health service|review"
    r"|journal|public|warning|forum|explainer|trial|report|honest|information|newspaper|magazine)",
    re.I,
)
GENRES = ("ad", "page", "sober or other", "contrast")


def genre(document: LabelledDocument) -> str:
    """Sort a text by its ``form`` into one of :data:`GENRES`."""
    form = document.meta.get("form", "")
    if form == "contrast":
        return "contrast"
    if _SOBER.search(form):
        return "sober or other"
    if _AD.search(form):
        return "ad"
    return "page" if _PAGE.search(form) else "sober or other"


@dataclass
class Result:
    """What :func:`evaluate` measured."""

    documents: int
    sentences: int
    per_document: list[_Tally]
    genres: list[str]  # beside ``per_document``
    kinds: _Tally
    confusion: Counter[tuple[str, str]]
    overlaps: list[float]  # character IoU of found and labelled spans, per right flag
    clean: int  # documents without a label
    clean_flagged: int
    errors: list[Error]

    def category(self, category: str) -> Count:
        """Give the counts of one category over all documents."""
        total = _Tally()
        for t in self.per_document:
            total.plus(t)
        return total.count(category)

    def by_genre(self) -> dict[str, dict[str, Any]]:
        """Give, for each genre, its size, its clean share and each category's counts."""
        out: dict[str, dict[str, Any]] = {}
        for name in GENRES:
            total = _Tally()
            rows = [t for t, g in zip(self.per_document, self.genres, strict=True) if g == name]
            for t in rows:
                total.plus(t)
            counts = {c: total.count(c) for c in CATEGORIES}
            if rows:
                out[name] = {
                    "documents": len(rows),
                    "macro_f1": sum(n.f1 for n in counts.values()) / len(counts),
                    **{
                        c: {"precision": n.precision, "recall": n.recall, "labelled": n.tp + n.fn}
                        for c, n in counts.items()
                    },
                }
        return out

    @property
    def macro_f1(self) -> float:
        """Give the mean F1 of the three categories."""
        return sum(self.category(c).f1 for c in CATEGORIES) / len(CATEGORIES)

    def f1_interval(self, category: str) -> tuple[float, float]:
        """Give a 95 % bootstrap interval of F1 over documents."""
        rng = random.Random(0)
        rows = [t.count(category) for t in self.per_document]
        rows = [r for r in rows if r.tp + r.fp + r.fn]
        if not rows:
            return 0.0, 1.0
        values = []
        for _ in range(_BOOTSTRAP):
            pick = rng.choices(rows, k=len(rows))
            values.append(
                Count(sum(r.tp for r in pick), sum(r.fp for r in pick), sum(r.fn for r in pick)).f1
            )
        values.sort()
        return values[int(0.025 * _BOOTSTRAP)], values[int(0.975 * _BOOTSTRAP)]

    def summary(self) -> dict[str, Any]:
        """Give the figures as plain data, for the manifest and ``--json``."""
        out: dict[str, Any] = {
            "documents": self.documents,
            "sentences": self.sentences,
            "macro_f1": round(self.macro_f1, 4),
            "clean_documents": self.clean,
            "clean_documents_flagged": self.clean_flagged,
            "span_iou_at_least_half": round(self.span_share, 4),
            "categories": {},
            "kinds": {},
            "genres": self.by_genre(),
        }
        for c in CATEGORIES:
            n = self.category(c)
            out["categories"][c] = {
                "precision": round(n.precision, 4),
                "precision_interval": [round(x, 4) for x in wilson(n.tp, n.tp + n.fp)],
                "recall": round(n.recall, 4),
                "recall_interval": [round(x, 4) for x in wilson(n.tp, n.tp + n.fn)],
                "f1": round(n.f1, 4),
                "f1_interval": [round(x, 4) for x in self.f1_interval(c)],
                "labelled": n.tp + n.fn,
                "flagged": n.tp + n.fp,
            }
            for k in KINDS[c]:
                n = self.kinds.count(k)
                out["kinds"][k] = {
                    "precision": round(n.precision, 4),
                    "recall": round(n.recall, 4),
                    "f1": round(n.f1, 4),
                    "labelled": n.tp + n.fn,
                    "flagged": n.tp + n.fp,
                }
        return out

    @property
    def span_share(self) -> float:
        """Give the share of right flags whose span has IoU >= 0.5 with the labelled one."""
        return sum(x >= 0.5 for x in self.overlaps) / max(len(self.overlaps), 1)

    def table(self) -> str:
        """Give the figures as a table for people."""
        lines = [
            f"{self.documents} documents, {self.sentences} sentences",
            "",
            f"{'':22}{'precision':>22}{'recall':>22}{'F1':>22}{'labelled':>10}",
        ]
        for c in CATEGORIES:
            n = self.category(c)
            p, r, f = wilson(n.tp, n.tp + n.fp), wilson(n.tp, n.tp + n.fn), self.f1_interval(c)
            lines.append(
                f"{c:22}"
                + _cell(n.precision, p)
                + _cell(n.recall, r)
                + _cell(n.f1, f)
                + f"{n.tp + n.fn:>10}"
            )
        lines.append(f"{'macro F1':22}{self.macro_f1:>58.3f}")
        lines.append("")
        for c in CATEGORIES:
            for k in KINDS[c]:
                n = self.kinds.count(k)
                lines.append(
                    f"  {k:22}P {n.precision:.2f}  R {n.recall:.2f}  F1 {n.f1:.2f}"
                    f"  labelled {n.tp + n.fn}, flagged {n.tp + n.fp}"
                )
        lines.append("")
        for name, row in self.by_genre().items():
            cells = "  ".join(
                f"{c} {row[c]['precision']:.2f}/{row[c]['recall']:.2f}" for c in CATEGORIES
            )
            lines.append(
                f"  {name:16}{row['documents']:>5} documents  macro F1 {row['macro_f1']:.3f}"
                f"  precision/recall: {cells}"
            )
        lines.append("")
        low, high = wilson(self.clean_flagged, self.clean)
        lines.append(
            f"clean documents flagged: {self.clean_flagged} of {self.clean}"
            f" ({self.clean_flagged / max(self.clean, 1):.1%}, {low:.1%} to {high:.1%})"
        )
        lines.append(
            f"spans: mean IoU {sum(self.overlaps) / max(len(self.overlaps), 1):.2f},"
            f" at least 0.5 in {self.span_share:.0%} of {len(self.overlaps)} right flags"
        )
        mixed = [(pair, n) for pair, n in self.confusion.most_common() if pair[0] != pair[1]]
        if mixed:
            lines.append("most confused kinds (labelled -> found):")
            lines += [f"  {a} -> {b}: {n}" for (a, b), n in mixed[:8]]
        return "\n".join(lines)


def _cell(value: float, interval: tuple[float, float]) -> str:
    return f"{value:>8.3f} ({interval[0]:.2f}-{interval[1]:.2f})"


def evaluate(documents: Iterable[LabelledDocument], checker: Checker) -> Result:
    """Check each labelled text whole and compare, sentence by sentence, with its labels.

    A finding counts for the labelled sentence that holds most of it. Unsure sentences are left
    out, on both sides.
    """
    labelled = list(units(documents))
    result = Result(len(labelled), 0, [], [], _Tally(), Counter(), [], 0, 0, [])
    reports = checker.check_many((d.id, d.text) for d in labelled)
    for d, report in zip(labelled, reports, strict=True):
        found = _by_line(d, report)
        tally = _Tally()
        for i, s in enumerate(d.sentences):
            if s.unsure:
                continue
            result.sentences += 1
            categories = {f[1] for f in found[i]}
            kinds = {f[0] for f in found[i]}
            tally.add(s.categories, categories)
            result.kinds.add(s.kinds, kinds)
            _compare(result, d, i, found[i])
        result.per_document.append(tally)
        result.genres.append(genre(d))
        if not any(s.flags or s.unsure for s in d.sentences):
            result.clean += 1
            result.clean_flagged += bool(report.findings)
    return result


def _by_line(d: LabelledDocument, report: Report) -> list[list[tuple[str, str, int, int, float]]]:
    """Give, for each labelled line, (kind, category, start, end, score) within the line."""
    out: list[list[tuple[str, str, int, int, float]]] = [[] for _ in d.sentences]
    spans = d.spans
    for f in report.findings:
        best = max(
            range(len(spans)), key=lambda i: min(f.end, spans[i][1]) - max(f.start, spans[i][0])
        )
        a, b = spans[best]
        out[best].append((f.kind, f.category, max(f.start, a) - a, min(f.end, b) - a, f.score))
    return out


def _compare(
    result: Result,
    d: LabelledDocument,
    i: int,
    found: Sequence[tuple[str, str, int, int, float]],
) -> None:
    s = d.sentences[i]
    for category in CATEGORIES:
        here = [f for f in found if f[1] == category]
        gold = [f for f in s.flags if any(CATEGORY_OF[k] == category for k in f.kinds)]
        if here and gold:
            a = {x for f in here for x in range(f[2], f[3])}
            b = {x for f in gold for x in range(f.start, f.end)}
            result.overlaps.append(len(a & b) / max(len(a | b), 1))
            kinds = {k for f in gold for k in f.kinds if CATEGORY_OF[k] == category}
            guess = {f[0] for f in here}
            if not kinds & guess:
                result.confusion[min(kinds), min(guess)] += 1
        elif here:
            result.errors += [
                Error(d.id, s.text, category, True, f"{f[0]} {f[4]:.2f}: {s.text[f[2] : f[3]]}")
                for f in here
            ]
        elif gold:
            result.errors.append(
                Error(d.id, s.text, category, False, "; ".join("+".join(f.kinds) for f in gold))
            )
