"""Findings as annotations of a GitHub workflow: commands that it reads off a step's output.

After "Workflow commands for GitHub Actions": a command is a line ``::level key=value,…::message``.
Text of others cannot begin a command: line ends, and what ends a value, are escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypecheck.formats.lines import Lines
from hypecheck.formats.options import Options, without_ask
from hypecheck.types import Finding, Report, Severity

LEVELS: dict[Severity, str] = {"low": "notice", "medium": "warning", "high": "error"}
_UNFIT = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")  # UTF-8 holds no surrogates


def render(reports: Iterable[tuple[str, Report]], options: Options) -> Iterator[str]:
    """Give one line a finding; suppressed ones are notices that say why."""
    for name, report in reports:
        lines = None if name in options.extracted else Lines(report.text)
        own = "" if name == "standard input" else name
        out = []
        for f in report.findings:
            out.append(_line(own, f, lines, options))
        for s in report.suppressed:
            out.append(_line(own, s.finding, lines, options, s.reason))
        yield "".join(out)


def _line(
    file: str, f: Finding, lines: Lines | None, options: Options, reason: str | None = None
) -> str:
    place = None
    if lines is not None:
        line, column = lines.at(f.start)
        last, end = lines.at(f.end)
        place = (line, column, last, end)
    title, message = options.title(f.kind), f"Ask: {without_ask(f.advice)}"
    return annotation(f.severity, title, f.text, message, file, place, reason)


def annotation(
    severity: Severity,
    title: str,
    text: str,
    message: str,
    file: str = "",
    place: tuple[int, ...] | None = None,
    suppressed: str | None = None,
) -> str:
    r"""Give one annotation, line end included.

    Args:
        severity: of the finding.
        title: what it is.
        text: the words that were flagged.
        message: what to do; "" for nothing.
        file: where; "" where no file is known.
        place: (line), or (line, column, last line, column behind the end); None: the whole file.
        suppressed: why it does not count; None where it does.

    >>> annotation("high", "Cure, claimed", "Cured!", "Ask.", "a.txt", (3,))
    '::error file=a.txt,line=3,title=Cure%2C claimed::“Cured!” Ask.\n'
    """
    level = LEVELS[severity]
    if suppressed is not None:
        level, title, message = "notice", f"Suppressed: {title}", f"Accepted: {suppressed}"
    values = [("file", file)] if file else []
    if place and file:
        values.append(("line", str(place[0])))
        if len(place) > 1:
            _, column, last, end = place
            values.append(("endLine", str(last)))
            if last == place[0]:  # columns hold within one line only
                values += [("col", str(column)), ("endColumn", str(end))]
    values.append(("title", title))
    given = ",".join(f"{k}={_value(v)}" for k, v in values)
    return f"::{level} {given}::{_data(f'“{text}” {message}'.strip())}\n"


def _data(text: str) -> str:
    text = text.translate(_UNFIT).replace("%", "%25")
    return text.replace("\r", "%0D").replace("\n", "%0A")


def _value(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
