"""Normalised text to sentences: blocks first, then sentences inside a block.

A block is a paragraph, bullet, heading, table cell, button or caption. Offsets are those of
the text passed in. HTML becomes text in :mod:`hypecheck.page`, one block a line.
"""

from __future__ import annotations

import ctypes
import re
import threading
from array import array
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate, islice
from typing import TypeAlias

from sentencex import get_sentence_boundaries
from sentencex import segment as cut

from hypecheck.joined import Joined
from hypecheck.native import address, library
from hypecheck.regexp import Regexp
from hypecheck.types import Sentence

_Rows: TypeAlias = "tuple[array[int], array[int], array[int], array[int]]"

_MAX_SENTENCE = 2000  # characters; longer runs without a stop are cut at a space
_BULLET = re.compile(r"[\^*\-+o>]{1,3}[ \t]+|\(?\d{1,2}[.)][ \t]+|[\^]+[ \t]*|#{1,6} +")
_STOP = re.compile(r"[.!?:;][\"')\]]*\s*\Z")
_ROW = re.compile(r"[ \t]*\|.*\|[ \t]*\Z")
_CELL = re.compile(r"\t+|[ ]*\|[ ]*")
# sentencex keeps these together; a capital behind them starts a sentence all the same.
_MISSED = re.compile(
    r"(?:[ap]\.m\.|\betc\.|\bapprox\.|^No\.|[.!?][\"')\]]+|[.!?]\^+)"
    r" +(?=[\"'(\[]?[A-Z][a-z']*\b)"
)
# Without a hit of this in a text, _MISSED has none in its sentences.
_MAY_BE_MISSED = Regexp(r"[ap]\.m\. |etc\. |approx\. |No\. |[.!?][\"')\]^]+ ", case=True)
# sentencex takes the stop of these for a sentence's end now and then.
_ABBREVIATIONS = (
    "Dr", "Drs", "Mr", "Mrs", "Ms", "Prof", "St", "vs", "No", "Nos", "approx", "e.g", "i.e", "Inc",
    "Ph.D", "Fig", "cf", "est", "Sr", "Jr", "Mt", "Ave", "Rd",
    "Mon", "Tue", "Tues", "Wed", "Thu", "Thur", "Thurs", "Fri", "Sat", "Sun",
)  # fmt: skip
_BROKEN_ABBREVIATION = re.compile(
    rf"\b(?:{'|'.join(map(re.escape, _ABBREVIATIONS))}|^[QA])\.\s*\Z", re.I
)
# The last letters of these: most sentences end in another word.
_SHORT = frozenset(x.rpartition(".")[2].lower() for x in [*_ABBREVIATIONS, "Q", "A"])
# Words before a stop that ends a sentence if they are no abbreviations, by where they stand: inside
# of a sentence, first in a block, first in a later sentence (core.c names them so, too).
_INSIDE, _FIRST, _LATER = range(3)
_BEFORE = ("Some words", "", "Some words went before.")
_WORD_AND_STOP = r"[A-Za-z0-9$][A-Za-z0-9,.'%-]*[.!?](?= +[A-Za-z0-9$^*(\"-])"
_BEFORE_STOP = re.compile(rf"(?<=[ \n]){_WORD_AND_STOP}")
_FIRST_WORD = re.compile(rf"(?=[A-Za-z]){_WORD_AND_STOP}")
_LATER_WORD = re.compile(rf"(?<=[.!?] ){_WORD_AND_STOP}")
_TAILS = (
    "Then more",
    "then more",
    "7 more",
    "$7 more",
    "^ more",
    "- more",
    "(then) more",
    '"Then" x',
)
_WORDS_ASKED = 1 << 16
_ASKED_AT_ONCE = 100
_LONGEST_WORD = 32  # with its stop; TOKEN_MAX of core.c
_DIGIT = re.compile("[0-9]")
_MARKS = frozenset("^*-+o>(#0123456789")  # with which a bullet may begin


def segment(text: str) -> tuple[Sentence, ...]:
    """Cut normalised ASCII ``text`` into sentences; white space around them is left out.

    Sentences never overlap and never cross a block. Linear in the length of ``text``.
    """
    out: list[Sentence] = []
    missed = _MAY_BE_MISSED.span(text.encode("utf-8", "surrogatepass")) is not None
    for block, (start, end) in enumerate(_blocks(text)):
        out += [Sentence(a, b, block) for a, b in _cut_block(text, start, end, missed)]
    return tuple(out)


def segment_many(texts: Sequence[str]) -> tuple[list[tuple[Sentence, ...]], Joined]:
    """Do :func:`segment` for many texts; where there is a compiled core, it cuts what is clear."""
    cutter = _cutter()
    if cutter is None:
        sentences = [segment(t) for t in texts]
        return sentences, Joined.of(texts, sentences)
    return cutter.segment(texts)


class _Cutter:
    """The compiled half: cuts blocks in which every stop is clear, and leaves the others.

    A stop is clear behind a word of which sentencex was asked before, where it said that a sentence
    always or never ends there, whatever follows. So the core knows no abbreviation itself.
    """

    def __init__(self, lib: ctypes.CDLL) -> None:
        self._lib = lib
        self._lock = threading.Lock()
        self._asked: set[tuple[int, str]] = set()  # where, and the word
        self._handle = lib.hype_cutter_new()
        if not self._handle:
            raise MemoryError("the compiled core cannot hold its words")

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._lib.hype_cutter_free(self._handle)

    def segment(self, texts: Sequence[str]) -> tuple[list[tuple[Sentence, ...]], Joined]:
        joined = Joined(texts)
        first = joined.first
        room = 64 + 4 * len(texts) + len(joined.text) // 40
        edges, n_hard = array("i", bytes(4 * len(texts) + 4)), array("q", [0])
        while True:
            starts, ends = (array("q", bytes(8 * room)) for _ in range(2))
            blocks, hard = (array("i", bytes(4 * room)) for _ in range(2))
            with self._lock:
                n = self._lib.hype_segment(
                    self._handle,
                    joined.text,
                    address(first),
                    len(texts),
                    *map(address, (starts, ends, blocks, hard)),
                    room,
                    address(edges),
                    address(n_hard),
                )
            if n <= room:
                break
            room = n
        del starts[n:], ends[n:], blocks[n:]
        if n_hard[0]:
            starts, ends, blocks, edges = self._cut(
                texts, first, (starts, ends, blocks, edges), hard[: n_hard[0]]
            )
        sentences = [
            tuple(
                [
                    Sentence(s - base, e - base, k)
                    for s, e, k in zip(starts[a:b], ends[a:b], blocks[a:b], strict=True)
                ]
            )
            for base, a, b in zip(first, edges, edges[1:], strict=False)
        ]
        joined.starts, joined.ends, joined.edges = starts, ends, edges
        return sentences, joined

    def _cut(
        self, texts: Sequence[str], first: array[int], rows: _Rows, hard: Sequence[int]
    ) -> _Rows:
        """Cut what was left, in its place."""
        starts, ends, blocks, edges = rows
        out = array("q"), array("q"), array("i")
        more = array("i", bytes(4 * len(edges)))  # rows that a text has more than it had
        last = d = 0
        for mark in hard:
            row = max(mark, ~mark)
            while edges[d + 1] <= row:
                d += 1
            base, text = first[d], texts[d]
            a, b = starts[row] - base, ends[row] - base
            if blocks[row] < 0:
                found = [(s.start, s.end, s.block) for s in segment(text)]
            else:
                missed = _MAY_BE_MISSED.span(text[a:b].encode("ascii")) is not None
                found = [(x, y, blocks[row]) for x, y in _cut_block(text, a, b, missed)]
            if mark < 0:
                self._learn(text, a, b)
            for to, kept in zip(out, (starts, ends, blocks), strict=True):
                to.extend(kept[last:row])
            out[0].extend([base + x for x, _, _ in found])
            out[1].extend([base + y for _, y, _ in found])
            out[2].extend([k for _, _, k in found])
            more[d + 1] += len(found) - 1
            last = row + 1
        for to, kept in zip(out, (starts, ends, blocks), strict=True):
            to.extend(kept[last:])
        moved = zip(edges, accumulate(more), strict=True)
        return *out, array("i", [e + m for e, m in moved])

    def _learn(self, text: str, start: int, end: int) -> None:
        """Ask about the words before stops that are new; what is learnt changes no result."""
        if len(self._asked) >= _WORDS_ASKED:
            return
        found = [(_INSIDE, w) for w in _BEFORE_STOP.findall(text, start, end)]
        found += [(_LATER, w) for w in _LATER_WORD.findall(text, start, end)]
        first = _FIRST_WORD.match(text, _body(text, start, end), end)
        if first:
            found.append((_FIRST, first[0]))
        # To the core all digits are alike, and long words none that it keeps.
        alike = {(k, _DIGIT.sub("0", w)) for k, w in found if len(w) <= _LONGEST_WORD}
        new = set(islice(alike - self._asked, _ASKED_AT_ONCE))
        if not new:
            return
        self._asked |= new
        answers: dict[tuple[int, bool | None], list[str]] = {}
        for where, word in new:
            answers.setdefault((where, _ends(where, word)), []).append(word)
        for (where, answer), words in answers.items():
            raw = "\n".join(words).encode("ascii")
            if answer is not None:
                with self._lock:
                    self._lib.hype_cutter_learn(self._handle, raw, len(raw), where, answer)


def _ends(where: int, word: str) -> bool | None:
    """Tell whether a sentence ends behind a word and its stop; None: it depends on what follows."""
    before = _BEFORE[where]
    head = f"{before} {word} " if before else f"{word} "
    size = 2 if where == _LATER else 1
    ends = {len(_sentences(t := head + tail, 0, len(t), True)) > size for tail in _TAILS}
    return ends.pop() if len(ends) == 1 else None


@cache
def _cutter() -> _Cutter | None:
    lib = library()
    return None if lib is None else _Cutter(lib)


def _cut_block(text: str, start: int, end: int, missed: bool) -> Iterator[tuple[int, int]]:
    """Cut a block; white space around the sentences is left out."""
    for a, b in _sentences(text, start, end, missed):
        while b > a and text[b - 1] in " \t\n":
            b -= 1
        while a < b and text[a] in " \t\n":
            a += 1
        yield from _pieces(text, a, b)


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    pending: tuple[int, int] | None = None
    pos = 0
    for line in text.split("\n"):
        start, end = pos, pos + len(line)
        pos = end + 1
        if not line.strip():
            if pending:
                yield pending
            pending = None
            continue
        if pending and _wrapped(text, pending, line):
            pending = (pending[0], end)
            continue
        if pending:
            yield pending
            pending = None
        row = "|" in line and _ROW.match(line) is not None
        if "\t" in line or row:
            last = 0
            for m in _CELL.finditer(line):
                if "|" in m[0] and not row:
                    continue
                if line[last : m.start()].strip():
                    yield start + last, start + m.start()
                last = m.end()
            if line[last:].strip():
                yield start + last, end
            continue
        pending = (start, end)
    if pending:
        yield pending


def _wrapped(text: str, before: tuple[int, int], line: str) -> bool:
    """Tell whether a newline only wraps a line: a long line without a stop, then lower case."""
    head = text[max(before[0], before[1] - 200) : before[1]]
    last = head.rsplit("\n", 1)[-1]
    body = line.lstrip()
    return (
        len(last) >= 45
        and len(last) <= 120
        and _STOP.search(last) is None
        and body[:1].islower()
        and _BULLET.match(body) is None
    )


def _sentences(text: str, start: int, end: int, missed: bool) -> list[tuple[int, int]]:
    """Cut one block; ``missed`` tells whether the text may hold what sentencex misses."""
    start = _body(text, start, end)
    chunk = text[start:end]
    if len(chunk) < 4 or not _may_split(chunk):
        return [(start, end)]
    merged: list[tuple[int, int]] = []
    first = -1  # of a sentence that goes on: an abbreviation's stop was taken for its end
    for a, b in _bounds(chunk):
        if first < 0:
            first = a
        near = max(first, b - 12)  # longer than any abbreviation
        if (
            b < len(chunk)
            and _may_be_short(chunk[near:b])
            and _BROKEN_ABBREVIATION.search(chunk, near, b)
        ):
            continue
        merged.append((first, b))
        first = -1
    if first >= 0:
        merged.append((first, len(chunk)))
    if not missed:
        return [(start + a, start + b) for a, b in merged]
    out: list[tuple[int, int]] = []
    for a, b in merged:
        last = a
        for m in _MISSED.finditer(chunk[a:b]):
            out.append((start + last, start + a + m.end()))
            last = a + m.end()
        out.append((start + last, start + b))
    return out


def _body(text: str, start: int, end: int) -> int:
    """Give where a block begins behind the mark of a list."""
    while start < end and text[start] in " \t":
        start += 1
    if start < end and text[start] in _MARKS:
        bullet = _BULLET.match(text, start, end)
        if bullet and bullet.end() < end:
            start = bullet.end()
    return start


def _bounds(chunk: str) -> list[tuple[int, int]]:
    """Give where sentencex cuts a block."""
    out: list[tuple[int, int]] = []
    at = 0
    for piece in cut("en", chunk):
        out.append((at, at + len(piece)))
        at += len(piece)
    if at != len(chunk):  # it left something out: ask for the places themselves
        found = get_sentence_boundaries("en", chunk)
        out = [(b["start_index"], b["end_index"]) for b in found]
    return out


def _may_be_short(tail: str) -> bool:
    """Tell whether a sentence may end in an abbreviation: a quick look at its last word."""
    body = tail.rstrip()
    if body[-1:] != ".":
        return False
    word = body[body.rfind(" ") + 1 : -1]
    if not word.isalpha():
        i = len(word)
        while i > 0 and word[i - 1].isalpha():
            i -= 1
        word = word[i:]
    return word.lower() in _SHORT


def _may_split(chunk: str) -> bool:
    """Tell whether a block may hold more than one sentence: a stop before its last character."""
    last = len(chunk) - 1
    return chunk.find(".", 0, last) >= 0 or chunk.find("!", 0, last) >= 0 or "?" in chunk[:last]


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a run that is too long for a sentence, where it can be at a space."""
    while end - start > _MAX_SENTENCE:
        cut = text.rfind(" ", start + _MAX_SENTENCE // 2, start + _MAX_SENTENCE)
        cut = start + _MAX_SENTENCE if cut < 0 else cut
        yield start, cut
        start = cut
        while start < end and text[start] in " \t\n":
            start += 1
    if end > start:
        yield start, end
