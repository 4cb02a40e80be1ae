"""Behaviour tests in the CheckList manner (Ribeiro et al. 2020): minimal pairs by capability.

The pairs stand in ``data/behaviour.toml``; nothing is trained on them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hypecheck.checker import Checker
from hypecheck.errors import CorpusError
from hypecheck.types import CATEGORIES, Report

Expectation = Literal["silences", "keeps", "stays_silent"]
_EXPECTATIONS = ("silences", "keeps", "stays_silent")


@dataclass(frozen=True, slots=True)
class Pair:
    """A hyped text and its counterpart, with the category in question."""

    category: str
    hype: str
    other: str


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability; what it expects of ``other``: a flag (``keeps``), or none."""

    name: str
    what: str
    expect: Expectation
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a capability went."""

    capability: Capability
    hype_flagged: int  # hyped sides that are flagged in their category
    passed: int  # counterparts that are as they should be
    failed: tuple[Pair, ...]  # pairs whose counterpart is not


def read(path: Path) -> tuple[Capability, ...]:
    """Read the pairs.

    Raises:
        CorpusError: not TOML, or a table lacks a key or holds an unknown value.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise CorpusError(f"{path}: {e}") from None
    out = []
    for n, c in enumerate(table.get("capability", []), 1):
        try:
            pairs = tuple(Pair(p["category"], p["hype"], p["other"]) for p in c["pairs"])
            capability = Capability(c["name"], c["what"], c["expect"], pairs)
        except (KeyError, TypeError) as e:
            raise CorpusError(f"{path}: capability {n}: {e}") from None
        if capability.expect not in _EXPECTATIONS:
            raise CorpusError(f"{path}: capability {n}: unknown 'expect' {capability.expect!r}")
        for p in pairs:
            if capability.expect != "stays_silent" and p.category not in CATEGORIES:
                raise CorpusError(f"{path}: capability {n}: unknown category {p.category!r}")
        out.append(capability)
    return tuple(out)


def run(capabilities: Sequence[Capability], checker: Checker) -> list[Outcome]:
    """Check every pair."""
    out = []
    for c in capabilities:
        hype = checker.check_many(p.hype for p in c.pairs)
        other = checker.check_many(p.other for p in c.pairs)
        flagged = 0
        failed = []
        for p, h, o in zip(c.pairs, hype, other, strict=True):
            flagged += _flagged(h, p.category)
            if c.expect == "stays_silent":
                right = not o.findings
            else:
                right = _flagged(o, p.category) == (c.expect == "keeps")
            if not right:
                failed.append(p)
        out.append(Outcome(c, flagged, len(c.pairs) - len(failed), tuple(failed)))
    return out


def table(outcomes: Sequence[Outcome]) -> str:
    """Give the pass rates as a Markdown table."""
    lines = [
        "| capability | what | pairs | hype flagged | counterpart as it should be |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for o in outcomes:
        n = len(o.capability.pairs)
        hype = "–" if o.capability.expect == "stays_silent" else f"{o.hype_flagged / n:.0%}"
        lines.append(
            f"| {o.capability.name} | {o.capability.what} | {n} | {hype} | {o.passed / n:.0%} |"
        )
    return "\n".join(lines)


def _flagged(report: Report, category: str) -> bool:
    return any(f.category == category for f in report.findings)
