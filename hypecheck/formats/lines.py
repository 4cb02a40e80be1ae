"""Lines and columns of a text, for formats that speak of files as editors do."""

from __future__ import annotations

from bisect import bisect_right


class Lines:
    r"""Turns offsets into lines and columns, both from 1, columns in code points.

    >>> Lines("Hi\nact now").at(3)
    (2, 1)
    """

    def __init__(self, text: str) -> None:
        self._starts = [0]
        at = text.find("\n")
        while at >= 0:
            self._starts.append(at + 1)
            at = text.find("\n", at + 1)

    def at(self, offset: int) -> tuple[int, int]:
        """Give line and column of an offset in code points."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1
