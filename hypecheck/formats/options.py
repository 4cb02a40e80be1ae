"""What a user may ask of an output format, the same for all of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from hypecheck.types import Report


@dataclass(frozen=True, slots=True)
class Options:
    """Choices of the user; a format ignores those that it has no use for."""

    include_text: bool = False  # json, jsonl: the text itself beside the findings
    explain: bool = False  # text, html: what was looked at and dismissed, with the reason
    colour: bool = False  # text: ANSI colours; off where NO_COLOR is set or no terminal listens
    width: int = 80  # text: columns
    titles: Mapping[str, str] = field(default_factory=dict)  # kind id: its title in the rule set
    # github, sarif: inputs whose text was taken out of HTML, so that its lines are not the file's;
    # may grow while reports come.
    extracted: Collection[str] = ()

    def title(self, kind: str) -> str:
        """Give a kind's or a category's title; its id in words where the rule set has none."""
        return self.titles.get(kind) or kind.replace("_", " ").capitalize()


def summary(report: Report, options: Options) -> str:
    """Say in one line what a report found.

    >>> from hypecheck.types import Versions
    >>> summary(Report("a", "Hi", (), (), (), {}, (), Versions("1", "x", None)), Options())
    'Nothing flagged.'
    """
    found = report.findings
    if not found:
        out = "Nothing flagged."
    else:
        inside = len({f.sentence for f in found})
        counts: dict[str, int] = {}
        for f in found:
            counts[f.category] = counts.get(f.category, 0) + 1
        parts = (f"{n} {options.title(c).lower()}" for c, n in counts.items())
        out = (
            f"{plural(len(found), 'phrase')} flagged in {inside} of "
            f"{plural(len(report.sentences), 'sentence')}: {', '.join(parts)}."
        )
    if report.suppressed:
        out += f" {len(report.suppressed)} more accepted by your allow-list."
    asked = [c for c in report.checklist if c.status != "not_applicable"]
    if asked:
        stated = sum(1 for c in asked if c.status == "stated")
        out += f" Checklist: {stated} of {len(asked)} stated."
    return out


def plural(n: int, noun: str) -> str:
    """Give "1 phrase", "2 phrases"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def found_by(source: str, rule: str | None) -> str:
    """Say who flagged a phrase: a rule by its id, the model, or both."""
    if source == "model":
        return "model"
    return (f"rule {rule}" if rule else "rule") + (" and model" if source == "both" else "")


def without_ask(advice: str) -> str:
    """Give what to ask for use behind the label "Ask", without the word itself.

    >>> without_ask("Ask for the number of patients.")
    'for the number of patients.'
    """
    return re.sub(r"\AAsk\b:?\s*(?=\S)", "", advice)


DISCLAIMER = "Relevant guidance, not legal or medical advice."
