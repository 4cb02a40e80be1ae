"""What a text must hold for an RE2 pattern to match in it: words in lower case, found in one pass.

A pattern becomes ways to match, a way places, one behind the other, a place clauses, a clause
literals: where the pattern matches, the match holds, for at least one way, at least one literal of
every clause; and all of a place lies behind the place before. The reading is careful: what it does
not know makes a pattern unreadable, and that is always tried.
A literal that begins or ends with :data:`EDGE` stands at the edge of a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Clause: TypeAlias = frozenset[str]
Place: TypeAlias = tuple[Clause, ...]
Way: TypeAlias = tuple[Place, ...]
EDGE = "\b"
_PRODUCT = 48  # literals that joining two parts of a pattern may give
_WAYS = 32  # of one part of a pattern
_RANKS = 3  # clauses that ways give together where they are too many
_UNION = 4000  # literals of one clause
_TOKEN = re.compile(r"\\.|\[(?:\\.|\[:\^?\w+:\]|[^\]\\])(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|[()]", re.S)
_TOKEN_OR_BAR = re.compile(_TOKEN.pattern + r"|\|", re.S)
_WORDS = re.compile(r"\\b\(\?:(?P<words>.*)\)(?P<edge>\\b)?", re.S)
_AT_START = re.compile(r"\^(?![*+?{])")
# What ``finite`` does not follow: places that are not edges of words, case, nothing repeated.
_ELSEWHERE = re.compile(r"(?<!\\)[\^$]|\\[BAz]|\(\?[a-zA-Z]*-|\{0")
_RUN = re.compile(r"[A-Za-z0-9 ',/&-]+(?![*+?{])")
_GROUP = re.compile(r"\(\?(?:P?<[A-Za-z_]\w*>|[imsU-]*:)")
_FLAGS = re.compile(r"\(\?[imsU-]+\)")
_REPEAT = re.compile(r"(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})\??")
_DIGITS = frozenset("0123456789")
_EMPTY = frozenset([""])
_WORD = "abcdefghijklmnopqrstuvwxyz0123456789_"
_TELLING = _DIGITS.union('%$!?*^"&+=')  # characters that say something alone
_OPEN: tuple[Way, ...] = ((),)  # one way, that needs nothing


class UnreadableError(Exception):
    """A pattern that this module does not understand; RE2 may well."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is known of a part of a pattern.

    ``exact``: one of these, in lower case, ends every match; None where they are too many to list.
    ``whole``: it is all of the match. ``ways``: what a match holds before that. ``empty``: it may
    match nothing. ``plain``: if it matches something, that begins with a letter, a digit or ``$``.
    ``start``: one of these begins every match that is not empty; None where they are too many or
    unknown.
    """

    exact: frozenset[str] | None
    ways: tuple[Way, ...] = _OPEN
    empty: bool = False
    plain: bool = False
    whole: bool = True
    start: frozenset[str] | None = None


_NOTHING = Part(_EMPTY, _OPEN, True, True)
_EDGE = Part(frozenset([EDGE]), _OPEN, True, True)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a text must hold for a pattern to match."""

    ways: tuple[Way, ...]  # one without places is always open
    plain: bool  # every match begins with a letter, a digit or "$"
    start: Clause | None  # one of these stands where a match begins; None: unknown


class Reader:
    """Reads patterns; groups that several share are read once."""

    def __init__(self) -> None:
        self._groups: dict[str, Part] = {}

    def read(self, pattern: str) -> Needs:
        """Give what ``pattern`` needs.

        Raises:
            UnreadableError: it holds something unknown here.
        """
        parts = list(_Pattern(pattern, self._groups).alternatives())
        plain = all(p.plain and not p.empty for p in parts)
        ways = dict.fromkeys(w for p in parts for w in _all_ways(p))
        return Needs(_OPEN if () in ways else tuple(ways), plain, _start(parts))


def finite(patterns: Iterable[str]) -> frozenset[str] | None:
    r"""Give the literals of which one stands in a text just where one of ``patterns`` matches.

    None where that cannot be said by literals. Read are patterns of the form ``\b(?:…)\b`` whose
    alternatives are words and phrases; ``\w*`` and ``\w+`` may end one.

    >>> sorted(finite([r"\b(?:pain|inject\w*)\b"]))
    ['\x08inject', '\x08pain\x08']
    """
    found: set[str] = set()
    try:
        for pattern in patterns:
            m = _WORDS.fullmatch(pattern)
            if m is None or _ELSEWHERE.search(pattern):
                return None
            for alternative in _split(m["words"]):
                found |= _listed(alternative, bool(m["edge"]))
    except UnreadableError:
        return None
    return _plain(found)


def begins_text(pattern: str) -> bool:
    """Tell whether a pattern matches at the beginning of a text alone; False where it is unclear.

    >>> begins_text("^(?:a|b)"), begins_text("^a|b"), begins_text("a")
    (True, False, False)
    """
    try:
        return _AT_START.match(pattern) is not None and len(list(_split(pattern))) == 1
    except UnreadableError:
        return False


def _split(words: str) -> Iterator[str]:
    """Cut alternatives apart; those in groups and classes stay together.

    Raises:
        UnreadableError: a group is closed that was not opened here.
    """
    depth = last = 0
    for m in _TOKEN_OR_BAR.finditer(words):
        depth += (m[0] == "(") - (m[0] == ")")
        if depth < 0:
            raise UnreadableError(words)
        if m[0] == "|" and depth == 0:
            yield words[last : m.start()]
            last = m.end()
    yield words[last:]


def _listed(alternative: str, edge: bool) -> set[str]:
    """Give the literals of one alternative, which begins at the edge of a word.

    Raises:
        UnreadableError: it has others besides.
    """
    more = alternative[-3:] if alternative.endswith((r"\w*", r"\w+")) else ""
    body = alternative.removesuffix(more)
    if more and edge and not _is_word(body[-1:]):
        raise UnreadableError(alternative)  # the edge may stand before what goes on
    found: set[str] = set()
    for part in _Pattern(rf"\b{body}" + r"\b" * (edge and not more), {}).alternatives():
        if part.exact is None or not part.whole:
            raise UnreadableError(alternative)
        found |= part.exact
    return {x + c for x in found for c in _WORD} if more == r"\w+" else found


def _plain(literals: set[str]) -> frozenset[str] | None:
    """Leave out literals that say nothing beside others; None where an edge is none of a word."""
    out = set()
    for x in literals:
        body = x.strip(EDGE)
        ends = [(body[:k] + EDGE) for k in range(1, len(body)) if not _is_word(body[k])]
        if any(x[: len(x) - len(x.lstrip(EDGE))] + end in literals for end in ends):
            continue  # "dr." where "dr" is enough
        first, last = x.startswith(EDGE), x.endswith(EDGE)
        if (
            not body
            or EDGE in body
            or (first and not _is_word(body[0]))
            or (last and not _is_word(body[-1]))
        ):
            return None
        out.add(EDGE * first + body + EDGE * last)
    return frozenset(out)


def _start(parts: Sequence[Part]) -> Clause | None:
    """Give what begins the matches of alternatives, as literals that tell something."""
    found: set[str] = set()
    for p in parts:
        start = _starts(p)
        if start is None or p.empty:
            return None
        clause = _clause(start)
        if not clause:
            return None
        found |= clause[0]
    return frozenset(found) if len(found) <= _UNION else None


def _starts(part: Part) -> frozenset[str] | None:
    return part.exact if part.whole and part.exact is not None else part.start


def _starts_of_both(a: Part, b: Part) -> frozenset[str] | None:
    """Give what begins one part and another behind it."""
    first, second = _starts(a), _starts(b)
    if first is None:
        return None
    if second is not None and b.empty:
        second |= _EMPTY
    silent = {x for x in first if not x.strip(EDGE)}
    if a.whole and a.exact is not None:
        if second is not None and len(first) * len(second) <= _PRODUCT:
            return frozenset(x + y for x in first for y in second)
    elif a.empty:
        silent = silent or {""}
    if not silent:
        return first
    if second is None:
        return None
    return first - silent | {x + y for x in silent for y in second}


class _Pattern:
    """One pattern being read."""

    def __init__(self, text: str, groups: dict[str, Part]) -> None:
        self._text = text
        self._groups = groups
        self._close: dict[int, int] = {}
        self._class: dict[int, int] = {}
        is_open: list[int] = []
        for m in _TOKEN.finditer(text):
            token = m[0]
            if token == "(":
                is_open.append(m.start())
            elif token == ")":
                if not is_open:
                    raise UnreadableError(text)
                self._close[is_open.pop()] = m.start()
            elif token[0] == "[":
                self._class[m.start()] = m.end()
        if is_open:
            raise UnreadableError(text)

    def alternatives(self) -> Iterator[Part]:
        """Give the alternatives of the whole pattern."""
        yield from self._alternatives(0, len(self._text))

    def _alternatives(self, at: int, end: int) -> Iterator[Part]:
        part = _NOTHING
        while at < end:
            if self._text[at] == "|":
                yield part
                part = _NOTHING
                at += 1
                continue
            if run := _RUN.match(self._text, at, end):
                part = _joined(part, _literal(run[0]))
                at = run.end()
                continue
            atom, at = self._atom(at)
            m = _REPEAT.match(self._text, at, end)
            if m:
                atom = _repeated(atom, m)
                at = m.end()
                if _REPEAT.match(self._text, at, end):
                    raise UnreadableError(self._text)
            part = _joined(part, atom)
        yield part

    def _atom(self, at: int) -> tuple[Part, int]:
        c = self._text[at]
        if c == "(":
            return self._group(at)
        if c == "[":
            end = self._class.get(at)
            if end is None:
                raise UnreadableError(self._text)
            return _one_of(self._text[at + 1 : end - 1]), end
        if c == "\\":
            return _escape(self._text[at + 1 : at + 2]), at + 2
        if c in "^$":
            return _NOTHING, at + 1
        if c == ".":
            return Part(None), at + 1
        if c in ")*+?{" or not c.isascii():
            raise UnreadableError(self._text)
        return _literal(c), at + 1

    def _group(self, at: int) -> tuple[Part, int]:
        end = self._close[at]
        key = self._text[at:end]
        known = self._groups.get(key)
        if known is None:
            m = _GROUP.match(self._text, at)
            if m is None and key.startswith("(?"):
                if not _FLAGS.match(key + ")"):
                    raise UnreadableError(self._text)
                known = _NOTHING
            else:
                known = _union(list(self._alternatives(m.end() if m else at + 1, end)))
            self._groups[key] = known
        return known, end + 1


def _literal(text: str) -> Part:
    return Part(frozenset([text.lower()]), _OPEN, False, text[0].isalnum() or text[0] == "$")


def _escape(c: str) -> Part:
    if c == "b":
        return _EDGE
    if c in ("B", "A", "z"):
        return _NOTHING
    if c == "d":
        return Part(_DIGITS, plain=True)
    if c in ("D", "w", "W", "s", "S"):  # \w holds the underscore: not plain
        return Part(None)
    if c in ("n", "t"):
        return Part(frozenset(["\n" if c == "n" else "\t"]))
    if not c or c.isalnum() or not c.isascii():
        raise UnreadableError(c)
    return _literal(c)


def _one_of(body: str) -> Part:
    """Read the inside of a class: its characters if they are few."""
    if body == "^":
        raise UnreadableError(body)  # "[^]a]"
    if body.startswith("^") or "[:" in body or not body.isascii():
        return Part(None)
    chars: set[str] = set()
    i = 0
    while i < len(body):
        c = body[i]
        if c == "\\":
            c = body[i + 1]
            i += 1
            if c in "dws":
                chars |= set("0123456789" if c == "d" else "_" if c == "w" else " \n\t")
                if c == "w":
                    return Part(None)
                i += 1
                continue
            if c.isalnum():
                return Part(None)
        if body[i + 1 : i + 2] == "-" and i + 2 < len(body):
            last = body[i + 2]
            if last == "\\" or last < c:
                return Part(None)
            chars |= {chr(k).lower() for k in range(ord(c), ord(last) + 1)}
            i += 3
            continue
        chars.add(c.lower())
        i += 1
    plain = all(c.isalnum() or c == "$" for c in chars)
    few = len(chars) <= 4 or chars <= _DIGITS
    return Part(frozenset(chars) if few else None, _OPEN, False, plain)


def _repeated(part: Part, m: re.Match[str]) -> Part:
    low = 1 if m[0][0] == "+" else int(m[1]) if m[1] else 0
    once = m[0].startswith("?") or (m[1] in ("0", "1") and (m[2] is None or m[3] == "1"))
    if low == 0:
        if once and part.exact is not None and part.whole:
            return Part(part.exact | _EMPTY, _OPEN, True, part.plain)
        return Part(None, _OPEN, True, part.plain, False, _starts(part))
    if once:
        return part
    return Part(None, _all_ways(part), part.empty, part.plain, False, _starts(part))


def _joined(a: Part, b: Part) -> Part:
    empty = a.empty and b.empty
    plain = a.plain and (not a.empty or b.plain)
    if (
        a.exact is not None
        and b.exact is not None
        and b.whole
        and len(a.exact) * len(b.exact) <= _PRODUCT
    ):
        exact = frozenset(x + y for x in a.exact for y in b.exact)
        start = None if a.whole else _starts_of_both(a, b)
        return Part(exact, a.ways, empty, plain, a.whole, start)
    before, behind = _all_ways(a), b.ways
    if len(before) * len(behind) > _WAYS:
        if len(before) > len(behind):
            before = _as_one(before)
        else:
            behind = _as_one(behind)
    ways = tuple(x + y for x in before for y in behind)
    return Part(b.exact, ways, empty, plain, False, _starts_of_both(a, b))


def _union(parts: list[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    empty = any(p.empty for p in parts)
    plain = all(p.plain for p in parts)
    listed = [p for p in parts if p.exact is not None and p.whole]
    exact = frozenset(x for p in listed for x in p.exact or ())
    if len(exact) > _UNION:
        listed = []  # too many for one clause
    elif len(listed) == len(parts):
        return Part(exact, _OPEN, empty, plain)
    ways = dict.fromkeys(_all_ways(Part(exact)) if listed else ())
    for p in parts:
        if p not in listed:
            ways |= dict.fromkeys(_all_ways(p))
    out = _OPEN if () in ways else tuple(ways)
    starts = [_starts(p) for p in parts]
    start = None if None in starts else frozenset(x for s in starts for x in s or ())
    return Part(None, _as_one(out) if len(out) > _WAYS else out, empty, plain, False, start)


def _as_one(ways: tuple[Way, ...]) -> tuple[Way, ...]:
    """Give one way for many: less is known of it.

    Whichever matches, its best clause holds, and its second best: so do their unions.
    """
    if len(ways) == 1:
        return ways
    ranked = [sorted((c for place in w for c in place), key=_worth, reverse=True) for w in ways]
    clauses: dict[Clause, None] = {}
    if all(ranked):
        for j in range(min(max(map(len, ranked)), _RANKS)):
            joined = frozenset().union(*(r[min(j, len(r) - 1)] for r in ranked))
            if len(joined) <= _UNION:
                clauses[joined] = None
    return ((tuple(clauses),),) if clauses else _OPEN


def _all_ways(part: Part) -> tuple[Way, ...]:
    if part.exact is None:
        return part.ways
    clause = _clause(part.exact)
    return tuple((*w, clause) for w in part.ways) if clause else part.ways


def _clause(exact: frozenset[str]) -> tuple[Clause, ...]:
    """Give the clause of what can be matched; none where it tells little."""
    literals = set()
    for x in exact:
        body = x.strip(EDGE)
        if not body or (len(body) == 1 and body not in _TELLING):
            return ()
        if EDGE in body:  # at a change between word and gap it says nothing new
            body = body.replace(EDGE, "")
        first, last = x[0] == EDGE and _is_word(body[0]), x[-1] == EDGE and _is_word(body[-1])
        literals.add(EDGE * first + body + EDGE * last)
    return (frozenset(literals),) if literals else ()


def _is_word(c: str) -> bool:
    return c.isalnum() or c == "_"


def _worth(clause: Clause) -> tuple[int, int]:
    return min(len(x.strip(EDGE)) for x in clause), -len(clause)
