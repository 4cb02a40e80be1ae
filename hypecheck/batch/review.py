"""A sample of findings for people to judge, and what their verdicts say.

The sample is stratified, by kind and by whether a rule or the model alone found it, so that rare
kinds are judged too; estimates weigh each stratum by its size. A unit is a finding in a distinct
text: copies of an advertisement are judged once.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypecheck.batch.overview import STRATA, Drawn, host
from hypecheck.batch.results import KIND_IDS, plain_cell, sentence_start
from hypecheck.batch.writers import guarded_cell
from hypecheck.corpus import read_markup
from hypecheck.errors import CorpusError, InputError
from hypecheck.formats.sarif import fingerprint
from hypecheck.intervals import wilson
from hypecheck.types import CATEGORIES, CATEGORY_OF, KINDS

COLUMNS = (
    "verdict", "comment", "kind", "phrase", "sentence", "context", "role", "stratum",
    "stratum_size", "category", "severity", "score", "source", "rule", "advertiser", "site", "date",
    "id", "place", "document", "sentence_start", "start", "end", "fingerprint",
)  # fmt: skip
_NUMBERS = ("document", "sentence_start", "start", "end")
_NEEDED = (
    "verdict", "kind", "phrase", "sentence", "role", "stratum", "stratum_size", "fingerprint", "id",
    *_NUMBERS,
)  # fmt: skip
_AROUND = 240  # characters of context on each side
_YES = frozenset(("yes", "y", "true", "right", "correct", "1", "tp"))
_NO = frozenset(("no", "n", "false", "wrong", "incorrect", "0", "fp"))
_UNSURE = frozenset(("unsure", "?", "maybe", "unclear"))
_LISTED = 10  # bad verdicts named in one message


def rows_of(document: Mapping[str, Any], i: int) -> list[dict[str, Any]]:
    """Give the rows of a sampled finding: its own, and those of the others in its sentence.

    The others are not drawn at random, so they count in no estimate; but only when all flags of a
    sentence are judged does the sentence teach anything.
    """
    findings = document["findings"]
    seen: Counter[str] = Counter()
    prints = [
        fingerprint(document["id"] or "", f["kind"] or "", f["text"] or "", seen) for f in findings
    ]
    own = findings[i]
    begin = sentence_start(own)
    out: list[dict[str, Any]] = []
    for n, f in enumerate(findings):
        beside = n != i
        if beside and (
            f["suppressed"] is not None
            or f["kind"] not in CATEGORY_OF
            or f["sentence"] != own["sentence"]
            or sentence_start(f) != begin
        ):
            continue
        text = document["text"] or ""
        a, b = max(0, f["start"] - _AROUND), min(len(text), f["end"] + _AROUND)
        row = {
            "kind": f["kind"],
            "phrase": f["text"],
            "sentence": f["sentence"],
            "context": ("… " if a else "") + text[a:b] + (" …" if b < len(text) else ""),
            "role": "beside" if beside else "sampled",
            "category": CATEGORY_OF[f["kind"]],
            "severity": f["severity"],
            "score": round(f["score"] or 0.0, 4),
            "source": f["source"],
            "rule": f["rule"],
            "document": document["number"],
            "sentence_start": begin,
            "start": f["start"],
            "end": f["end"],
            "fingerprint": prints[n],
            **{k: document[k] for k in ("advertiser", "site", "date", "id", "place")},
        }
        out.insert(0 if not beside else len(out), row)
    return out


def write_sample(drawn: Drawn, size: int, path: Path) -> tuple[int, int]:
    """Write the sample as CSV; give how many findings were drawn, and from how many strata.

    Every stratum gets the same share as far as it has findings.
    """
    found = drawn.sample.items()
    order = {name: n for n, name in enumerate(STRATA)}
    names = sorted(found, key=lambda s: order[s])
    share = _allot({name: len(found[name]) for name in names}, size)
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    written: set[tuple[int, int, int, str]] = set()
    sampled = {
        (r[0]["document"], r[0]["start"], r[0]["end"], r[0]["kind"])
        for name in names
        for r, _ in found[name][: share[name]]
    }
    for name in names:
        for rows, _ in found[name][: share[name]]:
            for row in rows:
                key = (row["document"], row["start"], row["end"], row["kind"])
                if key in written or (row["role"] == "beside" and key in sampled):
                    continue
                written.add(key)
                own = {"stratum": name, "stratum_size": drawn.sizes[name]}
                full = {**row, **(own if row["role"] == "sampled" else {})}
                writer.writerow([guarded_cell(full.get(c)) for c in COLUMNS])
    try:
        path.write_bytes(b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "replace"))
    except OSError as e:
        raise InputError(f"{path}: cannot be written: {e.strerror}") from None
    return sum(share.values()), sum(1 for n in share.values() if n)


def _allot(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    out = dict.fromkeys(sizes, 0)
    left = min(total, sum(sizes.values()))
    while left:
        open_ = [s for s in sizes if out[s] < sizes[s]]
        each = max(1, left // len(open_))
        for s in open_:
            more = min(each, sizes[s] - out[s], left)
            out[s] += more
            left -= more
    return out


# Verdicts


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judged row: right, wrong (with the kinds that are right instead), or unsure."""

    row: Mapping[str, str]
    right: bool | None  # of the kind; None: unsure
    kinds: tuple[str, ...]  # what the phrase is, in the reader's eyes


@dataclass(slots=True)
class Estimate:
    """The precision of a group of findings, weighted to all of them.

    ``effective`` is the sample size that a simple random sample of this accuracy would have
    (Kish 1965); the interval is Wilson's for it.
    """

    name: str
    judged: int
    right: int
    population: int
    precision: float
    effective: float
    interval: tuple[float, float]
    missing: int  # findings of strata in which nothing was judged


@dataclass(slots=True)
class Reviewed:
    """What a reviewed sample says."""

    verdicts: list[Verdict]
    open: int  # sampled rows without a verdict
    unsure: int
    overall: Estimate | None
    categories: list[Estimate] = field(default_factory=list)
    kinds: list[Estimate] = field(default_factory=list)
    strata: list[Estimate] = field(default_factory=list)


def read_review(path: Path) -> Reviewed:
    """Read a sample with its verdicts.

    A verdict is yes, no, unsure, or the kind that it is instead (several joined by +); an empty one
    is still to be given.

    Raises:
        InputError: not such a file, or verdicts that are none; names rows and column.
    """
    rows = _read(path)
    verdicts: list[Verdict] = []
    bad: list[str] = []
    opened = 0
    for n, row in enumerate(rows, 2):
        given = row["verdict"].strip().lower()
        if not given:
            opened += row["role"] == "sampled"
            continue
        own = row["kind"]
        if given in _YES:
            verdicts.append(Verdict(row, True, (own,)))
        elif given in _NO:
            verdicts.append(Verdict(row, False, ()))
        elif given in _UNSURE:
            verdicts.append(Verdict(row, None, ()))
        else:
            kinds = tuple(dict.fromkeys(k.strip() for k in re.split(r"[+,;]", given)))
            if all(k in CATEGORY_OF for k in kinds):
                verdicts.append(Verdict(row, own in kinds, kinds))
            else:
                bad.append(f"row {n}: {row['verdict'].strip()!r:.60}")
    if bad:
        more = f", and {len(bad) - _LISTED} more" if len(bad) > _LISTED else ""
        raise InputError(
            f"{path}, column verdict: neither yes, no, unsure nor a kind: "
            f"{'; '.join(bad[:_LISTED])}{more}"
        )
    return _estimates(verdicts, rows, opened)


def _read(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(10_000_000)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from None
    except UnicodeDecodeError as e:
        raise InputError(
            f"{path}: not UTF-8 at byte {e.start}; save it as “CSV UTF-8” in the spreadsheet"
        ) from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)  # spreadsheets of some languages save semicolons
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    missing = [c for c in _NEEDED if c not in (reader.fieldnames or ())]
    if missing:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; is it from `hypecheck report --sample`?"
        )
    rows = []
    for n, raw in enumerate(reader, 2):
        row = {k: plain_cell(v) for k, v in raw.items() if k}
        if not any(row.values()):
            continue
        if row["kind"] not in CATEGORY_OF:
            raise InputError(f"{path}, row {n}, column kind: unknown kind {row['kind']!r:.60}")
        if row["role"] not in ("sampled", "beside"):
            raise InputError(f"{path}, row {n}, column role: {row['role']!r:.60} is neither")
        for c in (*_NUMBERS, *(("stratum_size",) if row["role"] == "sampled" else ())):
            if not re.fullmatch(r"[0-9]{1,15}", row[c]):
                raise InputError(f"{path}, row {n}, column {c}: {row[c]!r:.60} is no number")
        rows.append(row)
    return rows


def _estimates(
    verdicts: Sequence[Verdict], rows: Sequence[Mapping[str, str]], opened: int
) -> Reviewed:
    sizes = {r["stratum"]: int(r["stratum_size"]) for r in rows if r["role"] == "sampled"}
    sampled = [v for v in verdicts if v.row["role"] == "sampled"]
    judged = [v for v in sampled if v.right is not None]
    out = Reviewed(list(verdicts), opened, len(sampled) - len(judged), None)
    strata = [s for s in STRATA if s in sizes]

    def estimate(name: str, of: Iterable[str], right: Mapping[int, bool]) -> Estimate | None:
        tally: dict[str, list[bool]] = {}
        for i, v in enumerate(judged):
            tally.setdefault(v.row["stratum"], []).append(right[i])
        own = [s for s in of if s in tally]
        population = sum(sizes[s] for s in own)
        if not population:
            return None
        weights = {s: sizes[s] / population for s in own}
        p = sum(sizes[s] * (sum(tally[s]) / len(tally[s])) for s in own) / population
        effective = 1 / sum(w * w / len(tally[s]) for s, w in weights.items())
        return Estimate(
            name,
            sum(len(tally[s]) for s in own),
            sum(sum(tally[s]) for s in own),
            population,
            p,
            effective,
            wilson(p * effective, effective),
            sum(sizes[s] for s in of if s not in tally),
        )

    any_kind = {i: bool(v.kinds) for i, v in enumerate(judged)}
    category = {
        i: CATEGORY_OF[v.row["kind"]] in {CATEGORY_OF[k] for k in v.kinds}
        for i, v in enumerate(judged)
    }
    kind = {i: bool(v.right) for i, v in enumerate(judged)}
    out.overall = estimate("all findings", strata, any_kind)
    for c in CATEGORIES:
        of = [s for s in strata if s.partition("/")[0] in KINDS[c]]
        out.categories += filter(None, [estimate(c, of, category)])
    for k in KIND_IDS:
        of = [s for s in strata if s.partition("/")[0] == k]
        out.kinds += filter(None, [estimate(k, of, kind)])
    for s in strata:
        out.strata += filter(None, [estimate(s, [s], kind)])
    return out


def table(reviewed: Reviewed) -> str:
    """Give the estimates as a table for a terminal."""
    lines = [f"{'':30} precision   95 % interval   judged   findings"]
    groups: list[tuple[str, list[Estimate]]] = [
        ("", [reviewed.overall] if reviewed.overall else []),
        ("by category (the category is right)", reviewed.categories),
        ("by kind (the kind is right)", reviewed.kinds),
        ("by stratum", reviewed.strata),
    ]
    for title, estimates in groups:
        if title and estimates:
            lines.append(title)
        for e in estimates:
            low, high = e.interval
            more = f"   (nothing judged of {e.missing:,} more)" if e.missing else ""
            lines.append(
                f"  {e.name:28} {e.precision:9.2f}    {low:.2f} to {high:.2f}   {e.judged:6,}"
                f"   {e.population:8,}{more}"
            )
    judged = sum(v.right is not None and v.row["role"] == "sampled" for v in reviewed.verdicts)
    lines.append(
        f"{judged:,} judged, {reviewed.unsure:,} unsure, {reviewed.open:,} without a verdict. "
        "Weighted to all distinct findings; interval: Wilson, at the effective sample size."
    )
    return "\n".join(lines)


def as_dict(reviewed: Reviewed) -> dict[str, Any]:
    """Give the estimates as plain values."""

    def one(e: Estimate) -> dict[str, Any]:
        return {
            "name": e.name,
            "precision": round(e.precision, 4),
            "interval": [round(x, 4) for x in e.interval],
            "judged": e.judged,
            "right": e.right,
            "effective": round(e.effective, 1),
            "findings": e.population,
            "findings_without_verdict": e.missing,
        }

    return {
        "overall": one(reviewed.overall) if reviewed.overall else None,
        "categories": [one(e) for e in reviewed.categories],
        "kinds": [one(e) for e in reviewed.kinds],
        "strata": [one(e) for e in reviewed.strata],
        "unsure": reviewed.unsure,
        "open": reviewed.open,
    }


# Training rows


def training_rows(path: Path, reviewed: Reviewed) -> tuple[str, int, int]:
    """Give the judged sentences in the corpus's markup, how many, and how many had to be left out.

    A sentence is given when all its rows are judged. What nobody flagged in it is not known to be
    sober: the reader saw the sentence, so hype that was missed belongs into the verdicts too (as a
    kind) or into the file by hand.

    Args:
        path: the reviewed file; every row of a sentence in it must have a verdict.
        reviewed: its verdicts.
    """
    wanted: dict[tuple[str, str], int] = {}
    for row in _read(path):
        wanted[_sentence(row)] = wanted.get(_sentence(row), 0) + 1
    judged: dict[tuple[str, str], list[Verdict]] = {}
    for v in reviewed.verdicts:
        judged.setdefault(_sentence(v.row), []).append(v)
    documents: dict[str, list[str]] = {}
    heads: dict[str, str] = {}
    count = left = 0
    for key, verdicts in judged.items():
        line = _markup(verdicts) if len(verdicts) == wanted[key] else None
        if line is None:
            left += 1
            continue
        first = verdicts[0].row
        count += 1
        documents.setdefault(first["document"], []).append(line)
        heads.setdefault(first["document"], _head(first))
    left += sum(1 for key in wanted if key not in judged)
    blocks = [f"{heads[d]}\n" + "\n".join(lines) + "\n" for d, lines in documents.items()]
    text = "\n".join(blocks)
    list(read_markup(text, "review"))  # what is written can be read again
    return text, count, left


def _sentence(row: Mapping[str, str]) -> tuple[str, str]:
    return row["document"], row["sentence_start"]


def _head(row: Mapping[str, str]) -> str:
    def plain(text: str) -> str:
        return " ".join(text.replace("|", "/").split())

    site = plain(host(row.get("site", ""))) or plain(row.get("advertiser", "")) or plain(row["id"])
    return f"# id: review-{row['fingerprint']} | form: reviewed advertisement | site: {site}"


def _markup(verdicts: Sequence[Verdict]) -> str | None:
    """Give a sentence in the corpus's markup; None where that cannot hold it."""
    sentence = re.sub(r"[\r\n\t\v\f\x85\u2028\u2029]", " ", verdicts[0].row["sentence"])
    if "[[" in sentence or "]]" in sentence or sentence.startswith(("? ", "#")):
        return None
    spans: list[tuple[int, int, tuple[str, ...]]] = []
    begin = int(verdicts[0].row["sentence_start"])
    for v in verdicts:
        a, b = int(v.row["start"]) - begin, int(v.row["end"]) - begin
        if not 0 <= a < b <= len(sentence):
            return None
        while a < b and sentence[a].isspace():
            a += 1
        while a < b and sentence[b - 1].isspace():
            b -= 1
        if v.kinds and a < b:
            spans.append((a, b, v.kinds))
    merged: list[tuple[int, int, tuple[str, ...]]] = []
    for a, b, kinds in sorted(spans):
        if merged and a < merged[-1][1]:
            x, y, before = merged[-1]
            merged[-1] = (x, max(y, b), tuple(dict.fromkeys((*before, *kinds))))
        else:
            merged.append((a, b, kinds))
    out, at = [], 0
    for a, b, kinds in merged:
        out += [sentence[at:a], f"[[{sentence[a:b]}|{'+'.join(kinds)}]]"]
        at = b
    line = ("".join(out) + sentence[at:]).strip()
    unsure = any(v.right is None for v in verdicts)
    try:
        list(read_markup(f"# id: x\n{line}\n", "x"))
    except CorpusError:
        return None
    return f"? {line}" if unsure else line
