"""Output formats. A new one is a module with a ``render`` function and a line in ``FORMATS``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from hypecheck.formats import github, html, json, jsonl, sarif, text
from hypecheck.formats.options import Options
from hypecheck.types import Report

__all__ = ["FORMATS", "Format", "Options"]


class Render(Protocol):
    """Turns (name of the input, report) pairs into text, piece by piece, line ends included."""

    def __call__(
        self, reports: Iterable[tuple[str, Report]], options: Options
    ) -> Iterator[str]: ...


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write reports down."""

    name: str
    description: str
    render: Render


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("text", "for reading in a terminal", text.render),
        Format("json", "one JSON document", json.render),
        Format("jsonl", "one JSON object a line, written as reports come", jsonl.render),
        Format("html", "one self-contained web page", html.render),
        Format("sarif", "SARIF 2.1.0, for code scanning and editors", sarif.render),
        Format("github", "annotations of a GitHub workflow", github.render),
    )
}
