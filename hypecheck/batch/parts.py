"""One part of a scan: some records in, one Arrow table out. The same on one machine and on many.

A part depends on its records alone, so that it can be made anew, elsewhere, or in another order.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from hypecheck.allow import About
from hypecheck.batch.records import Bad, Item, Record
from hypecheck.checker import Checker
from hypecheck.types import CATEGORIES, Finding, Report

RECORDS, CHARACTERS = 512, 1_000_000  # of a part, at most
BANDS, ROWS = 10, 6  # MinHash: texts that share a band are near duplicates (about 0.7 alike)
_WORD = re.compile(r"[^\W\d_]+|\d+")
# Common in English, rare in what is written in its letters otherwise.
_ENGLISH = frozenset(
    "the and you your with our are this that from have can they which their been".split()  # noqa: SIM905
)
_OF_WORDS, _DIFFERENT = 0.1, 3  # of them, and such words a text must hold to be plainly English

FINDING = pa.struct(
    [
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("text", pa.string()),
        ("sentence", pa.string()),
        ("sentence_start", pa.int32()),
        ("category", pa.string()),
        ("kind", pa.string()),
        ("severity", pa.string()),
        ("score", pa.float32()),
        ("source", pa.string()),
        ("rule", pa.string()),
        ("suppressed", pa.string()),  # by "list" or "comment"; null: it counts
        ("suppressed_reason", pa.string()),
    ]
)
DOCUMENT = pa.schema(
    [
        ("number", pa.int64()),
        ("place", pa.string()),
        ("id", pa.string()),
        ("advertiser", pa.string()),
        ("date", pa.string()),
        ("site", pa.string()),
        ("status", pa.string()),  # scanned, not_english, empty, error
        ("error", pa.string()),
        ("text", pa.string()),
        ("text_hash", pa.string()),
        ("characters", pa.int32()),
        ("sentences", pa.int32()),
        *((c, pa.float32()) for c in CATEGORIES),
        ("findings", pa.list_(FINDING)),
        ("checklist", pa.list_(pa.string())),  # what is stated
        ("incomplete", pa.bool_()),
    ]
)
PART = DOCUMENT.append(pa.field("bands", pa.list_(pa.uint64())))


def cut(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Cut records into parts; where depends on the records alone."""
    part: list[Item] = []
    size = 0
    for item in items:
        part.append(item)
        size += len(item.text) if isinstance(item, Record) else 0
        if len(part) >= RECORDS or size >= CHARACTERS:
            yield part
            part, size = [], 0
    if part:
        yield part


def scan(items: Sequence[Item], first: int, checker: Checker) -> pa.Table:
    """Check the records of one part; a text that occurs again is checked once.

    Args:
        items: the records, and the places that could not be read.
        first: the number of the first of them in the whole scan.
        checker: what checks them.

    Returns:
        A table with the schema :data:`PART`, one row an item.
    """
    rows: list[dict[str, Any]] = []
    texts: dict[str, int] = {}
    english: dict[str, bool] = {}
    for item in items:
        if isinstance(item, Record) and item.text.strip() and item.text not in english:
            english[item.text] = looks_english(item.text)
            if english[item.text]:
                texts[item.text] = len(texts)
    reports = list(checker.check_many(("", t) for t in texts))
    results: dict[str, dict[str, Any]] = {}
    for n, item in enumerate(items, first):
        row: dict[str, Any] = {"number": n, "place": item.place, "id": item.id, "status": "error"}
        if isinstance(item, Bad):
            row["error"] = item.reason
        else:
            row |= _about(item)
            if item.text in texts:
                if item.text not in results or checker.allow:
                    report = reports[texts[item.text]]
                    if checker.allow:  # what is accepted may depend on whose text it is
                        about = About(item.id, item.advertiser, item.site)
                        report = checker.allow.apply(report, about, item.regions)
                    results[item.text] = _result(report)
                row |= results[item.text]
            else:
                row["status"] = "not_english" if item.text.strip() else "empty"
        rows.append(row)
    return pa.Table.from_pylist(rows, PART)


def _about(item: Record) -> dict[str, Any]:
    text = item.text.encode("utf-8", "replace").decode()  # Arrow holds no lone surrogates
    return {
        "advertiser": item.advertiser,
        "date": item.date,
        "site": item.site,
        "text": text,
        "text_hash": hashlib.blake2b(text.encode(), digest_size=12).hexdigest(),
        "characters": len(text),
    }


def _result(report: Report) -> dict[str, Any]:
    def plain(text: str) -> str:
        return text.encode("utf-8", "replace").decode()

    found: list[tuple[Finding, str | None, str | None]]
    found = [(f, None, None) for f in report.findings]
    found += [(s.finding, s.by, plain(s.reason)) for s in report.suppressed]
    return {
        "status": "scanned",
        "sentences": len(report.sentences),
        **{c: report.scores[c] for c in CATEGORIES},
        "findings": [
            {
                "start": f.start,
                "end": f.end,
                "text": plain(f.text),
                "sentence": plain(
                    report.text[
                        report.sentences[f.sentence].start : report.sentences[f.sentence].end
                    ]
                ),
                "sentence_start": report.sentences[f.sentence].start,
                "category": f.category,
                "kind": f.kind,
                "severity": f.severity,
                "score": f.score,
                "source": f.source,
                "rule": f.rule,
                "suppressed": by,
                "suppressed_reason": reason,
            }
            for f, by, reason in sorted(found, key=lambda x: (x[0].start, x[0].end, x[0].kind))
        ],
        "checklist": [c.id for c in report.checklist if c.status == "stated"],
        "incomplete": report.incomplete,
        "bands": bands(report.text),
    }


def bands(text: str) -> list[int]:
    """Give the MinHash bands of a text's word triples: near duplicates share one at least."""
    from rensa import RMinHash

    words = ["0" if w.isdigit() else w for w in _WORD.findall(text.lower())]
    if not words:
        return []
    triples = {f"{a} {b} {c}" for a, b, c in zip(words, words[1:], words[2:], strict=False)}
    hashed = RMinHash(num_perm=BANDS * ROWS, seed=1)
    hashed.update(list(triples or {" ".join(words)}))  # a minimum: their order is all the same
    digest = hashed.digest()
    out = []
    for b in range(BANDS):
        part = ",".join(map(str, (b, *digest[b * ROWS : (b + 1) * ROWS])))
        out.append(int.from_bytes(hashlib.blake2b(part.encode(), digest_size=8).digest(), "big"))
    return out


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def looks_english(text: str) -> bool:
    """Say whether a text is to be read as English; a few words are given the benefit.

    Its first thousand characters tell. Two of three English texts hold so many of the commonest
    words that the identifier, slow as the rest of a scan together, need not be asked.
    """
    head = text[:1000]
    words = head.lower().split()
    known = [w for w in words if w in _ENGLISH]
    if len(known) >= _OF_WORDS * len(words) and len(set(known)) >= _DIFFERENT:
        return True
    if sum(map(str.isalpha, head)) < 30:
        return True
    language, probability = _identifier().classify(head)
    return bool(language == "en" or probability < 0.95)


def write(table: pa.Table, path: Path) -> None:
    """Write a part whole or not at all: under another name first, onto the disk, then renamed."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
