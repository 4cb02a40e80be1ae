"""RE2 on bytes, spans only.

``re2``'s own search puts a generator and a match object around every call, which takes two to
three times as long as finding a short pattern in a sentence (benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import re2

Span: TypeAlias = tuple[int, int]
NONE: Span = (-1, -1)


def options(case: bool = False) -> re2.Options:
    """Give the RE2 options that every pattern is compiled with."""
    opts = re2.Options()
    opts.case_sensitive = case
    opts.log_errors = False
    # Bounds the states that a pattern keeps of the texts it has seen, too: of hundreds of patterns.
    opts.max_mem = 8 << 20
    return opts


@dataclass(frozen=True)
class Regexp:
    """A pattern, compiled when it is first needed.

    Args:
        pattern: RE2's syntax. A broken one is found by :meth:`compile`.
        case: whether case matters.
    """

    pattern: str
    case: bool = False

    def compile(self) -> Regexp:
        """Compile the pattern now; give the same object.

        Raises:
            re2.error: the pattern is broken.
        """
        _ = self._compiled
        return self

    @cached_property
    def _compiled(self) -> re2._Regexp:
        return re2.compile(self.pattern.encode(), options(self.case))

    @cached_property
    def _match(self) -> Any:
        return getattr(getattr(self._compiled, "_regexp", None), "Match", None)

    @cached_property
    def hit(self) -> int:
        """The number of the group ``hit``; 0, the whole match, where there is none."""
        number: int = self._compiled.groupindex.get(b"hit", 0)
        return number

    def groups(self, text: bytes, pos: int, end: int) -> list[Span] | None:
        r"""Give the spans of the leftmost match in ``text[pos:end]`` and of its groups.

        Args:
            text: what is looked through; what stands outside ``pos`` and ``end`` is in no match,
                but ``\b``, ``\A`` and ``$`` see it.
            pos: 0 or more.
            end: at most the text's length.
        """
        if pos > end:
            return None
        if self._match is None:  # another build of re2
            m = self._compiled.search(text, pos, end)
            return None if m is None else [m.span(k) for k in range(self._compiled.groups + 1)]
        found: list[Span] = self._match(_UNANCHORED, text, pos, end)
        return None if found[0] == NONE else found

    def span(self, text: bytes, pos: int = 0, end: int | None = None) -> Span | None:
        """Give the span of the leftmost match; see :meth:`groups`."""
        end = len(text) if end is None else end
        if self._match is None or pos > end:
            found = self.groups(text, pos, end)
            return None if found is None else found[0]
        span: Span = self._match(_UNANCHORED, text, pos, end)[0]
        return None if span == NONE else span

    def spans(self, text: bytes, pos: int = 0, end: int | None = None) -> Iterator[Span]:
        """Give the spans of all matches that do not overlap, as ``finditer`` does."""
        end = len(text) if end is None else end
        while (found := self.span(text, pos, end)) is not None:
            yield found
            if pos == end:
                return
            pos = found[1] if found[1] > pos else pos + 1

    def starts(self, text: bytes, pos: int, end: int | None = None) -> Span | None:
        """Give the span of the match that begins at ``pos``."""
        end = len(text) if end is None else end
        if self._match is None or pos > end:
            m = self._compiled.match(text, pos, end)
            return None if m is None else m.span()
        span: Span = self._match(_AT_START, text, pos, end)[0]
        return None if span == NONE else span

    def without(self, text: bytes) -> bytes:
        """Give ``text`` with all matches taken out."""
        out: bytes = self._compiled.sub(b"", text)
        return out


_ANCHOR = getattr(getattr(getattr(re2, "_re2", None), "RE2", None), "Anchor", None)
_UNANCHORED = _ANCHOR and _ANCHOR.UNANCHORED
_AT_START = _ANCHOR and _ANCHOR.ANCHOR_START
