"""Reports as one self-contained web page: no script, no network, every character escaped.

The text stands beside the explanations; a marked phrase links to its explanation and back.
Colours never stand alone: each category has its own underline too. The style sheet is
``report.css`` in this folder, allowed by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import chain, islice, pairwise

from hypecheck.formats.options import (
    DISCLAIMER,
    Options,
    found_by,
    summary,
    without_ask,
)
from hypecheck.types import (
    CATEGORIES,
    Category,
    ChecklistItem,
    Dismissed,
    Finding,
    Reference,
    Report,
    Severity,
    Status,
    Suppressed,
)

_CLASSES: dict[Category, str] = {
    "guaranteed_cure": "cure",
    "pressure_sales": "press",
    "missing_data": "data",
}
_LINES: dict[Category, str] = {
    "guaranteed_cure": "solid line",
    "pressure_sales": "wavy line",
    "missing_data": "dotted line",
}
_DOTS: dict[Severity, str] = {"low": "●○○", "medium": "●●○", "high": "●●●"}
_STATUS: dict[Status, tuple[str, str]] = {
    "stated": ("✓", "Stated"),
    "not_stated": ("✗", "Not stated"),
    "not_applicable": ("–", "Does not apply"),
}
_PLACES = {"us": "US", "eu": "EU", "uk": "UK", "au": "Australia", "ca": "Canada", "int": ""}
_WEB = re.compile(r"https?://[^\s\"'<>]+\Z")
# What HTML cannot hold: NUL, shown as its picture, and lone surrogates, which UTF-8 lacks.
_UNFIT = {0: "␀"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def render(reports: Iterable[tuple[str, Report]], options: Options) -> Iterator[str]:
    """Give one page: its head, then one piece a report, and with several an overview at the end."""
    source = iter(reports)
    first = list(islice(source, 2))
    several = len(first) > 1
    title = f"HypeCheck: {first[0][0]}" if len(first) == 1 else "HypeCheck report"
    yield _head(title, several)
    rows: list[str] = []
    for i, (name, report) in enumerate(chain(first, source), start=1):
        yield _article(f"r{i}", name, report, options)
        if several:
            rows.append(_row(f"r{i}", name, report, options))
    if not first:
        yield "<p>No texts were given.</p>\n"
    if several:
        yield (
            '<section id="all" class="panel" aria-labelledby="all-h">'
            '<h2 id="all-h">All texts</h2>\n'
            '<table class="all"><thead><tr><th scope="col">Text</th>'
            f'<th scope="col">Result</th></tr></thead><tbody>\n{"".join(rows)}</tbody></table>'
            "</section>\n"
        )
    yield f'</main>\n<footer class="foot"><p>{_e(DISCLAIMER)}</p></footer>\n</body>\n</html>\n'


@cache
def _style() -> tuple[str, str]:
    """Give the style sheet and the hash by which the page's policy allows it, and nothing else."""
    css = files("hypecheck.formats").joinpath("report.css").read_text("utf-8")
    digest = hashlib.sha256(css.encode()).digest()
    return css, base64.b64encode(digest).decode()


def _head(title: str, several: bool) -> str:
    css, digest = _style()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    glance = '<p><a href="#all">All texts at a glance</a></p>' if several else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_e(title)}</title>\n<style>{css}</style>\n</head>\n<body>\n"
        '<header class="top"><h1><span class="logo" aria-hidden="true">H</span>HypeCheck report'
        f"</h1>{glance}<p>{_e(DISCLAIMER)}</p></header>\n<main>\n"
    )


def _article(at: str, name: str, report: Report, options: Options) -> str:
    notes = "".join(f'<p class="note">{_e(n)}</p>\n' for n in report.notes)
    versions = report.versions
    made_by = f"HypeCheck {versions.package} · rules {versions.ruleset}"
    made_by += f" · model {versions.model}" if versions.model else " · no model"
    return (
        f'<article id="{at}" aria-labelledby="{at}-h">\n'
        f'<h2 id="{at}-h"><bdi>{_e(name)}</bdi></h2>\n'
        f'<p class="sum">{_e(summary(report, options))}</p>\n{notes}{_tiles(report, options)}'
        f'<div class="cols">\n{_text(at, report)}{_why(at, report, options)}</div>\n'
        f"{_checklist(at, report.checklist)}"
        f"{_suppressed(at, report.suppressed, options)}"
        f"{_dismissed(at, report.dismissed, options) if options.explain else ''}"
        f'<p class="made">{_e(made_by)}</p>\n</article>\n'
    )


def _tiles(report: Report, options: Options) -> str:
    out = []
    for category in CATEGORIES:
        n = sum(1 for f in report.findings if f.category == category)
        score = report.scores.get(category)
        chance = (
            ""
            if score is None
            else f'<p class="chance">{score:.2f} chance that a careful reader flags the text</p>'
        )
        kind = _CLASSES[category]
        out.append(
            f'<li class="tile {kind}{"" if n else " none"}">'
            f'<p class="name"><mark class="{kind}">{_e(options.title(category))}</mark>'
            f' <span class="how">{_LINES[category]}</span></p>'
            f'<p class="count"><b>{n}</b> {"phrase" if n == 1 else "phrases"}</p>{chance}</li>\n'
        )
    return f'<ul class="tiles" aria-label="Categories">\n{"".join(out)}</ul>\n'


def _text(at: str, report: Report) -> str:
    """Write the text; apart from tags, nothing is added to it and nothing left out."""
    lines: list[str] = ['<span class="line">']
    starts: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    text, found = report.text, report.findings
    for i, f in enumerate(found):
        if 0 <= f.start < f.end <= len(text):
            starts.setdefault(f.start, []).append(i)
            ends.setdefault(f.end, []).append(i)
    breaks = {m.end() for m in re.finditer("\n", text)}
    cuts = sorted({0, len(text), *starts, *ends, *breaks})
    open_now: list[int] = []
    begun: set[int] = set()
    for a, b in pairwise(cuts):
        open_now = [i for i in open_now if found[i].end > a] + starts.get(a, [])
        if a in breaks:
            lines.append('</span><span class="line">')
        piece = _e(text[a:b])
        if not open_now:
            lines.append(piece)
            continue
        # The longest outside; the innermost, shortest phrase is where the link leads.
        nest = sorted(open_now, key=lambda i: (found[i].start - found[i].end, i))
        lines.append(_phrase(at, piece, nest, report, begun, ends.get(b, [])))
    return (
        f'<section class="ad" aria-labelledby="{at}-t"><h3 id="{at}-t">The text</h3>\n'
        f'<div class="text" id="{at}-text" role="region" aria-labelledby="{at}-t" tabindex="0">'
        f"{''.join(lines)}</span></div></section>\n"
    )


def _phrase(
    at: str, piece: str, nest: Sequence[int], report: Report, begun: set[int], ending: Sequence[int]
) -> str:
    """Mark one piece of the text that the findings ``nest`` cover, and number those that end."""
    for depth, i in reversed(list(enumerate(nest))):
        own = "" if i in begun else f' id="{at}-m{i + 1}"'
        begun.add(i)
        kind = _CLASSES[report.findings[i].category]
        piece = f'<mark class="{kind} d{min(depth, 2)}"{own}>{piece}</mark>'
    main = nest[-1]
    number = f' data-n="{main + 1}"' if main in ending else ""
    out = f'<a class="p" href="#{at}-f{main + 1}"{number}>{piece}</a>'
    for i in ending:
        if i != main:
            out += (
                f'<a class="p n" href="#{at}-f{i + 1}" data-n="{i + 1}"'
                f' aria-label="{i + 1}, explanation"></a>'
            )
    return out


def _why(at: str, report: Report, options: Options) -> str:
    """Write one card a kind: it explains once what all its phrases have in common."""
    cards: dict[tuple[str, str, str], list[int]] = {}
    for i, f in enumerate(report.findings):
        cards.setdefault((f.kind, f.why, f.advice), []).append(i)
    body = "".join(
        _card(at, f"{at}-k{n}", hits, report, options)
        for n, hits in enumerate(cards.values(), start=1)
    )
    if not body:
        body = (
            '<p class="empty">Nothing was flagged. That does not show that what the text says is '
            "true.</p>\n"
        )
    legend = (
        '<p class="legend">Score: the chance that a careful reader would flag the phrase.</p>\n'
        if report.findings
        else ""
    )
    return (
        f'<section class="why" aria-labelledby="{at}-w"><h3 id="{at}-w">What was flagged, and why'
        f"</h3>\n{legend}{body}</section>\n"
    )


def _card(at: str, own: str, hits: Sequence[int], report: Report, options: Options) -> str:
    first = report.findings[hits[0]]
    phrases = "".join(_hit(at, i, report.findings[i]) for i in hits)
    ask = without_ask(first.advice)
    # "Ask the clinic for figures": the label begins the sentence that "Ask for figures" was.
    colon = "" if re.match(r"Ask\s", first.advice) else ":"
    return (
        f'<section class="card {_CLASSES[first.category]}" aria-labelledby="{own}">'
        f'<h4 id="{own}">{_e(options.title(first.kind))}</h4>'
        f'<p class="meta"><span class="cat">{_e(options.title(first.category))}</span>'
        f'<span class="sev"><span aria-hidden="true">{_DOTS[first.severity]}</span> '
        f"{first.severity} severity</span></p>\n"
        f'<ul class="hits">{phrases}</ul>\n'
        f'<p class="reason">{_e(first.why)}</p>\n'
        f'<p class="ask"><b>Ask the clinic{colon}</b> {_e(ask)}</p>\n'
        f"{_guidance(first.references)}</section>\n"
    )


def _hit(at: str, i: int, f: Finding) -> str:
    return (
        f'<li id="{at}-f{i + 1}"><span class="no">{i + 1}</span>'
        f'<div><q><bdi>{_e(f.text)}</bdi></q> <span class="by">score {f.score:.2f} · '
        f'{_e(found_by(f.source, f.rule))} · <a href="#{at}-m{i + 1}" '
        f'aria-label="Back to phrase {i + 1} in the text">in the text ↩</a></span></div></li>'
    )


def _guidance(references: Sequence[Reference]) -> str:
    """Write the first reference, the best, openly and the others to be unfolded."""
    if not references:
        return ""
    first, *others = (_reference(r) for r in references)
    more = (
        f'<details><summary>{len(others)} more</summary><ul class="refs">{"".join(others)}</ul>'
        "</details>"
        if others
        else ""
    )
    return f'<p class="label">Relevant guidance</p>\n<ul class="refs">{first}</ul>{more}'


def _reference(r: Reference) -> str:
    title = _e(r.title)
    if _WEB.match(r.url):
        title = f'<a href="{_e(r.url)}" rel="noopener noreferrer">{title}</a>'
    about = [r.clause, str(r.year), _PLACES.get(r.jurisdiction, r.jurisdiction)]
    point = f'<span class="point">{_e(r.point)}</span>' if r.point else ""
    return f"<li>{title} <span>{_e(' · '.join(x for x in about if x))}</span>{point}</li>"


def _checklist(at: str, items: Sequence[ChecklistItem]) -> str:
    if not items:
        return ""
    rows = []
    for item in items:
        sign, word = _STATUS[item.status]
        if item.status == "stated":
            what = " ".join(f"<q><bdi>{_e(c.text)}</bdi></q>" for c in item.evidence)
        else:
            question = _e(item.question) if item.status == "not_stated" else ""
            what = f"<b>Ask:</b> {question}" if question else ""
        rows.append(
            f'<tr class="{item.status}"><th scope="row">{_e(item.title)}</th>'
            f'<td class="st"><span aria-hidden="true">{sign}</span> {word}</td>'
            f"<td>{what}</td></tr>\n"
        )
    stated = sum(1 for c in items if c.status == "stated")
    asked = sum(1 for c in items if c.status != "not_applicable")
    return (
        f'<section class="panel" aria-labelledby="{at}-c">'
        f'<h3 id="{at}-c">What a patient needs to know</h3>'
        f'<p class="legend">The text states {stated} of {asked}.</p>'
        '<table class="check"><thead><tr><th scope="col">Point</th><th scope="col">In the text'
        '</th><th scope="col">Where, or what to ask</th></tr></thead>'
        f"<tbody>\n{''.join(rows)}</tbody></table></section>\n"
    )


def _suppressed(at: str, items: Sequence[Suppressed], options: Options) -> str:
    if not items:
        return ""
    rows = "".join(
        f"<li><q><bdi>{_e(s.finding.text)}</bdi></q> <b>{_e(options.title(s.finding.kind))}</b>: "
        f'<bdi>{_e(s.reason)}</bdi> <span class="by">'
        f"{_e(found_by(s.finding.source, s.finding.rule))}</span></li>\n"
        for s in items
    )
    return (
        f'<section class="panel" aria-labelledby="{at}-s">'
        f'<h3 id="{at}-s">Flagged, and accepted by your allow-list</h3><ul>{rows}</ul></section>\n'
    )


def _dismissed(at: str, items: Sequence[Dismissed], options: Options) -> str:
    rows = []
    for d in items:
        cue = f", because of <q><bdi>{_e(d.cue.text)}</bdi></q>" if d.cue else ""
        rows.append(
            f"<li><q><bdi>{_e(d.text)}</bdi></q> <b>{_e(options.title(d.kind))}</b>: "
            f'{_e(d.guard)}{cue}. {_e(d.reason)} <span class="by">'
            f"{_e(found_by(d.source, d.rule))}</span></li>\n"
        )
    body = f"<ul>{''.join(rows)}</ul>" if rows else "<p>Nothing.</p>"
    return (
        f'<section class="panel" aria-labelledby="{at}-d">'
        f'<h3 id="{at}-d">Looked at and let pass</h3>{body}</section>\n'
    )


def _row(at: str, name: str, report: Report, options: Options) -> str:
    return (
        f'<tr><th scope="row"><a href="#{at}"><bdi>{_e(name)}</bdi></a></th>'
        f"<td>{_e(summary(report, options))}</td></tr>\n"
    )


def _e(text: str) -> str:
    """Escape for content and quoted attributes; a parser would turn a bare CR into LF."""
    return html.escape(text.translate(_UNFIT)).replace("\r", "&#13;")
