"""Run the examples that specify the rules, through the same pipeline as any text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hypecheck.checker import Checker
from hypecheck.ruleset import unmark
from hypecheck.types import Rule


@dataclass(frozen=True, slots=True)
class Failure:
    """An example that does not hold."""

    rule: str
    example: str
    problem: str


def check_examples(checker: Checker, rules: Iterable[Rule]) -> Iterator[Failure]:
    """Give each example of ``rules`` that fails; ``checker`` should use rules only, broadly.

    ``fires``: exactly one finding of the rule's kind, at the marked span. ``silent``: none.
    """
    for rule in rules:
        for example in rule.fires:
            text, spans = unmark(example)
            report = checker.check(text)
            got = [f for f in report.findings if f.kind == rule.kind]
            if [(f.start, f.end) for f in got] != list(spans):
                found = ", ".join(repr(f.text) for f in got) or "nothing"
                guards = ", ".join(
                    f"{d.text!r} silenced as {d.guard} by {d.cue.text if d.cue else ''!r}"
                    for d in report.dismissed
                    if d.kind == rule.kind
                )
                yield Failure(
                    rule.id, example, f"fires on {found}" + (f" ({guards})" if guards else "")
                )
        for example in rule.silent:
            got = [f for f in checker.check(example).findings if f.kind == rule.kind]
            if got:
                yield Failure(
                    rule.id, example, f"not silent: {got[0].rule} fires on {got[0].text!r}"
                )
