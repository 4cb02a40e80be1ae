"""Reports as JSON Lines: one report a line, written as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypecheck.formats import json
from hypecheck.formats.options import Options
from hypecheck.types import Report


def render(reports: Iterable[tuple[str, Report]], options: Options) -> Iterator[str]:
    """Give one line a report: the object of :func:`hypecheck.formats.json.render`."""
    for name, report in reports:
        yield json.dumps(json.named_dict(name, report, options)) + "\n"
