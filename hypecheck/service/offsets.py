"""Code points to UTF-16 code units or UTF-8 bytes: nothing else knows other ways to count."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

_PAIRS = ("start", "end")


class Utf16:
    """Converts offsets of one text; built once, each offset by bisection."""

    def __init__(self, text: str) -> None:
        self._astral = [] if text.isascii() else [i for i, c in enumerate(text) if c > "\uffff"]

    def unit(self, offset: int) -> int:
        """Give the UTF-16 offset of a code-point offset."""
        return offset + bisect_left(self._astral, offset)


class Utf8:
    """Converts offsets of one text; a lone surrogate counts three bytes, as in WTF-8."""

    def __init__(self, text: str) -> None:
        wide = [] if text.isascii() else [(i, _extra(c)) for i, c in enumerate(text) if c > "\x7f"]
        self._wide = [i for i, _ in wide]
        self._extra = [0, *accumulate(n for _, n in wide)]

    def unit(self, offset: int) -> int:
        """Give the byte offset of a code-point offset."""
        return offset + self._extra[bisect_left(self._wide, offset)]


def _extra(c: str) -> int:
    return 1 if c < "\u0800" else 2 if c < "\U00010000" else 3


def converter(text: str, unit: str) -> Callable[[int], int]:
    """Give the function from code-point offsets of ``text`` to ``unit``."""
    if unit == "utf16":
        return Utf16(text).unit
    if unit == "utf8":
        return Utf8(text).unit
    return lambda offset: offset


def convert(report: dict[str, Any], text: str, unit: str) -> dict[str, Any]:
    """Give a report's JSON with every offset in ``unit``."""
    if unit == "codepoint":
        return report
    f = converter(text, unit)

    def walk(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {
                k: f(v) if k in _PAIRS and isinstance(v, int) else walk(v, k)
                for k, v in value.items()
            }
        if isinstance(value, list):
            if key == "sentences":
                return [[f(a), f(b)] for a, b in value]
            return [walk(v) for v in value]
        return value

    return {**walk(report), "offset_unit": unit}


class Blocks:
    """Blocks joined to one text, and the way back.

    Between two blocks stands an empty line, so that no sentence runs across.
    """

    GAP = "\n\n"

    def __init__(self, texts: Sequence[str]) -> None:
        self.text = self.GAP.join(texts)
        sizes = (len(t) + len(self.GAP) for t in texts)
        self._starts = [0, *accumulate(sizes)][: len(texts)]
        self._texts = texts

    def place(self, start: int, end: int) -> tuple[int, int, int]:
        """Give the block's index, and the span within it."""
        i = bisect_right(self._starts, start) - 1
        base = self._starts[i]
        return i, start - base, min(end - base, len(self._texts[i]))
