"""The user's allow-list: which findings are accepted, where, and why.

An accepted finding is not lost: it moves from ``Report.findings`` to ``Report.suppressed``, with
the reason beside it, and no longer counts. Two sources: a list (phrases, kinds, rules; by
advertiser, site or id), and comments in the text itself, ``<!-- hypecheck: off -->`` to
``<!-- hypecheck: on -->``. Comments count only where the user says so: who writes an advertisement
must not decide whether it is read.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from hypecheck.errors import HypeCheckError
from hypecheck.normalise import normalise
from hypecheck.types import (
    CATEGORIES,
    CATEGORY_OF,
    Finding,
    Region,
    Report,
    Suppressed,
)

_AROUND = 80  # characters beside a finding in which a longer allowed phrase is sought
_WORD = re.compile(r"[a-z0-9%$']+")
_COMMENT = re.compile(r"<!--\s{0,20}hypecheck:([^<>]{0,500}?)-->", re.I)
_BODY = re.compile(r"(?P<verb>on|off)\b(?P<names>[^;]*)(?:;\s*(?P<reason>.*))?\Z", re.I | re.S)


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a text beside the text; "" where it is not."""

    id: str = ""
    advertiser: str = ""
    site: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an allow-list: all that it names must hold; of several values one is enough.

    Attributes:
        reason: why, for those who read the results.
        phrases: words of the finding, or around it; case, spacing and disguises do not matter.
        kinds: kinds or categories.
        rules: rule ids, such as "urgency/act-now".
        advertisers: of the text; ``*`` stands for anything, case does not matter.
        sites: host names; those below them count too.
        ids: of the text, a file's path for ``hypecheck check``; ``*`` stands for anything.
    """

    reason: str
    phrases: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    advertisers: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    def accepts(self, finding: Finding, text: str, about: About) -> bool:
        """Say whether the entry accepts a finding in ``text``."""
        if self.kinds and not {finding.kind, finding.category} & set(self.kinds):
            return False
        if self.rules and finding.rule not in self.rules:
            return False
        if self.advertisers and not _like(about.advertiser, self.advertisers):
            return False
        if self.sites and not _below(about.site, self.sites):
            return False
        if self.ids and not _like(about.id, self.ids):
            return False
        return not self.phrases or _said(finding, text, self.phrases)


@dataclass(frozen=True, slots=True)
class AllowList:
    """What the user accepts.

    Attributes:
        entries: the list.
        inline: whether comments in a text count too.

    >>> from hypecheck import Checker
    >>> allow = AllowList.of_phrases(["act now"])
    >>> report = Checker(model=None, allow=allow).check("Act now! Only 3 spots left!")
    >>> [f.text for f in report.findings], [s.finding.text for s in report.suppressed]
    (['Only 3 spots left'], ['Act now'])
    """

    entries: tuple[Entry, ...] = ()
    inline: bool = False

    def __bool__(self) -> bool:
        """Say whether anything can be accepted at all."""
        return bool(self.entries) or self.inline

    @classmethod
    def of_phrases(cls, phrases: Iterable[str]) -> AllowList:
        """Give the list that accepts some phrases everywhere; those without a word accept none."""
        return cls(
            tuple(Entry(f"allowed phrase “{p.strip()}”", (p,)) for p in phrases if _words(p))
        )

    def plus(self, other: AllowList) -> AllowList:
        """Give what both lists accept."""
        return AllowList(self.entries + other.entries, self.inline or other.inline)

    def apply(
        self, report: Report, about: About | None = None, regions: Sequence[Region] | None = None
    ) -> Report:
        """Move what is accepted from the report's findings to its suppressed ones.

        Args:
            report: of one text; what is suppressed in it stays so.
            about: whose text it is.
            regions: those that comments switched off, where the text was taken out of HTML; else
                they are sought in the text.
        """
        if not self or not report.findings:
            return report
        about = about or About(report.id)
        if not self.inline:
            regions = ()
        elif regions is None:
            regions = regions_of(report.text)
        kept: list[Finding] = []
        gone = list(report.suppressed)
        for f in report.findings:
            by = self._why(f, report.text, about, regions)
            if by is None:
                kept.append(f)
            else:
                gone.append(by)
        if len(kept) == len(report.findings):
            return report
        gone.sort(key=lambda s: (s.finding.start, s.finding.end, s.finding.kind))
        return replace(report, findings=tuple(kept), suppressed=tuple(gone))

    def _why(
        self, f: Finding, text: str, about: About, regions: Sequence[Region]
    ) -> Suppressed | None:
        for e in self.entries:
            if e.accepts(f, text, about):
                return Suppressed(f, "list", e.reason)
        for r in regions:
            named = not r.names or {f.kind, f.category, f.rule} & set(r.names)
            if named and r.start <= f.start and f.end <= r.end:
                return Suppressed(f, "comment", r.reason)
        return None


def load(path: Path) -> AllowList:
    """Read an allow-list file.

    It holds ``[[allow]]`` tables with a ``reason`` and lists of at least one of the attributes of
    :class:`Entry`, and optionally ``inline = true``.

    Raises:
        HypeCheckError: unreadable or broken; names the file, the entry and the key.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as e:  # ValueError: not TOML, not UTF-8
        why = e.strerror if isinstance(e, OSError) else str(e)
        raise HypeCheckError(f"{path}: cannot be read as an allow-list: {why}") from None
    _known(table, {"allow", "inline"}, str(path))
    inline = table.get("inline", False)
    given = table.get("allow", [])
    if not isinstance(inline, bool):
        raise HypeCheckError(f"{path}: inline must be true or false")
    if not isinstance(given, list) or not all(isinstance(e, dict) for e in given):
        raise HypeCheckError(f"{path}: entries are written as [[allow]] tables")
    return AllowList(tuple(_entry(e, f"{path}: entry {n}") for n, e in enumerate(given, 1)), inline)


def _entry(table: Mapping[str, Any], where: str) -> Entry:
    names = [f.name for f in fields(Entry)]
    _known(table, set(names), where)
    reason = table.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise HypeCheckError(f"{where}: needs a reason, a text that says why")
    lists: dict[str, tuple[str, ...]] = {}
    for key in names[1:]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) and v.strip() for v in value):
            raise HypeCheckError(f"{where}: {key} must be a list of texts")
        if key in table and not value:
            raise HypeCheckError(f"{where}: {key} is empty")
        lists[key] = tuple(value)
    if not any(lists.values()):
        raise HypeCheckError(f"{where}: names nothing; give one of {', '.join(names[1:])}")
    for k in lists["kinds"]:
        if k not in CATEGORY_OF and k not in CATEGORIES:
            raise HypeCheckError(
                f"{where}: unknown kind {k!r}; `hypecheck rules list` shows what there is"
            )
    for p in lists["phrases"]:
        if not _words(p):
            raise HypeCheckError(f"{where}: the phrase {p!r} holds no word")
    return Entry(reason.strip(), **lists)


def _known(table: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise HypeCheckError(
                f"{where}: unknown key {key!r} (known: {', '.join(sorted(known))})"
            )


# Comments


@dataclass(frozen=True, slots=True)
class Directive:
    """What a comment says: from here on off, or on again."""

    off: bool
    names: tuple[str, ...] = ()  # kinds, categories, rule ids; none: all
    reason: str = "switched off by a comment in the text"


def directive(comment: str) -> Directive | None:
    """Read what stands between ``<!--`` and ``-->``; None where it is none, or names nothing known.

    >>> directive(" hypecheck: off urgency; quoted from an old flyer ")
    Directive(off=True, names=('urgency',), reason='quoted from an old flyer')
    """
    head, colon, body = comment.partition(":")
    if not colon or head.strip().lower() != "hypecheck":
        return None
    m = _BODY.match(body.strip())
    if m is None:
        return None
    names = tuple(re.split(r"[\s,]+", m["names"].strip())) if m["names"].strip() else ()
    if not all(n in CATEGORY_OF or n in CATEGORIES or _rule_like(n) for n in names):
        return None  # a misspelt name must not switch off everything
    reason = " ".join((m["reason"] or "").split())
    if m["verb"].lower() == "on":
        return Directive(False)
    return Directive(True, names, reason) if reason else Directive(True, names)


def regions_of(text: str) -> tuple[Region, ...]:
    """Give the regions that comments in a plain text switch off, the comments included."""
    if "hypecheck:" not in text and "hypecheck:" not in text.lower():
        return ()
    marks = [
        (m.start(), m.end(), d)
        for m in _COMMENT.finditer(text)
        if (d := directive(f"hypecheck:{m[1]}"))
    ]
    return close(marks, len(text))


def close(marks: Iterable[tuple[int, int, Directive]], size: int) -> tuple[Region, ...]:
    """Turn directives with their places into regions; "on" ends all that are open.

    Args:
        marks: (start of the comment, its end, what it says), in the order of the text.
        size: of the text, where what nothing ends is ended.
    """
    out: list[Region] = []
    open_: list[tuple[int, Directive]] = []
    for start, end, d in marks:
        if d.off:
            open_.append((start, d))
        else:
            out += [Region(a, end, o.names, o.reason) for a, o in open_]
            open_ = []
    out += [Region(a, size, o.names, o.reason) for a, o in open_]
    return tuple(out)


def _rule_like(name: str) -> bool:
    kind, slash, own = name.partition("/")
    return bool(slash and own) and kind in CATEGORY_OF


# Comparing


def _like(value: str, patterns: Sequence[str]) -> bool:
    return any(_pattern(p).fullmatch(value.strip().lower()) for p in patterns)


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    parts = pattern.strip().lower().split("*")
    return re.compile(".*".join(map(re.escape, parts)), re.S)


def _below(site: str, sites: Sequence[str]) -> bool:
    host = re.sub(r"\A[a-z]+://", "", site.strip().lower()).partition("/")[0].partition(":")[0]
    return any(
        host == (s := own.strip().lower().removeprefix("www.")) or host.endswith(f".{s}")
        for own in sites
    )


def _said(finding: Finding, text: str, phrases: Sequence[str]) -> bool:
    own = _words(text[finding.start : finding.end])
    around = _words(text[max(0, finding.start - _AROUND) : finding.end + _AROUND])
    return any((a := _words(p)) in own or (own in a and a in around) for p in phrases)


def _words(text: str) -> str:
    """Give the words of ``text`` in lower case, a space before and behind each; "" if none."""
    words = _WORD.findall(normalise(text).text.lower())
    return f" {' '.join(words)} " if words else ""
