"""Which patterns may match in which sentence: one pass over many texts, compiled.

A pattern is sought only where the text holds what :mod:`hypecheck.literals` says that it needs.
Without the compiled core there is no screen; RE2's own filter, text by text, does in its place.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from ctypes import POINTER, c_int32, c_int64, c_uint8
from typing import Any

from hypecheck.literals import EDGE, Clause, Reader, UnreadableError
from hypecheck.types import Sentence

WHOLE = -1  # in place of a sentence: anywhere in the text


class Screen:
    """Finds where patterns may match.

    Args:
        lib: the compiled library.
        patterns: RE2, each one or several alternatives.
        whole: by pattern, whether its matches may reach beyond one sentence.

    Attributes:
        plain: by pattern, whether every match begins with a letter, a digit or "$".
        always: the patterns that are not screened, and may match anywhere.
    """

    def __init__(
        self, lib: ctypes.CDLL, patterns: Sequence[Sequence[str]], whole: Sequence[bool]
    ) -> None:
        import numpy as np

        self._np = np
        self._lib = lib
        self._lock = threading.Lock()
        reader = Reader()
        self.always: list[int] = []
        clauses: dict[Clause, int] = {}
        literals: dict[str, list[int]] = {}
        needs: list[list[int]] = []
        pattern: list[int] = []
        self.plain: list[bool] = []
        for p, alternatives in enumerate(patterns):
            try:
                read = [reader.read(a) for a in alternatives]
            except UnreadableError:
                self.plain.append(False)
                self.always.append(p)
                continue
            self.plain.append(all(r.plain for r in read))
            found = [a for r in read for a in r.alternatives]
            if not all(found):
                self.always.append(p)
                continue
            for alternative in found:
                for clause in alternative:
                    if clause not in clauses:
                        clauses[clause] = len(clauses)
                        for literal in clause:
                            literals.setdefault(literal, []).append(clauses[clause])
                # What is rarest comes first: it alone makes the others be looked at.
                rare = sorted(alternative, key=lambda c: (-min(map(len, c)), len(c)))
                needs.append([clauses[c] for c in rare])
                pattern.append(p)
        order = sorted(
            literals, key=lambda x: (min(len(x.strip(EDGE)), 4), x.strip(EDGE).encode(), x)
        )
        raw = [x.strip(EDGE).encode() for x in order]
        edges = [(x[0] == EDGE) + 2 * (x[-1] == EDGE) for x in order]
        triggers: list[list[int]] = [[] for _ in clauses]
        for a, wanted in enumerate(needs):
            triggers[wanted[0]].append(a)
        self._kept: list[Any] = []
        text = b"".join(raw)
        self._kept.append(text)
        judged = [w or not plain for w, plain in zip(whole, self.plain, strict=True)]
        self._handle = lib.hype_filter_new(
            text,
            self._ints([0, *np.cumsum([len(x) for x in raw]).tolist()]),
            self._bytes(edges),
            *self._lists([literals[x] for x in order]),
            *self._lists(triggers),
            *self._lists(needs),
            self._ints(pattern),
            self._bytes(judged),
            len(order),
            len(clauses),
            len(needs),
            len(patterns),
        )
        if not self._handle:
            raise MemoryError("the compiled core cannot hold the literals of the patterns")

    def _ints(self, values: Sequence[int]) -> Any:
        array = self._np.asarray(values, self._np.int32)
        self._kept.append(array)
        return array.ctypes.data_as(POINTER(c_int32))

    def _bytes(self, values: Sequence[int]) -> Any:
        array = self._np.asarray(values, self._np.uint8)
        self._kept.append(array)
        return array.ctypes.data_as(POINTER(c_uint8))

    def _lists(self, lists: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        first = [0]
        for x in lists:
            first.append(first[-1] + len(x))
        return self._ints(first), self._ints([y for x in lists for y in x])

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._lib.hype_filter_free(self._handle)

    def find(
        self, texts: Sequence[str], sentences: Sequence[Sequence[Sentence]]
    ) -> list[list[tuple[int, int]]]:
        """Give for each text pairs (sentence or :data:`WHOLE`, pattern), in order of sentences.

        Args:
            texts: normalised texts.
            sentences: of each its sentences.
        """
        np = self._np
        bounds: list[int] = []
        first, edges = [0], [0]
        base = 0
        for text, inside in zip(texts, sentences, strict=True):
            for s in inside:
                bounds += (base + s.start, base + s.end)
            base += len(text)
            first.append(base)
            edges.append(len(bounds) // 2)
        where = np.asarray(bounds, np.int64).reshape(-1, 2)
        starts, ends = np.ascontiguousarray(where[:, 0]), np.ascontiguousarray(where[:, 1])
        firsts, documents = np.asarray(first, np.int64), np.asarray(edges, np.int32)
        low = "".join(texts).lower().encode("ascii")
        last = np.zeros(max(len(texts), 1), np.int64)
        room = 64 + 24 * len(starts)

        def at(array: Any, kind: Any) -> Any:
            return array.ctypes.data_as(POINTER(kind))

        while True:
            out = np.empty((room, 2), np.int32)
            with self._lock:
                n = self._lib.hype_filter(
                    self._handle,
                    low,
                    at(firsts, c_int64),
                    at(documents, c_int32),
                    len(texts),
                    at(starts, c_int64),
                    at(ends, c_int64),
                    at(out, c_int32),
                    room,
                    at(last, c_int64),
                )
            if n <= room:
                break
            room = n
        pairs = out[:n].tolist()
        found: list[list[tuple[int, int]]] = []
        a = 0
        for d, b in enumerate(last.tolist()[: len(texts)]):
            base = edges[d]
            found.append([(s - base if s >= 0 else WHOLE, p) for s, p in pairs[a:b]])
            a = b
        return found
