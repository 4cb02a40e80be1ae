"""Measure the rules on labelled texts: what a rule's hit is worth without a model behind it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from hypecheck.checker import Checker
from hypecheck.training.examples import Example
from hypecheck.types import CATEGORY_OF


def score_rules(examples: Sequence[Example], checker: Checker) -> dict[str, float]:
    """Measure each rule: the share of its unsilenced hits whose sentence carries its category.

    Smoothed towards its kind's mean with five pseudo-hits, so that rare rules stay modest.
    """
    hits: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for e in examples:
        for c, guard in zip(e.candidates, e.silenced, strict=True):
            s = e.sentences[c.sentence]
            if guard is None and not s.unsure and c.rule:
                hits[c.rule] += 1
                right[c.rule] += CATEGORY_OF[c.kind] in s.categories
    by_kind: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for r in checker.ruleset.rules:
        by_kind[r.kind][0] += hits[r.id]
        by_kind[r.kind][1] += right[r.id]
    out = {}
    for r in checker.ruleset.rules:
        n, k = by_kind[r.kind]
        prior = (k + 3) / (n + 5)
        out[r.id] = round((right[r.id] + 5 * prior) / (hits[r.id] + 5), 3)
    return out


def write_scores(scores: dict[str, float], path: Path) -> None:
    """Write ``rules/scores.toml``."""
    lines = [
        "# Written by `hypecheck train`: the share of each rule's hits, after the guards, that",
        "# careful readers flagged in its category (training split, smoothed).",
        "",
        "[precision]",
        *(f'"{k}" = {v}' for k, v in sorted(scores.items())),
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")
