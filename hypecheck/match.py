"""Ruleset x text -> candidates: one pass for all rules, then spans only where it hit.

The pass is RE2's filter: a set over the literals that the patterns cannot match without. A set
over the whole patterns would be one pass too, but their word lists multiply in its automaton: on
858 adverts it took 28 ms each, the filter 0.1 ms (benchmarks/README.md).

The text must be the ASCII text that :mod:`hypecheck.normalise` makes: then byte offsets,
which RE2 counts in, are character offsets.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache

import re2

from hypecheck.ruleset import options
from hypecheck.types import Candidate, Rule, Sentence


class Matcher:
    """Finds every rule's hits; a pattern compiles when the filter first lets it through."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._filter = re2.Filter()
        for rule in self._rules:
            self._filter.Add(rule.pattern.encode(), options())
        if self._rules:
            self._filter.Compile()
        self._compiled: dict[int, re2._Regexp] = {}

    def find(
        self, text: bytes, sentences: Sequence[Sentence], off: frozenset[str] = frozenset()
    ) -> tuple[list[Candidate], list[Candidate]]:
        """Give the candidates in ``text``, each inside one sentence, sorted by start.

        Of overlapping candidates of one kind in one sentence the longest is kept.

        Args:
            text: normalised text.
            sentences: its sentences.
            off: ids of rules that are switched off.

        Returns:
            The candidates, and what rules that are off would have found.
        """
        hidden: list[Candidate] = []
        if not self._rules or not sentences:
            return [], hidden
        starts = [s.start for s in sentences]
        found: dict[tuple[int, str], list[Candidate]] = {}
        # The filter compares its literals with lower-case text.
        for i in sorted(self._filter.Match(text.lower(), True) or ()):
            rule = self._rules[i]
            regexp = self._compiled.get(i)
            if regexp is None:
                regexp = self._compiled[i] = re2.compile(rule.pattern.encode(), options())
            for start, end in _spans(regexp, text, sentences, starts):
                end = _whole_number(text, end)
                k = bisect_right(starts, start) - 1
                c = Candidate(rule.kind, k, start, end, rule.id, rule.score)
                if rule.id in off:
                    hidden.append(c)
                else:
                    found.setdefault((k, rule.kind), []).append(c)
        out: list[Candidate] = []
        for candidates in found.values():
            out += _longest(candidates)
        return sorted(out, key=lambda c: (c.start, c.end, c.kind)), hidden


def _spans(
    regexp: re2._Regexp, text: bytes, sentences: Sequence[Sentence], starts: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Give the spans of one pattern that lie inside one sentence each."""
    hit = regexp.groupindex.get(b"hit", 0)
    pos, stop, size = 0, len(text), len(text)
    while pos < size:
        m = regexp.search(text, pos, stop)
        if m is None:
            if stop == size:
                return
            pos, stop = stop, size  # behind the sentence that was looked into alone
            continue
        start, end = m.span(hit)
        k = bisect_right(starts, start) - 1
        limit = sentences[k].end if k >= 0 else start
        if end > limit > m.start() and stop > limit:
            pos, stop = m.start(), limit  # it runs over the sentence's end: look inside it alone
            continue
        if k >= 0 and sentences[k].start <= start < end <= limit:
            yield start, end
        pos = max(m.end(), pos + 1)
        if pos >= stop:
            stop = size


def _whole_number(text: bytes, end: int) -> int:
    """Give where a hit ends that may have stopped inside a figure such as 1,500."""
    while text[end - 1 : end].isdigit() and text[end : end + 1] in (b",", b"."):
        if not text[end + 1 : end + 2].isdigit():
            break
        end += 2
        while text[end : end + 1].isdigit():
            end += 1
    return end


@lru_cache(maxsize=16)
def matcher(rules: tuple[Rule, ...]) -> Matcher:
    """Give the matcher of ``rules``, compiled once however many checkers share them."""
    return Matcher(rules)


def _longest(candidates: list[Candidate]) -> list[Candidate]:
    kept: list[Candidate] = []
    for c in sorted(candidates, key=lambda c: (c.start - c.end, c.start, c.rule or "")):
        if all(c.end <= k.start or c.start >= k.end for k in kept):
            kept.append(c)
    return kept
