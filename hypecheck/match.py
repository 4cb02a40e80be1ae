"""Ruleset x text -> candidates: one pass for all rules, then spans only where it hit.

The pass looks for the literals that the patterns cannot match without (:mod:`hypecheck.screen`, or
RE2's filter where nothing is compiled). A set over the whole patterns would be one pass too, but
their word lists multiply in its automaton: on 858 adverts it took 28 ms each, RE2's filter 0.1 ms
(benchmarks/README.md). Where the pass knows at which words a pattern may begin, RE2 is asked there
alone: an automaton that need not look for the beginning is smaller, and soon done.

The text must be the ASCII text that :mod:`hypecheck.normalise` makes: then byte offsets,
which RE2 counts in, are character offsets.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import NamedTuple, TypeAlias

import re2

from hypecheck.joined import Joined
from hypecheck.literals import begins_text
from hypecheck.native import library
from hypecheck.regexp import Regexp, options
from hypecheck.ruleset import unmark
from hypecheck.screen import WHOLE, Screen
from hypecheck.types import Candidate, Rule, Sentence

Hit: TypeAlias = tuple[int, int, int, int]  # rule, sentence, and the hit's span


class Found(NamedTuple):
    """What one text holds."""

    live: list[Candidate]
    hidden: list[Candidate]  # what rules that are off would have found
    # Which of the other patterns may match, and in which sentences (WHOLE: anywhere); None: any.
    others: Mapping[int, Sequence[int]] | None
    gates: int | None  # which gates match, see :func:`hypecheck.screen.holds`


class Matcher:
    """Finds every rule's hits; a pattern compiles when the filter first lets it through.

    Args:
        rules: what is found.
        others: patterns of somebody else, who is told where they may match; what counts of their
            matches lies in one sentence.
        inside: more of them, numbered behind; their matches lie in a sentence whole.
        gates: more of them, each some alternatives, of which only asked is whether they match.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        others: Sequence[str] = (),
        inside: Sequence[str] = (),
        gates: Sequence[Sequence[str]] = (),
    ) -> None:
        self._rules = tuple(rules)
        self._others = (*others, *inside)
        self._n_inside = len(inside)
        self._gates = tuple(gates)
        self._compiled: dict[int, Regexp] = {}
        # Rules that match at the beginning of a text alone: of what a screen lets through for them,
        # in other sentences, nothing is to be looked at.
        self._first = {i for i, r in enumerate(self._rules) if begins_text(r.pattern)}
        self._screen: Screen | None = None

    @cached_property
    def _filter(self) -> re2.Filter:
        out = re2.Filter()
        for rule in self._rules:
            out.Add(rule.pattern.encode(), options())
        if self._rules:
            out.Compile()
        return out

    def _regexp(self, i: int) -> Regexp:
        regexp = self._compiled.get(i)
        if regexp is None:
            regexp = self._compiled[i] = Regexp(self._rules[i].pattern)
        return regexp

    def find_many(
        self,
        texts: Sequence[str],
        sentences: Sequence[Sequence[Sentence]],
        off: frozenset[str] = frozenset(),
        joined: Joined | None = None,
    ) -> list[Found]:
        """Do what :meth:`find` does for many texts, where there is a compiled core in one pass.

        Args:
            texts: normalised texts.
            sentences: of each its sentences.
            off: see :meth:`find`.
            joined: the same texts and sentences, where they are joined already.
        """
        if self._screen is None and self._rules:
            self._screen = self._make_screen()
        if self._screen is None:
            both = zip(texts, sentences, strict=True)
            return [Found(*self.find(t.encode("ascii"), s, off), None, None) for t, s in both]
        rules = len(self._rules)
        always = [i for i in self._screen.always if i < rules]
        unscreened = {i - rules: [WHOLE] for i in self._screen.always if i >= rules}
        joined = joined or Joined.of(texts, sentences)
        seen = self._screen.find(joined)
        # Rule by rule, not text by text: an automaton is fast as long as it stays in the cache.
        jobs: list[tuple[int, int, int, Sequence[int] | None]] = []  # rule, text, sentence, places
        others: list[Mapping[int, Sequence[int]]] = []
        flat = seen.jobs
        at = 0
        for d, (last, first) in enumerate(zip(seen.last, joined.edges, strict=False)):
            may = unscreened
            if at < last:
                may = {i: list(k) for i, k in unscreened.items()}
            while at < last:
                k, i, n = flat[at : at + 3]
                k = WHOLE if k < 0 else k - first
                at += 3
                if i >= rules:
                    may.setdefault(i - rules, []).append(k)
                elif k <= 0 or i not in self._first:
                    jobs.append((i, d, k, None if n < 0 else flat[at : at + n]))
                at += max(n, 0)
            others.append(may)
            jobs += [(i, d, WHOLE, None) for i in always]
        raw = [t.encode("ascii") for t in texts]
        hits: dict[int, list[Hit]] = {}
        jobs.sort(key=itemgetter(0))
        for i, d, k, places in jobs:
            if not sentences[d]:
                continue
            to = hits.setdefault(d, [])
            if k == WHOLE:
                self._anywhere(i, raw[d], sentences[d], to)
            elif places is None:
                self._inside(i, k, raw[d], sentences[d], to)
            else:
                self._at(i, k, places, raw[d], sentences[d], to)
        none: tuple[list[Candidate], list[Candidate]] = [], []
        out = []
        for d, gates in enumerate(seen.gates):
            found = hits.get(d)
            live, hidden = self._sorted(raw[d], found, off) if found else none
            out.append(Found(live, hidden, others[d], gates))
        return out

    def _make_screen(self) -> Screen | None:
        """Make the screen; None without a compiled core."""
        lib = library()
        if lib is None:
            return None
        patterns = [[r.pattern] for r in self._rules] + [[p] for p in self._others]
        # What begins between sentences counts for no rule; for the others it may.
        whole: list[bool | None] = [self._reaches(i) for i in range(len(self._rules))]
        whole += [None] * (len(self._others) - self._n_inside) + [False] * self._n_inside
        # Some of what the rules are made for: more would take longer to count than it gains.
        sample = [unmark(x)[0].lower() for r in self._rules for x in (*r.fires, *r.silent)[::4]]
        return Screen(lib, patterns, whole, sample, self._gates, len(self._rules))

    def _reaches(self, i: int) -> bool:
        """Tell whether a rule's matches may reach beyond the sentence of their hit."""
        return "<hit>" in self._rules[i].pattern

    def _anywhere(
        self,
        i: int,
        text: bytes,
        sentences: Sequence[Sentence],
        hits: list[Hit],
    ) -> None:
        if not self._reaches(i):
            for k in range(len(sentences)):
                self._inside(i, k, text, sentences, hits)
            return
        starts = [s.start for s in sentences]
        for start, end in _spans(self._regexp(i), text, sentences, starts):
            hits.append((i, bisect_right(starts, start) - 1, start, end))

    def _inside(
        self,
        i: int,
        k: int,
        text: bytes,
        sentences: Sequence[Sentence],
        hits: list[Hit],
    ) -> None:
        """Find one rule, whose matches lie in one sentence, in one.

        It looks from where the sentence before ends: a match that begins in the gap, with a list's
        number, takes its words away from a later one.
        """
        regexp = self._regexp(i)
        s = sentences[k]
        pos = sentences[k - 1].end if k else 0
        while pos < s.end:
            found = regexp.span(text, pos, s.end)
            if found is None:
                return
            start, end = found
            if s.start <= start < end:
                hits.append((i, k, start, end))
            pos = max(end, pos + 1)

    def _at(
        self,
        i: int,
        k: int,
        places: Sequence[int],
        text: bytes,
        sentences: Sequence[Sentence],
        hits: list[Hit],
    ) -> None:
        """Do what :meth:`_inside` does where it is known at which places a match may begin."""
        regexp = self._regexp(i)
        s = sentences[k]
        pos = sentences[k - 1].end if k else 0
        for place in places:
            if place < pos:
                continue
            found = regexp.starts(text, place, s.end)
            if found is not None:
                if s.start <= place < found[1]:
                    hits.append((i, k, place, found[1]))
                pos = max(found[1], place + 1)

    def _sorted(
        self, text: bytes, hits: Sequence[Hit], off: frozenset[str]
    ) -> tuple[list[Candidate], list[Candidate]]:
        """Make candidates; of overlapping ones of one kind in one sentence keep the longest."""
        hidden: list[Candidate] = []
        found: dict[tuple[int, str], list[Candidate]] = {}
        for i, k, start, end in hits:
            rule = self._rules[i]
            end = _whole_number(text, end)
            c = Candidate(rule.kind, k, start, end, rule.id, rule.score)
            if rule.id in off:
                hidden.append(c)
            else:
                found.setdefault((k, rule.kind), []).append(c)
        out: list[Candidate] = []
        for candidates in found.values():
            out += _longest(candidates) if len(candidates) > 1 else candidates
        return sorted(out, key=lambda c: (c.start, c.end, c.kind)), hidden

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
        if not self._rules or not sentences:
            return [], []
        hits: list[Hit] = []
        # The filter compares its literals with lower-case text.
        for i in sorted(self._filter.Match(text.lower(), True) or ()):
            self._anywhere(i, text, sentences, hits)
        return self._sorted(text, hits, off)


def _spans(
    regexp: Regexp, text: bytes, sentences: Sequence[Sentence], starts: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Give the spans of one pattern that lie inside one sentence each."""
    pos, stop, size = 0, len(text), len(text)
    while pos < size:
        groups = regexp.groups(text, pos, stop)
        if groups is None:
            if stop == size:
                return
            pos, stop = stop, size  # behind the sentence that was looked into alone
            continue
        start, end = groups[regexp.hit]
        k = bisect_right(starts, start) - 1
        limit = sentences[k].end if k >= 0 else start
        if end > limit > groups[0][0] and stop > limit:
            pos, stop = groups[0][0], limit  # it runs over the sentence's end: look inside it alone
            continue
        if k >= 0 and sentences[k].start <= start < end <= limit:
            yield start, end
        pos = max(groups[0][1], pos + 1)
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
def matcher(
    rules: tuple[Rule, ...],
    others: tuple[str, ...] = (),
    inside: tuple[str, ...] = (),
    gates: tuple[tuple[str, ...], ...] = (),
) -> Matcher:
    """Give the matcher of ``rules``, compiled once however many checkers share them."""
    return Matcher(rules, others, inside, gates)


def _longest(candidates: list[Candidate]) -> list[Candidate]:
    kept: list[Candidate] = []
    for c in sorted(candidates, key=lambda c: (c.start - c.end, c.start, c.rule or "")):
        if all(c.end <= k.start or c.start >= k.end for k in kept):
            kept.append(c)
    return kept
