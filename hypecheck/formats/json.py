"""Reports as JSON: the wire schema that the command line and the HTTP service share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from hypecheck.formats.options import Options
from hypecheck.types import Report

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SCHEMA_VERSION = "1"
OFFSET_UNIT = "codepoint"
_PAIR = re.compile(r"\[\n +(\d+),\n +(\d+)\n +\]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def report_dict(report: Report, *, include_text: bool = False) -> dict[str, Any]:
    """Give ``report`` as plain values: the names of :mod:`hypecheck.types`, tuples as lists.

    ``sentences`` are pairs ``[start, end]``. All offsets are code points; the HTTP service turns
    them into other units afterwards.
    """
    out: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "offset_unit": OFFSET_UNIT,
        "id": report.id,
    }
    if include_text:
        out["text"] = report.text
    out["sentences"] = [[s.start, s.end] for s in report.sentences]
    out["findings"] = [
        {**_fields(f), "references": [_fields(r) for r in f.references]} for f in report.findings
    ]
    out["suppressed"] = [
        {
            "by": s.by,
            "reason": s.reason,
            **_fields(s.finding),
            "references": [_fields(r) for r in s.finding.references],
        }
        for s in report.suppressed
    ]
    out["dismissed"] = [
        {**_fields(d), "cue": None if d.cue is None else _fields(d.cue)} for d in report.dismissed
    ]
    out["scores"] = dict(report.scores)
    out["checklist"] = [
        {**_fields(c), "evidence": [_fields(e) for e in c.evidence]} for c in report.checklist
    ]
    out["versions"] = _fields(report.versions)
    out["notes"] = list(report.notes)
    out["incomplete"] = report.incomplete
    return out


def render(reports: Iterable[tuple[str, Report]], options: Options) -> Iterator[str]:
    """Give one JSON document: an object for one input, else a list of objects.

    Each object has the input's ``name`` and the keys of :func:`report_dict`.
    """
    pending: str | None = None
    several = False
    for name, report in reports:
        if pending is not None:
            yield ("" if several else "[\n") + pending + ",\n"
            several = True
        pending = dumps(named_dict(name, report, options), indent=2)
    if pending is None:
        yield "[]\n"
    else:
        yield pending + ("\n]\n" if several else "\n")


def named_dict(name: str, report: Report, options: Options) -> dict[str, Any]:
    """Give :func:`report_dict` with the ``name`` of the input in front."""
    return {"name": name, **report_dict(report, include_text=options.include_text)}


def dumps(value: object, indent: int | None = None) -> str:
    """Serialise, readable in UTF-8; lone surrogates, which UTF-8 cannot hold, become escapes."""
    out = json.dumps(value, ensure_ascii=False, indent=indent)
    if indent:
        out = _PAIR.sub(r"[\1, \2]", out)  # strings hold no raw line ends, so only pairs match
    return _SURROGATE.sub(lambda m: f"\\u{ord(m[0]):04x}", out)


def _fields(value: DataclassInstance) -> dict[str, Any]:
    names, get = _of(type(value))
    return dict(zip(names, get(value), strict=True))


@cache
def _of(kind: type[DataclassInstance]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    names = tuple(f.name for f in fields(kind))
    return names, attrgetter(*names)
