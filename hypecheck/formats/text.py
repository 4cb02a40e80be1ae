"""Reports for a terminal: flagged sentences in order, the checklist, and one line that sums up.

Legible without colour, where flagged phrases stand between ``»`` and ``«``. Nothing in the text is
taken as markup, and no control character of it reaches the terminal.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from hypecheck.formats.options import DISCLAIMER, Options, found_by, summary, without_ask
from hypecheck.types import Category, Finding, Report, Status

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_STYLES: dict[Category, str] = {
    "guaranteed_cure": "bold underline red",
    "pressure_sales": "bold underline magenta",
    "missing_data": "bold underline cyan",
}
_MARKS: dict[Status, tuple[str, str, str]] = {
    "stated": ("✓", "stated", "green"),
    "not_stated": ("✗", "not stated", "bold red"),
    "not_applicable": ("–", "does not apply", "dim"),
}
# Control characters, direction overrides, which reorder what stands on a line, and surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_LONG = 600  # characters; a longer sentence is shown around what was flagged
_AROUND = 200
_LEAST_WIDTH, _MOST_WIDTH = 30, 100  # columns; longer lines are hard to read


def render(reports: Iterable[tuple[str, Report]], options: Options) -> Iterator[str]:
    """Give one piece of text a report, with an empty line between two."""
    for i, (name, report) in enumerate(reports):
        yield ("\n" if i else "") + _Page(options).report(name, report)


class _Page:
    """What is written about one report."""

    def __init__(self, options: Options) -> None:
        from rich.console import Console

        self._options = options
        self._file = io.StringIO()
        self._width = min(max(_LEAST_WIDTH, options.width), _MOST_WIDTH)
        self._console: Console = Console(
            file=self._file,
            width=self._width,
            force_terminal=options.colour,
            color_system="standard" if options.colour else None,
            no_color=not options.colour,
            markup=False,
            highlight=False,
            emoji=False,
            legacy_windows=False,
            _environ={},  # the caller has decided; the environment is read once, by the CLI
        )

    def report(self, name: str, report: Report) -> str:
        self._heading(name, "bold")
        for note in report.notes:
            self._line("Note: ", note, "italic")
        for index, findings in _by_sentence(report.findings):
            self._gap()
            self._sentence(report, index, findings)
            for finding in findings:
                self._gap()
                self._finding(finding, quoted=len(findings) > 1)
        if report.suppressed:
            self._suppressed(report)
        if self._options.explain:
            self._dismissed(report)
        if report.checklist:
            self._checklist(report)
        self._gap()
        self._line("", summary(report, self._options), "bold")
        self._line("", DISCLAIMER, "dim")
        return self._file.getvalue()

    def _sentence(self, report: Report, index: int, findings: Sequence[Finding]) -> None:
        start = min(f.start for f in findings)
        end = max(f.end for f in findings)
        if 0 <= index < len(report.sentences):
            start = min(start, report.sentences[index].start)
            end = max(end, report.sentences[index].end)
        before = after = ""
        if end - start > _LONG:
            near, far = self._around(report.text, start, end, findings)
            before, after = ("… " if near > start else ""), (" …" if far < end else "")
            start, end = near, far
        out = self._text(before)
        opens, closes = _edges(findings)
        for a, b, inside in _pieces(start, end, findings):
            piece = _visible(report.text[a:b])
            if not inside:
                out.append(piece)
            elif self._options.colour:
                out.append(piece, _STYLES[inside[-1].category])
            else:
                out.append(f"{'»' if a in opens else ''}{piece}{'«' if b in closes else ''}")
        out.append(after)
        self._write(out, "┃ ", "┃ ")

    @staticmethod
    def _around(text: str, start: int, end: int, findings: Sequence[Finding]) -> tuple[int, int]:
        """Give the part of a long sentence that holds its findings, cut between words."""
        first = min(f.start for f in findings)
        last = max(f.end for f in findings)
        near, far = first - _AROUND, last + _AROUND
        near = start if near <= start else max(text.find(" ", near, first) + 1, near)
        if far < end and (space := text.rfind(" ", last, far)) > 0:
            far = space
        return near, min(far, end)

    def _finding(self, f: Finding, *, quoted: bool) -> None:
        title = self._text("● ", _STYLES[f.category].replace("underline ", ""))
        title.append(_visible(self._options.title(f.kind)), "bold")
        title.append(_visible(f" · {self._options.title(f.category).lower()} · {f.severity}"))
        title.append(f" · score {f.score:.2f}")
        self._write(title, "  ", "    ")
        if quoted:
            phrase = _visible(f.text)
            if self._options.colour:
                self._write(self._text(phrase, _STYLES[f.category]), "    ", "    ")
            else:
                self._write(self._text(f"»{phrase}«"), "    ", "    ")
        self._labelled("By", found_by(f.source, f.rule))
        self._labelled("Why", f.why)
        self._labelled("Ask", without_ask(f.advice))
        if f.references:
            first = f.references[0]
            clause = f", {first.clause}" if first.clause else ""
            self._labelled("See", f"{first.title}{clause} ({first.year})")
            self._whole(f"         {_visible(first.url)}")

    def _suppressed(self, report: Report) -> None:
        self._gap()
        self._heading("Flagged, and accepted by your allow-list", "bold")
        for s in report.suppressed:
            line = self._text(f"“{_visible(s.finding.text)}”")
            line.append(f" · {_visible(self._options.title(s.finding.kind))}", "bold")
            line.append(_visible(f" · {s.reason}"), "dim")
            self._write(line, "  · ", "    ")

    def _dismissed(self, report: Report) -> None:
        self._gap()
        self._heading("Looked at and let pass", "bold")
        if not report.dismissed:
            self._line("  ", "Nothing.", "dim")
        for d in report.dismissed:
            line = self._text(f"“{_visible(d.text)}”")
            line.append(f" · {_visible(self._options.title(d.kind))}", "bold")
            by = f", because of “{d.cue.text}”" if d.cue else ""
            line.append(_visible(f" · {d.guard}{by}"))
            line.append(f" ({_visible(found_by(d.source, d.rule))})", "dim")
            self._write(line, "  · ", "    ")
            if d.reason:
                self._line("    ", d.reason, "dim")

    def _checklist(self, report: Report) -> None:
        self._gap()
        self._heading("What a patient needs to know", "bold")
        for item in report.checklist:
            sign, word, style = _MARKS[item.status]
            line = self._text(f"{sign} ", style)
            line.append(_visible(item.title))
            line.append(f" · {word}", style if item.status != "stated" else "dim")
            self._write(line, "  ", "    ")
            if item.status == "not_stated":
                self._labelled("Ask", without_ask(item.question))
            elif item.status == "stated" and item.evidence:
                self._line("    ", f"“{_shortened(item.evidence[0].text)}”", "dim")

    def _heading(self, title: str, style: str) -> None:
        self._write(self._text(_visible(title), style), "", "")
        self._whole("─" * self._width, "dim")

    def _labelled(self, label: str, text: str) -> None:
        out = self._text(f"{label:3}  ", "bold")
        out.append(_visible(text))
        self._write(out, "    ", "         ")

    def _line(self, before: str, text: str, style: str) -> None:
        self._write(self._text(_visible(text), style), before, " " * len(before))

    def _text(self, text: str = "", style: str = "") -> Text:
        from rich.text import Text

        out = Text(end="")
        out.append(text, style)
        return out

    def _gap(self) -> None:
        self._file.write("\n")

    def _whole(self, text: str, style: str = "") -> None:
        """Write a line that must not be cut, such as an address to copy."""
        self._console.print(self._text(text, style), soft_wrap=True)

    def _write(self, text: Text, first: str, rest: str) -> None:
        """Write ``text`` wrapped between words, indented by ``first``, then by ``rest``."""
        room = self._width - max(len(first), len(rest))
        for i, line in enumerate(text.wrap(self._console, room)):
            line.rstrip()
            whole = self._text(rest if i else first)
            whole.append_text(line)
            self._console.print(whole, soft_wrap=True)


def _by_sentence(findings: Sequence[Finding]) -> Iterator[tuple[int, list[Finding]]]:
    """Group findings by sentence, in the order of the text."""
    groups: dict[int, list[Finding]] = {}
    for f in sorted(findings, key=lambda f: (f.start, f.end, f.kind)):
        groups.setdefault(f.sentence, []).append(f)
    yield from groups.items()


def _pieces(
    start: int, end: int, findings: Sequence[Finding]
) -> Iterator[tuple[int, int, list[Finding]]]:
    """Cut ``[start, end)`` where a finding begins or ends; each piece with those that cover it."""
    cuts = {start, end} | {p for f in findings for p in (f.start, f.end) if start < p < end}
    for a, b in pairwise(sorted(cuts)):
        inside = [f for f in findings if f.start <= a and b <= f.end and f.start < f.end]
        # The shortest last: the innermost colour is the one that shows.
        yield a, b, sorted(inside, key=lambda f: f.start - f.end)


def _edges(findings: Sequence[Finding]) -> tuple[set[int], set[int]]:
    """Give where marks open and close without colour: overlapping phrases share one pair."""
    opens: set[int] = set()
    closes: set[int] = set()
    last = -1
    for f in sorted(findings, key=lambda f: (f.start, f.end)):
        if f.start >= f.end:
            continue
        if f.start >= last:
            opens.add(f.start)
            closes.add(f.end)
        elif f.end > last:
            closes.discard(last)
            closes.add(f.end)
        last = max(last, f.end)
    return opens, closes


def _visible(text: str) -> str:
    """Put white space on one line and show what a terminal would obey instead of print."""
    return _INVISIBLE.sub(_picture, re.sub(r"[ \t\r\n\u2028\u2029]+", " ", text))


def _picture(m: re.Match[str]) -> str:
    code = ord(m[0])
    if code < 0x20:
        return chr(0x2400 + code)  # the block of control pictures
    return "␡" if code == 0x7F else f"<U+{code:04X}>"


def _shortened(text: str, size: int = 140) -> str:
    return text if len(text) <= size else text[: text.rfind(" ", 0, size) or size] + " …"
