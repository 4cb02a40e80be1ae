"""Findings as SARIF 2.1.0 (OASIS, 2020, errata 01): what code scanning and editors read.

One run; offsets and columns are code points. A finding that the user accepts has a suppression
with its reason: left out, it would look new the day that the list changes.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from hypecheck import ruleset
from hypecheck.formats.lines import Lines
from hypecheck.formats.options import Options
from hypecheck.types import Finding, Report, Severity, Suppressed

LEVELS: dict[Severity, str] = {"low": "note", "medium": "warning", "high": "error"}
_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_UNFIT = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")  # UTF-8 holds no surrogates


def render(reports: Iterable[tuple[str, Report]], options: Options) -> Iterator[str]:
    """Give one log, result by result."""
    log: Log | None = None
    for name, report in reports:
        if log is None:
            v = report.versions
            log = Log({"hypecheck": v.package, "ruleset": v.ruleset, "model": v.model})
            yield log.head()
        seen: Counter[str] = Counter()
        lines = None if name in options.extracted else Lines(report.text)
        found: list[Finding | Suppressed] = [*report.findings, *report.suppressed]
        for f in found:
            yield log.result(_result(log, name, f, lines, seen))
    if log is None:  # nothing could be read
        log = Log({})
        yield log.head()
    yield log.tail()


def _result(
    log: Log, name: str, given: Finding | Suppressed, lines: Lines | None, seen: Counter[str]
) -> dict[str, Any]:
    f = given.finding if isinstance(given, Suppressed) else given
    region: dict[str, Any] | None = None
    if lines is not None:
        region = file_region(lines, f.start, f.end)
        region |= {"charOffset": f.start, "charLength": f.end - f.start}
    out = log.finding(
        f.kind, f.severity, f.text, f.score, name, region, fingerprint(name, f.kind, f.text, seen)
    )
    out["properties"] = {"start": f.start, "end": f.end, "rule": f.rule, "source": f.source}
    if isinstance(given, Suppressed):
        out["suppressions"] = [suppression(given.by, given.reason)]
    return out


def file_region(lines: Lines, start: int, end: int) -> dict[str, Any]:
    """Give the region of ``[start, end)`` in a file that holds the text as it stands."""
    (line, column), (last, behind) = lines.at(start), lines.at(end)
    return {"startLine": line, "startColumn": column, "endLine": last, "endColumn": behind}


def suppression(by: str, reason: str) -> dict[str, Any]:
    """Give a suppression: by a list of the user's, or by a comment in the text."""
    return {
        "kind": "inSource" if by == "comment" else "external",
        "status": "accepted",
        "justification": reason,
    }


def fingerprint(id_: str, kind: str, text: str, seen: Counter[str]) -> str:
    """Give what stays the same of a finding when the text around it moves.

    Args:
        id_: of the document; the user's own, not the row that it stands in.
        kind: of the finding.
        text: the words that were flagged; case and spacing do not count.
        seen: how often these occurred in the document already; updated.
    """
    same = f"{kind}\0{' '.join(text.lower().split())}"
    seen[same] += 1
    whole = f"{id_}\0{same}\0{seen[same]}"
    return hashlib.blake2b(whole.encode("utf-8", "replace"), digest_size=12).hexdigest()


class Log:
    """A log that is written result by result."""

    def __init__(self, versions: Mapping[str, str | None]) -> None:
        self._versions = {k: v for k, v in versions.items() if v is not None}
        self._kinds = ruleset.load().kinds
        self._order = {k: i for i, k in enumerate(self._kinds)}
        self._comma = ""

    def head(self) -> str:
        """Give all that stands before the results."""
        version = self._versions.get("hypecheck")
        driver = {
            "name": "HypeCheck",
            **({"version": version, "semanticVersion": version} if version else {}),
            "properties": self._versions,
            "rules": [
                {
                    "id": k.id,
                    "name": k.id,
                    "shortDescription": {"text": k.title},
                    "fullDescription": {"text": k.why},
                    "help": {"text": k.advice, "markdown": f"{k.why}\n\n{k.advice}"},
                    "helpUri": k.references[0].url,
                    "defaultConfiguration": {"level": LEVELS[k.severity]},
                    "properties": {"tags": [k.category]},
                }
                for k in self._kinds.values()
            ],
        }
        return (
            f'{{"$schema":"{_SCHEMA}","version":"2.1.0","runs":[{{'
            f'"tool":{{"driver":{json.dumps(driver, ensure_ascii=False)}}},'
            '"columnKind":"unicodeCodePoints","results":['
        )

    def finding(
        self,
        kind: str,
        severity: Severity,
        text: str,
        score: float,
        file: str,
        region: dict[str, Any] | None,
        print_: str,
    ) -> dict[str, Any]:
        """Give a result; ``region`` is None where no line of the file is known."""
        physical: dict[str, Any] = {"artifactLocation": {"uri": uri(file)}}
        if region is not None:
            physical["region"] = {**region, "snippet": {"text": text}}
        return {
            "ruleId": kind,
            "ruleIndex": self._order[kind],
            "level": LEVELS[severity],
            "message": {"text": f"“{text}”: {self._kinds[kind].title}"},
            "locations": [{"physicalLocation": physical}],
            "partialFingerprints": {"hypecheck/v1": print_},
            "rank": round(100 * score, 1),
        }

    def result(self, result: Mapping[str, Any]) -> str:
        """Give a result as it stands in the log."""
        comma, self._comma = self._comma, ","
        return f"{comma}\n{json.dumps(result, ensure_ascii=False)}".translate(_UNFIT)

    def tail(self) -> str:
        """Give all that stands behind the results."""
        return "\n]}]}\n"


def uri(path: str) -> str:
    """Give a path as a reference in a URI, relative as it is."""
    return quote(path.translate(_UNFIT).replace("\\", "/"), safe="/:")
