"""The patient's checklist over a whole text: what it states, and what to ask where it does not.

What counts as a statement is data (``rules/checklist.toml``). Here: each item's patterns, joined
to one RE2, are sought until enough evidence is found, and a span counts when it lies in one
sentence that neither asks nor denies it. No RE2 set over all items: their long word lists
multiply in its one automaton. 1 MB of corpus text took 2.5 s with the set and 0.3 s item by
item, 1 MB of shuffled risk words 8 s and 1.2 s, 858 adverts 0.16 s and 0.08 s.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import re2

from hypecheck.errors import RulesetError
from hypecheck.normalise import Normalised
from hypecheck.regexp import Regexp, Span
from hypecheck.ruleset import (
    RULES,
    _check_keys,
    _expand,
    _load_words,
    _read,
    _strings,
    _text,
    unmark,
)
from hypecheck.screen import holds, may_hold
from hypecheck.types import ChecklistItem, Cue, Sentence, Status

SHIPPED = RULES / "checklist.toml"
MAX_EVIDENCE = 3  # spans an item; a reader needs proof, not a concordance
_REACH = 60  # characters before a hit in which a "no" can take it back
_NEGATION = ("cue", "pseudo", "clause")
_SCOPE = ("named", "generic", "medical", "complaint", "offer", "aside")
_GATES = 5  # of them, the last one is none
_LISTS = ("applies", "patterns", "denials", "states", "silent")
_TABLES = {"words", "negation", "applies", "item"}
_ITEM_KEYS = {"id", "title", "question", "more", "negatable", *_LISTS}
_ID = re.compile(r"[a-z]+(_[a-z]+)*\Z")


@dataclass(frozen=True, slots=True)
class Entry:
    """One item as ``checklist.toml`` defines it, with its patterns compiled."""

    id: str
    title: str
    question: str
    applies: Regexp | None
    about: tuple[str, ...]  # what ``applies`` is made of
    evidence: Regexp
    patterns: tuple[str, ...]  # what ``evidence`` is made of
    more: Regexp | None  # carries a hit on along an enumeration
    denials: Regexp | None
    negatable: bool
    states: tuple[str, ...]
    silent: tuple[str, ...]
    not_stated: ChecklistItem
    not_applicable: ChecklistItem


@dataclass(slots=True)
class _Reading:
    """A text being read for one item, with what the hits in one sentence share."""

    text: bytes
    sentences: Sequence[Sentence]
    starts: Sequence[int]
    denied: dict[int, tuple[list[int], list[int]]] = field(default_factory=dict)


class Checklist:
    """Reads texts against the items of one ``checklist.toml``; compile once, check many.

    Attributes:
        entries: the items.
        patterns: what states one of them, over all items.
        gates: what decides which items a text is about; each some alternatives.
        hash: of the file and the words that it uses.

    Example:
        >>> from hypecheck.normalise import normalise
        >>> from hypecheck.segment import segment
        >>> text = "Our clinic offers knee PRP. The fee is $420."
        >>> n = normalise(text)
        >>> items = Checklist().check(n, text, segment(n.text))
        >>> [(i.id, i.evidence[0].text) for i in items if i.status == "stated"]
        [('total_price', '$420')]
    """

    def __init__(self, path: Path = SHIPPED) -> None:
        """Load ``path``.

        Raises:
            RulesetError: the file is unreadable or malformed; file, item and key are named.
        """
        digest = hashlib.sha256()
        table = _read(path, digest)
        _check_keys(table, _TABLES, path, "file")
        local = _table(table, "words", path)
        words = _load_words(RULES / "words.toml", digest)
        words |= {name: _text(local, name, path, "words") for name in local}
        self.hash = digest.hexdigest()[:12]
        self._negation = _group(table, "negation", _NEGATION, words, path)
        self._scope = _group(table, "applies", _SCOPE, words, path)
        entries: dict[str, Entry] = {}
        for n, item in enumerate(table.get("item", []), 1):
            entry = _entry(item, n, words, path)
            if entry.id in entries:
                raise RulesetError(f"{path}: item {entry.id!r}: key 'id': the name is taken")
            entries[entry.id] = entry
        if not entries:
            raise RulesetError(f"{path}: holds no [[item]] table")
        self.entries = tuple(entries.values())
        self.patterns = tuple(p for e in self.entries for p in e.patterns)
        about = [(self._scope[key].pattern[3:-1],) for key in _SCOPE[:_GATES]]  # less "(?:…)"
        self.gates = (*about, *(e.about for e in self.entries if e.about))
        asked = [n for n, e in enumerate(self.entries) if e.about]
        self._about = dict(zip(asked, range(_GATES, len(self.gates)), strict=True))  # their gates
        self._entry_of = [n for n, e in enumerate(self.entries) for _ in e.patterns]
        self._none = tuple(e.not_applicable for e in self.entries)
        self._unstated = tuple(e.not_stated for e in self.entries)
        self._alone: dict[str, Regexp] = {}  # each pattern by itself, once it is needed

    def check(
        self, normalised: Normalised, original: str, sentences: Sequence[Sentence]
    ) -> tuple[ChecklistItem, ...]:
        """Give every item, in the file's order, with its status and evidence.

        Linear in the length of the text. ``sentences`` count in ``normalised.text``; the
        evidence counts in ``original``, code points, half-open.
        """
        return self.check_many([(normalised, original, sentences)])[0]

    def check_many(
        self,
        texts: Sequence[tuple[Normalised, str, Sequence[Sentence]]],
        may: Sequence[Mapping[int, Sequence[int]] | None] | None = None,
        gates: Sequence[int | None] | None = None,
    ) -> list[tuple[ChecklistItem, ...]]:
        """Do :meth:`check` for several texts.

        Args:
            texts: of each its normalised form, itself, and its sentences.
            may: of each the numbers of the :attr:`patterns` that may match in it, and in which
                sentences (-1: anywhere), where that is known.
            gates: of each what is known of the :attr:`gates`, see :func:`hypecheck.screen.holds`.
        """
        raw = [n.text.encode("ascii") for n, _, _ in texts]
        gates = gates or [None] * len(texts)
        may = may or [None] * len(texts)
        offered = [d for d, t in enumerate(raw) if self._offered(t, gates[d])]
        found = self._evidence(raw, [s for _, _, s in texts], offered, may)
        out = [self._none] * len(texts)
        for d in offered:
            normalised, original, _ = texts[d]
            out[d] = self._items(raw[d], gates[d], found.get(d, {}), normalised, original)
        return out

    def _evidence(
        self,
        raw: Sequence[bytes],
        sentences: Sequence[Sequence[Sentence]],
        numbers: Sequence[int],
        may: Sequence[Mapping[int, Sequence[int]] | None],
    ) -> dict[int, dict[int, list[tuple[int, int]]]]:
        """Give where texts state items, in the normalised text: by text, by number of the entry."""
        # Item by item: an automaton is fast as long as it stays in the cache.
        wanted: dict[int, dict[int, dict[int, Sequence[int]] | None]] = {}
        for d in numbers:
            known = may[d]
            if known is None:
                for n in range(len(self.entries)):
                    wanted.setdefault(n, {})[d] = None
                continue
            for i in sorted(known):
                if i < len(self._entry_of):
                    here = wanted.setdefault(self._entry_of[i], {}).setdefault(d, {})
                    if here is not None:
                        here[i] = known[i]
        found: dict[int, dict[int, list[tuple[int, int]]]] = {}
        for n, places in wanted.items():
            entry = self.entries[n]
            for d, where in places.items():
                reading = _Reading(raw[d], sentences[d], [s.start for s in sentences[d]])
                found.setdefault(d, {})[n] = (
                    self._find(entry, (entry.evidence,), reading)
                    if where is None
                    else self._find_there(entry, where, reading)
                )
        return found

    def _items(
        self,
        raw: bytes,
        gates: int | None,
        found: Mapping[int, Sequence[tuple[int, int]]],
        normalised: Normalised,
        original: str,
    ) -> tuple[ChecklistItem, ...]:
        """Give the items of a text that offers a treatment."""
        items = list(self._unstated)
        for n, about in self._about.items():
            entry = self.entries[n]
            if entry.applies and not holds(gates, about, entry.applies, raw):
                items[n] = entry.not_applicable
        for n, hits in found.items():
            if hits:
                e = self.entries[n]
                spans = [normalised.span(*hit) for hit in hits]
                evidence = tuple([Cue(a, b, original[a:b]) for a, b in spans])
                items[n] = ChecklistItem(e.id, e.title, "stated", evidence, e.question)
        return tuple(items)

    def _one(self, number: int) -> Regexp:
        """Give one of the patterns by itself."""
        pattern = self.patterns[number]
        regexp = self._alone.get(pattern)
        if regexp is None:
            regexp = self._alone[pattern] = Regexp(pattern)
        return regexp

    def _offered(self, text: bytes, gates: int | None) -> bool:
        """Tell whether a text offers the reader a treatment; how, stands in the TOML."""

        def says(name: str) -> bool:
            return holds(gates, _SCOPE.index(name), self._scope[name], text)

        def often() -> bool:
            return len(list(islice(self._scope["complaint"].spans(text), 2))) == 2

        if not (
            says("named")
            or (says("generic") and says("medical"))
            or (says("complaint") and often())
        ):
            return False
        if not may_hold(gates, _SCOPE.index("offer")):
            return False
        offer, aside = self._scope["offer"], self._scope["aside"]
        return any(aside.starts(text, a) is None for a, _ in offer.spans(text))

    def _find_there(
        self, entry: Entry, where: Mapping[int, Sequence[int]], reading: _Reading
    ) -> list[tuple[int, int]]:
        """Do what :meth:`_find` does where it is known what may match in which sentence.

        A match lies in its sentence whole: a pattern must not ask for what stands behind it.
        """
        if not where:
            return []
        if any(k < 0 for ks in where.values() for k in ks):
            return self._find(entry, [self._one(i) for i in where], reading)
        by_sentence: dict[int, list[Regexp]] = {}
        for i, ks in where.items():
            for k in ks:
                by_sentence.setdefault(k, []).append(self._one(i))
        found: list[tuple[int, int]] = []
        for k in sorted(by_sentence):
            s = reading.sentences[k]
            pos = s.start
            while len(found) < MAX_EVIDENCE:
                hit = _leftmost(by_sentence[k], reading.text, pos, s.end)
                if hit is None:
                    break
                start, end = _trim(reading.text, *hit)
                end = self._take(entry, reading, k, start, end, found)
                pos = max(hit[1], end, pos + 1)
        return found

    def _take(
        self,
        entry: Entry,
        reading: _Reading,
        k: int,
        start: int,
        end: int,
        found: list[tuple[int, int]],
    ) -> int:
        """Add a hit that counts, carried on along an enumeration; give where it ends."""
        if self._counts(entry, reading, k, start, end):
            limit = reading.sentences[k].end
            while entry.more is not None and (more := entry.more.starts(reading.text, end, limit)):
                end = more[1]
            found.append((start, end))
        return end

    def _find(
        self, entry: Entry, evidence: Sequence[Regexp], reading: _Reading
    ) -> list[tuple[int, int]]:
        """Give the first spans that count, in the normalised text; ``evidence`` is sought."""
        text, sentences = reading.text, reading.sentences
        found: list[tuple[int, int]] = []
        pos = 0
        while len(found) < MAX_EVIDENCE:
            hit = _leftmost(evidence, text, pos, len(text))
            if hit is None:
                break
            start, end = _trim(text, *hit)
            k = bisect_right(reading.starts, start) - 1
            if k < 0 or start >= sentences[k].end:
                # Between sentences: look on from where the next one starts.
                if k + 1 >= len(sentences):
                    break
                pos = max(reading.starts[k + 1], pos + 1)
                continue
            limit = sentences[k].end
            if end > limit:
                # It runs over the sentence's end: look once more, in this sentence only.
                hit = _leftmost(evidence, text, start, limit)
                if hit is None:
                    pos = limit
                    continue
                start, end = _trim(text, *hit)
            end = self._take(entry, reading, k, start, end, found)
            pos = max(hit[1], end, pos + 1)
        return found

    def _counts(self, entry: Entry, reading: _Reading, k: int, start: int, end: int) -> bool:
        """Tell whether a hit states: no question, no "no" before it, none of its denials."""
        text, s = reading.text, reading.sentences[k]
        if text[s.start : s.end].rstrip(b"\"')] ").endswith(b"?"):
            return False
        if entry.negatable and self._negated(text[max(s.start, start - _REACH) : start]):
            return False
        if entry.denials is None:
            return True
        if k not in reading.denied:
            spans = list(entry.denials.spans(text, s.start, s.end))
            reading.denied[k] = [a for a, _ in spans], [b for _, b in spans]
        starts, ends = reading.denied[k]
        return bisect_right(ends, start) == bisect_left(starts, end)  # none of them overlaps

    def _negated(self, before: bytes) -> bool:
        """Tell whether a "no" stands in the last clause of what comes ``before`` a hit."""
        cue, pseudo, clause = (self._negation[key] for key in _NEGATION)
        window = pseudo.without(before)
        start = max((end for _, end in clause.spans(window)), default=0)
        return cue.span(window, start) is not None


def _entry(item: Mapping[str, Any], n: int, words: Mapping[str, str], path: Path) -> Entry:
    where = f"item {item.get('id', f'number {n}')!r}"
    _check_keys(item, _ITEM_KEYS, path, where)
    name = _text(item, "id", path, where)
    if not _ID.match(name):
        raise RulesetError(f"{path}: {where}: key 'id' must be a-z and single underscores")
    lists = {key: _strings(item, key, path, where) for key in _LISTS}
    for key in ("patterns", "states", "silent"):
        if not lists[key]:
            raise RulesetError(f"{path}: {where}: key {key!r} needs at least one entry")
    for example in lists["states"]:
        if len(unmark(example)[1]) != 1:
            raise RulesetError(
                f"{path}: {where}: key 'states': mark exactly one span with [ ] in {example!r}"
            )
    negatable = item.get("negatable", True)
    if not isinstance(negatable, bool):
        raise RulesetError(f"{path}: {where}: key 'negatable' must be true or false")

    def joined(key: str, patterns: Sequence[str]) -> Regexp | None:
        return _compile(patterns, words, path, where, key) if patterns else None

    title, question = (_text(item, key, path, where) for key in ("title", "question"))

    def without(status: Status) -> ChecklistItem:
        return ChecklistItem(name, title, status, (), question)

    return Entry(
        id=name,
        title=title,
        question=question,
        applies=joined("applies", lists["applies"]),
        about=tuple(_expand(p.strip(), words, path, where) for p in lists["applies"]),
        evidence=_compile(lists["patterns"], words, path, where, "patterns"),
        patterns=tuple(_expand(p.strip(), words, path, where) for p in lists["patterns"]),
        more=joined("more", [_text(item, "more", path, where)] if "more" in item else []),
        denials=joined("denials", lists["denials"]),
        negatable=negatable,
        states=lists["states"],
        silent=lists["silent"],
        not_stated=without("not_stated"),
        not_applicable=without("not_applicable"),
    )


def _table(table: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise RulesetError(f"{path}: file: key {key!r} must be a table")
    return value


def _group(
    table: Mapping[str, Any], key: str, names: Sequence[str], words: Mapping[str, str], path: Path
) -> dict[str, Regexp]:
    """Compile a table of patterns in which every one of ``names`` must stand."""
    group = _table(table, key, path)
    _check_keys(group, set(names), path, key)
    return {
        name: _compile([_text(group, name, path, key)], words, path, key, name) for name in names
    }


def _compile(
    patterns: Sequence[str], words: Mapping[str, str], path: Path, where: str, key: str
) -> Regexp:
    """Join ``patterns`` as alternatives of one; an error names the one that is wrong."""
    expanded = [_expand(p.strip(), words, path, where) for p in patterns]
    joined = Regexp("|".join(f"(?:{p})" for p in expanded))
    if path == SHIPPED:  # compiled when it is needed; the tests see that it is right
        return joined
    try:
        if joined.span(b"") is None:
            return joined
    except re2.error:
        pass
    for source, pattern in zip(patterns, expanded, strict=True):
        try:
            compiled = Regexp(pattern).compile()
        except re2.error as e:
            message = e.args[0].decode() if isinstance(e.args[0], bytes) else str(e)
            raise RulesetError(f"{path}: {where}: key {key!r}: {source!r}: {message}") from None
        if compiled.span(b"") is not None:
            raise RulesetError(f"{path}: {where}: key {key!r}: {source!r} matches the empty text")
    raise RulesetError(f"{path}: {where}: key {key!r}: the patterns do not compile together")


def _leftmost(patterns: Sequence[Regexp], text: bytes, pos: int, end: int) -> Span | None:
    """Give what all patterns as alternatives of one would find: leftmost, then the first."""
    best: Span | None = None
    for pattern in patterns:
        span = pattern.span(text, pos, end)
        if span is not None and (best is None or span[0] < best[0]):
            best = span
    return best


def _trim(text: bytes, start: int, end: int) -> tuple[int, int]:
    """Leave out white space and marks around a hit: patterns may start or end in a gap."""
    while start < end and text[start] in b" \t\n.,:;|(":
        start += 1
    while end > start and text[end - 1] in b" \t\n,:;|(":
        end -= 1
    return start, end
