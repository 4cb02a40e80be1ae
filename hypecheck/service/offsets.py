"""Code points to UTF-16 code units: the only place that knows JavaScript's way to count."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

_PAIRS = ("start", "end")


class Utf16:
    """Converts offsets of one text; built once, each offset by bisection."""

    def __init__(self, text: str) -> None:
        self._astral = [] if text.isascii() else [i for i, c in enumerate(text) if c > "\uffff"]

    def unit(self, offset: int) -> int:
        """Give the UTF-16 offset of a code-point offset."""
        return offset + bisect_left(self._astral, offset)


def to_utf16(report: dict[str, Any], text: str) -> dict[str, Any]:
    """Give a report's JSON with every offset in UTF-16 code units."""
    table = Utf16(text)

    def convert(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {
                k: table.unit(v) if k in _PAIRS and isinstance(v, int) else convert(v, k)
                for k, v in value.items()
            }
        if isinstance(value, list):
            if key == "sentences":
                return [[table.unit(a), table.unit(b)] for a, b in value]
            return [convert(v) for v in value]
        return value

    return {**convert(report), "offset_unit": "utf16"}
