"""Which patterns may match in which sentence: one pass over many texts, compiled.

A pattern is sought only where the text holds what :mod:`hypecheck.literals` says that it needs.
Without the compiled core there is no screen; RE2's own filter, text by text, does in its place.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import threading
from array import array
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, TypeAlias

from hypecheck import literals, store
from hypecheck.joined import Joined
from hypecheck.literals import EDGE
from hypecheck.native import address
from hypecheck.regexp import Regexp

Tables: TypeAlias = "dict[str, array[int]]"

# What stands that often in a sentence is not looked for: a filter that lets most through.
_EVERYWHERE = 0.5
GATES = 64  # at most
WHOLE = -1  # in place of a sentence: anywhere in the text
_LISTS = ("clause_first", "clauses", "way_first", "ways", "need_first", "needs")


class Seen(NamedTuple):
    """What may match in some texts."""

    # Sentence, of all texts, or :data:`WHOLE`; pattern; how many places follow, -1 where any may
    # be; where in the text the pattern may begin; and so on.
    jobs: list[int]
    last: list[int]  # of each text, where its jobs end
    gates: list[int]  # of each text, as :func:`holds` takes them


class Screen:
    """Finds where patterns may match.

    Args:
        lib: the compiled library.
        patterns: RE2, each one or several alternatives.
        whole: by pattern, whether its matches may reach beyond one sentence; None: unless they
            begin with a letter, a digit or "$", and so in a sentence.
        sample: sentences in lower case; what is rare in them is looked at first.
        gates: more patterns, numbered behind ``patterns``: asked is whether they match in a text.
        placed: so many patterns, from the first on, of which is also told where they may begin.

    Attributes:
        always: the patterns, gates apart, that are not screened and may match anywhere.

    Raises:
        MemoryError: there is no room for the literals.
    """

    def __init__(
        self,
        lib: ctypes.CDLL,
        patterns: Sequence[Sequence[str]],
        whole: Sequence[bool | None],
        sample: Sequence[str] = (),
        gates: Sequence[Sequence[str]] = (),
        placed: int = 0,
    ) -> None:
        self._lib = lib
        self._lock = threading.Lock()
        if len(gates) > GATES:
            raise ValueError(f"a screen has at most {GATES} gates, not {len(gates)}")
        tables = _tables(patterns, whole, sample, gates, placed)
        self.always = [p for p in tables["always"] if p < len(patterns)]
        self._sure, self._open = (
            sum(1 << p - len(patterns) for p in tables[name] if p >= len(patterns))
            for name in ("exact", "always")
        )  # of the gates: those that match wherever they may, and those that are not screened
        text = tables["text"].tobytes()
        self._kept = (tables, text)  # the library points into them
        self._handle = lib.hype_filter_new(
            text,
            address(tables["at"]),
            address(tables["edges"]),
            *(address(tables[name]) for name in _LISTS),
            address(tables["rare"]),
            address(tables["pattern"]),
            address(tables["judged"]),
            address(tables["begin"]),
            address(tables["begin_first"]),
            address(tables["begins"]),
            len(tables["at"]) - 1,
            len(tables["way_first"]) - 1,
            len(tables["pattern"]),
            len(patterns) + len(gates),
            len(patterns),
        )
        if not self._handle:
            raise MemoryError("the compiled core cannot hold the literals of the patterns")

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._lib.hype_filter_free(self._handle)

    def find(self, joined: Joined) -> Seen:
        """Give what may match in some texts."""
        last, gates = (array(code, bytes(8 * len(joined))) for code in "qQ")
        room = 64 + 8 * len(joined.starts)
        while True:
            out = array("i", bytes(4 * room))
            with self._lock:
                n = self._lib.hype_filter(
                    self._handle,
                    joined.low,
                    address(joined.first),
                    address(joined.edges),
                    len(joined),
                    address(joined.starts),
                    address(joined.ends),
                    address(out),
                    room,
                    address(last),
                    address(gates),
                )
            if n < 0:
                raise MemoryError("the compiled core ran out of memory")
            if n <= room:
                sure, may = self._sure, ~self._sure
                packed = [g & sure | ((g | self._open) & may) << GATES for g in gates]
                return Seen(out[:n].tolist(), last.tolist(), packed)
            room = n


def _tables(
    patterns: Sequence[Sequence[str]],
    whole: Sequence[bool | None],
    sample: Sequence[str],
    gates: Sequence[Sequence[str]],
    placed: int,
) -> Tables:
    """Give the tables of a screen, kept between runs: reading 340 patterns takes a while."""
    digest = hashlib.sha256()
    for file in (literals.__file__, __file__):  # what makes the tables
        digest.update(Path(file).read_bytes())
    digest.update(
        json.dumps([list(patterns), list(whole), list(sample), list(gates), placed]).encode()
    )
    name = f"screen-{digest.hexdigest()[:32]}"
    tables: Tables = store.kept(name, lambda: _make(patterns, whole, sample, gates, placed))
    return tables


def _make(
    patterns: Sequence[Sequence[str]],
    whole: Sequence[bool | None],
    sample: Sequence[str],
    gates: Sequence[Sequence[str]] = (),
    placed: int = 0,
) -> Tables:
    """Read the patterns, and number literals, clauses and ways for the library."""
    reader = literals.Reader()
    joined = "\n".join(sample)

    @cache
    def times(literal: str) -> int:
        return joined.count(literal.strip(EDGE))

    @cache
    def share(clause: literals.Clause) -> float:
        return sum(map(times, clause)) / (len(sample) or 1)

    def telling(way: literals.Way) -> literals.Way:
        places = (tuple(c for c in place if share(c) <= _EVERYWHERE) for place in way)
        return tuple(p for p in places if p) or way

    def rarity(clause: literals.Clause) -> tuple[float, int, int]:
        return -share(clause), min(map(len, clause)), -len(clause)

    always: list[int] = []
    clauses: dict[literals.Clause, int] = {}
    fulfils: dict[str, list[int]] = {}
    needs: list[list[int]] = []  # of a way, clauses in order; ~: the first of a place
    triggers: dict[int, list[int]] = {}
    rare: list[int] = []  # of a way, the clause that is missing most often beside its trigger
    pattern: list[int] = []
    judged: list[bool] = []
    exact: list[int] = []

    def number(
        clause: literals.Clause, of: dict[literals.Clause, int], by: dict[str, list[int]]
    ) -> int:
        """Number a clause; ``by`` tells what each literal belongs to."""
        if clause not in of:
            of[clause] = len(of)
            for literal in clause:
                by.setdefault(literal, []).append(of[clause])
        return of[clause]

    begin: list[int] = []  # of a pattern, what stands where its matches begin, or -1
    begins: dict[literals.Clause, int] = {}
    may_begin: dict[str, list[int]] = {}
    for p, alternatives in enumerate((*patterns, *gates)):
        begin.append(-1)
        listed = literals.finite(alternatives) if p >= len(patterns) else None
        if listed:
            exact.append(p)
            ways: dict[literals.Way, None] = {((listed,),): None}
            judged.append(True)
        else:
            try:
                read = [reader.read(a) for a in alternatives]
            except literals.UnreadableError:
                read = []
            anywhere = whole[p] if p < len(patterns) else True
            judged.append(not all(r.plain for r in read) if anywhere is None else anywhere)
            ways = dict.fromkeys(telling(w) for r in read for w in r.ways)
        if not ways or () in ways:
            always.append(p)
            continue
        if p < placed and len(read) == 1 and read[0].start and not judged[p]:
            begin[p] = number(read[0].start, begins, may_begin)
        for way in ways:
            numbers: list[int] = []
            for place in way:
                for k, clause in enumerate(place):
                    n = number(clause, clauses, fulfils)
                    numbers.append(n if k else ~n)
            # What is rarest makes the others be looked at.
            ranked = sorted((c for place in way for c in place), key=rarity, reverse=True)
            triggers.setdefault(clauses[ranked[0]], []).append(len(needs))
            rare.append(clauses[ranked[1 if len(ranked) > 1 else 0]])
            needs.append(numbers)
            pattern.append(p)
    bodies = {x: x.strip(EDGE).encode() for x in (*fulfils, *may_begin)}
    order = sorted(bodies, key=lambda x: (bodies[x], x))

    def lists(name: str, values: Sequence[Sequence[int]]) -> Tables:
        first = array("i", [0, *accumulate(map(len, values))])
        return {f"{name}_first": first, f"{name}s": array("i", [y for x in values for y in x])}

    return {
        "text": array("B", b"".join(bodies[x] for x in order)),
        "at": array("i", [0, *accumulate(len(bodies[x]) for x in order)]),
        "edges": array("B", [(x[0] == EDGE) + 2 * (x[-1] == EDGE) for x in order]),
        **lists("clause", [fulfils.get(x, []) for x in order]),
        **lists("begin", [may_begin.get(x, []) for x in order]),
        **lists("way", [triggers.get(k, []) for k in range(len(clauses))]),
        **lists("need", needs),
        "rare": array("i", rare),
        "pattern": array("i", pattern),
        "judged": array("B", judged),
        "begin": array("i", begin),
        "always": array("i", always),
        "exact": array("i", exact),
    }


def holds(gates: int | None, number: int, regexp: Regexp, text: bytes) -> bool:
    """Tell whether a gate matches in ``text``.

    Args:
        gates: a bit for each gate that matches, from :data:`GATES` on for each that may; None: any
            may.
        number: of the gate.
        regexp: the gate, which is asked where ``gates`` do not know.
        text: normalised.
    """
    if gates is not None and gates >> number & 1:
        return True
    return may_hold(gates, number) and regexp.span(text) is not None


def may_hold(gates: int | None, number: int) -> bool:
    """Tell whether a gate may match; see :func:`holds`."""
    return gates is None or bool((gates | gates >> GATES) >> number & 1)
