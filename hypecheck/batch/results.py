"""Results of a scan, read again: batches of documents with their findings, and what they add up to.

Reads what ``hypecheck scan`` writes: a folder, or a Parquet, JSON Lines or CSV file. Everything
streams: memory does not grow with the number of documents, but for one byte a finding where a
baseline was given.
"""

from __future__ import annotations

import csv
import email.utils
import heapq
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hypecheck.errors import InputError
from hypecheck.types import CATEGORIES, KINDS

KIND_IDS: tuple[str, ...] = tuple(k for c in CATEGORIES for k in KINDS[c])
BATCH = 20_000  # documents, or findings where only those were written
_FINDING = (
    "start", "end", "text", "sentence", "sentence_start", "category", "kind", "severity", "score",
    "source", "rule", "suppressed", "suppressed_reason",
)  # fmt: skip
_ABOUT = (
    "number", "place", "id", "advertiser", "date", "site", "text_hash", "copies", "cluster",
    "cluster_size",
)  # fmt: skip
_TYPES = {
    "number": pa.int64(), "start": pa.int32(), "sentence_start": pa.int32(), "end": pa.int32(),
    "copies": pa.int32(), "cluster": pa.int64(), "cluster_size": pa.int32(), "score": pa.float32(),
}  # fmt: skip
_STRUCT = pa.struct(
    [(n, _TYPES.get(n, pa.string())) for n in (*_FINDING, "fingerprint", "baseline")]
)
SCHEMA = pa.schema(
    [
        *((n, _TYPES.get(n, pa.string())) for n in (*_ABOUT, "status", "error", "text")),
        ("findings", pa.list_(_STRUCT)),
    ]
)
_NUMBERS = {"number", "start", "end", "sentence_start", "copies", "cluster", "cluster_size"}


@dataclass(slots=True)
class Source:
    """Where results come from, and what is known of how they were made."""

    path: Path
    complete: bool  # whether texts without a finding are in it too
    batches: Callable[[], Iterator[pa.Table]]  # tables of SCHEMA, in the order of the scan
    metadata: Mapping[str, Any] = field(default_factory=dict)  # versions and plan, where written


def open_results(path: Path) -> Source:
    """Find out what lies there.

    Raises:
        InputError: missing, not what a scan writes, or without what is needed.
    """
    if path.is_dir():
        if not (path / "documents.parquet").exists():
            unfinished = path.with_name(f".{path.name}.parts").exists()
            why = "the scan is not finished" if unfinished else "holds no documents.parquet"
            raise InputError(f"{path}: {why}; name a folder or file that `hypecheck scan` wrote")
        return _folder(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; name what `hypecheck scan` wrote")
    readers = {".parquet": _parquet_file, ".jsonl": _jsonl_file, ".csv": _csv_file}
    if path.suffix not in readers:
        raise InputError(f"{path}: read are a scan's folder and {', '.join(readers)} files")
    return readers[path.suffix](path)


# Parquet


def _open(path: Path) -> Any:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as e:
        raise InputError(f"{path}: cannot be read as Parquet: {e}") from None


def _metadata(file: Any) -> dict[str, Any]:
    raw = file.schema_arrow.metadata or {}
    out = {}
    for name in ("hypecheck", "plan"):
        if name.encode() in raw:
            out[name] = json.loads(raw[name.encode()])
    return out


def _folder(path: Path) -> Source:
    documents = path / "documents.parquet"
    file = _open(documents)
    findings = path / "findings.parquet"

    def batches() -> Iterator[pa.Table]:
        known = _column(findings, "baseline") if findings.exists() else None
        at = 0
        for table in _documents(documents):
            lists = table.column("findings").combine_chunks()
            n = len(pc.list_flatten(lists))
            if known is not None and len(known) >= at + n and n:
                table = _with_baseline(table, lists, known.slice(at, n))
            at += n
            yield table

    return Source(path, True, batches, _metadata(file))


def _column(path: Path, name: str) -> pa.Array | None:
    """Read one column of words, in one byte a row; None where it holds nothing."""
    file = _open(path)
    if name not in file.schema_arrow.names:
        return None
    codes = []
    for batch in file.iter_batches(100_000, columns=[name]):
        codes.append(pc.equal(batch.column(0), "known").cast(pa.int8()))
    out = pa.chunked_array(codes, pa.int8()).combine_chunks() if codes else None
    return None if out is None or out.null_count == len(out) else out


def _with_baseline(table: pa.Table, lists: Any, known: pa.Array) -> pa.Table:
    words = pc.if_else(pc.equal(known, 1), "known", "new")
    flat = pc.list_flatten(lists)
    fields = {f.name: pc.struct_field(flat, f.name) for f in _STRUCT} | {"baseline": words}
    struct = pa.StructArray.from_arrays(list(fields.values()), fields=list(_STRUCT))
    sizes = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    at = table.schema.get_field_index("findings")
    return table.set_column(at, SCHEMA.field("findings"), pa.ListArray.from_arrays(offsets, struct))


def _documents(path: Path) -> Iterator[pa.Table]:
    file = _open(path)
    names = [n for n in SCHEMA.names if n in file.schema_arrow.names]
    try:
        for batch in file.iter_batches(BATCH, columns=names):
            yield _fit(pa.Table.from_batches([batch]))
    except (pa.ArrowException, OSError) as e:
        raise InputError(f"{path}: damaged: {e}") from None


def _fit(table: pa.Table) -> pa.Table:
    """Give a table the columns of SCHEMA, those that are missing empty."""
    columns = []
    for f in SCHEMA:
        if f.name not in table.schema.names:
            columns.append(pa.nulls(len(table), f.type))
        elif f.name == "findings":
            columns.append(_fit_findings(table.column(f.name).combine_chunks()))
        else:
            columns.append(table.column(f.name).cast(f.type))
    return pa.table(columns, schema=SCHEMA)


def _fit_findings(lists: Any) -> Any:
    flat = pc.list_flatten(lists)
    have = {f.name for f in flat.type}
    arrays = [
        pc.struct_field(flat, f.name).cast(f.type)
        if f.name in have
        else pa.nulls(len(flat), f.type)
        for f in _STRUCT
    ]
    struct = pa.StructArray.from_arrays(arrays, fields=list(_STRUCT))
    sizes = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, struct)


def _parquet_file(path: Path) -> Source:
    file = _open(path)
    names = set(file.schema_arrow.names)
    if {"findings", "status"} <= names:
        return Source(path, True, lambda: _documents(path), _metadata(file))
    _need(names, {"kind", "number", "text"}, path)

    def rows() -> Iterator[dict[str, Any]]:
        try:
            for batch in file.iter_batches(BATCH):
                yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as e:
            raise InputError(f"{path}: damaged: {e}") from None

    return Source(path, False, lambda: _grouped(rows()), _metadata(file))


def _need(names: Iterable[str], wanted: set[str], path: Path) -> None:
    missing = wanted - set(names)
    if missing:
        raise InputError(
            f"{path}: no column {', '.join(sorted(missing))}; is it what `hypecheck scan` wrote?"
        )


# Rows: JSON Lines and CSV


def _jsonl_file(path: Path) -> Source:
    def rows() -> Iterator[dict[str, Any]]:
        try:
            with path.open(encoding="utf-8") as file:
                for n, line in enumerate(file, 1):
                    if not line.strip():
                        continue
                    try:
                        row = json.loads(line)
                    except ValueError as e:
                        raise InputError(f"{path}, line {n}: not JSON: {e}") from None
                    if not isinstance(row, dict) or not {"number", "place"} <= set(row):
                        raise InputError(f"{path}, line {n}: not a row that a scan writes")
                    yield row
        except (OSError, UnicodeDecodeError) as e:
            raise InputError(f"{path}: cannot be read: {e}") from None

    first = next((r for r in rows() if "kind" in r or "findings" in r), {})
    if "findings" in first:
        return Source(path, True, lambda: _tables(rows()))
    return Source(path, False, lambda: _grouped(rows()))


def _csv_file(path: Path) -> Source:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{path}: cannot be read: {e}") from None
    if "finding_count" in header:
        raise InputError(
            f"{path}: a CSV of documents holds no phrases; report on the scan's folder, on Parquet "
            "or JSON Lines, or on a CSV of findings"
        )
    _need(header, {"kind", "number", "text"}, path)

    def rows() -> Iterator[dict[str, Any]]:
        csv.field_size_limit(10_000_000)
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                out: dict[str, Any] = {k: plain_cell(v) or None for k, v in row.items() if k}
                try:
                    for k in _NUMBERS & set(out):
                        out[k] = int(out[k]) if out[k] is not None else None
                    out["score"] = float(out.get("score") or 0)
                except ValueError as e:
                    raise InputError(f"{path}, row of {row.get('place')}: {e}") from None
                yield out

    return Source(path, False, lambda: _grouped(rows()))


def plain_cell(value: str | None) -> str:
    """Give a cell as it was before the guard against formulas."""
    value = value or ""
    guarded = value[:1] == "'" and value[1:2] in ("=", "+", "-", "@", "\t", "\r")
    return value[1:] if guarded else value


def _grouped(rows: Iterable[Mapping[str, Any]]) -> Iterator[pa.Table]:
    """Put rows of findings together by document; rows of errors are documents of their own."""

    def documents() -> Iterator[dict[str, Any]]:
        last: dict[str, Any] | None = None
        for row in rows:
            if not row.get("kind"):
                yield {k: row.get(k) for k in SCHEMA.names if k not in ("findings", "text")}
                continue
            if last is None or last["number"] != row["number"]:
                if last is not None:
                    yield last
                last = {k: row.get(k) for k in _ABOUT} | {"status": "scanned", "findings": []}
            last["findings"].append({f.name: row.get(f.name) for f in _STRUCT})
        if last is not None:
            yield last

    return _tables(documents())


def _tables(rows: Iterable[Mapping[str, Any]]) -> Iterator[pa.Table]:
    waiting: list[dict[str, Any]] = []
    for row in rows:
        own = {k: row.get(k) for k in SCHEMA.names}
        own["findings"] = [
            {f.name: x.get(f.name) for f in _STRUCT} for x in row.get("findings") or ()
        ]
        waiting.append(own)
        if len(waiting) >= BATCH:
            yield pa.Table.from_pylist(waiting, SCHEMA)
            waiting = []
    if waiting:
        yield pa.Table.from_pylist(waiting, SCHEMA)


# One batch, as numbers


@dataclass(slots=True)
class Batch:
    """One batch's documents and findings as arrays.

    ``document[i]`` is the document of finding i; ``kinds`` is documents x 19, whether a kind is
    found and counts. A finding that is suppressed, or of a kind that is not known, does not count.
    """

    table: pa.Table
    findings: Any  # struct array, one a finding
    document: NDArray[np.int64]
    kind: NDArray[np.int64]  # index into KIND_IDS
    counts: NDArray[np.bool_]
    kinds: NDArray[np.bool_]
    scanned: NDArray[np.bool_]

    @classmethod
    def of(cls, table: pa.Table) -> Batch:
        """Take a table of SCHEMA apart."""
        lists = table.column("findings").combine_chunks()
        flat = pc.list_flatten(lists)
        document = pc.list_parent_indices(lists).to_numpy().astype(np.int64)
        index = pc.index_in(pc.struct_field(flat, "kind"), pa.array(KIND_IDS))
        kind = pc.fill_null(index, -1).to_numpy().astype(np.int64)
        free = pc.is_null(pc.struct_field(flat, "suppressed")).to_numpy(zero_copy_only=False)
        counts = free & (kind >= 0)
        kinds = np.zeros((len(table), len(KIND_IDS)), np.bool_)
        kinds[document[counts], kind[counts]] = True
        scanned = pc.equal(table.column("status"), "scanned").to_numpy()
        return cls(table, flat, document, kind, counts, kinds, scanned.astype(np.bool_))

    def words(self, name: str) -> list[str]:
        """Give a column of the documents, "" where it is empty."""
        return list(pc.fill_null(self.table.column(name), "").to_pylist())

    def row(self, i: int) -> dict[str, Any]:
        """Give document ``i`` as plain values, its findings in order."""
        row: dict[str, Any] = self.table.slice(i, 1).to_pylist()[0]
        return row


# Sums over groups


class Groups:
    """Sums by group: scanned documents, flagged ones, findings, and flagged ones of each kind.

    Keeps at most twice ``most`` groups: beyond that the smallest are dropped, and counted.
    """

    WIDTH = 3 + len(KIND_IDS)

    def __init__(self, most: int = 50_000) -> None:
        self._most = most
        self._index: dict[str, int] = {}
        self._sums = np.zeros((1024, self.WIDTH), np.int64)
        self.dropped = 0  # times a group was dropped

    def add(self, names: Sequence[str], sums: NDArray[np.int64]) -> None:
        """Add ``sums``, (names, WIDTH); a group called "" is not kept."""
        for name, row in zip(names, sums, strict=True):
            if not name:
                continue
            i = self._index.get(name)
            if i is None:
                i = self._index[name] = len(self._index)
                if i >= len(self._sums):
                    more = np.zeros((len(self._sums), self.WIDTH), np.int64)
                    self._sums = np.concatenate([self._sums, more])
            self._sums[i] += row
        if len(self._index) > 2 * self._most:
            self._shrink()

    def _shrink(self) -> None:
        names = list(self._index)
        sizes = self._sums[: len(names), 0] + self._sums[: len(names), 2]
        keep = np.sort(np.argsort(-sizes, kind="stable")[: self._most])
        self.dropped += len(names) - len(keep)
        sums = np.zeros((2 * self._most, self.WIDTH), np.int64)
        sums[: len(keep)] = self._sums[keep]
        self._index = {names[i]: n for n, i in enumerate(keep)}
        self._sums = sums

    def __len__(self) -> int:
        return len(self._index)

    def items(self) -> Iterator[tuple[str, NDArray[np.int64]]]:
        """Give groups and their sums."""
        for name, i in self._index.items():
            yield name, self._sums[i]


def sums_by(batch: Batch, names: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Add a batch up by one name a document."""
    codes: dict[str, int] = {}
    at = np.fromiter((codes.setdefault(n, len(codes)) for n in names), np.int64, len(names))
    per_document = np.zeros((len(names), Groups.WIDTH), np.int64)
    per_document[:, 0] = batch.scanned
    per_document[:, 1] = batch.kinds.any(axis=1)
    per_document[:, 2] = np.bincount(batch.document[batch.counts], minlength=len(names))
    per_document[:, 3:] = batch.kinds
    out = np.zeros((len(codes), Groups.WIDTH), np.int64)
    np.add.at(out, at, per_document)
    return list(codes), out


# Samples


class Sample:
    """The findings with the least hashes of each stratum: random, whatever the order they come in.

    Which ones they are depends on the seed and the findings alone. Copies of a text have the same
    hashes, and are taken once.

    Args:
        size: findings of each stratum at most.
        seed: another one draws others.
        keep: what to keep of (document, index of the finding in it); all by default.
    """

    def __init__(
        self, size: int, seed: int, keep: Callable[[dict[str, Any], int], Any] | None = None
    ) -> None:
        self._size = size
        self._keep = keep or (lambda row, _: row)
        self._seed = np.uint64(seed * 2 + 1)
        self._heaps: dict[Any, list[tuple[int, int, Any, int]]] = {}
        self._in: set[tuple[Any, int]] = set()
        self._n = 0

    def add(
        self,
        batch: Batch,
        stratum: Sequence[Any],
        code: NDArray[np.int64],
        hashes: NDArray[np.uint64],
    ) -> None:
        """Offer a batch's findings.

        Args:
            batch: the batch.
            stratum: the names of the strata that ``code`` counts.
            code: (findings,), the stratum of each; -1: not offered.
            hashes: (findings,), from :func:`hashes_of`.
        """
        mixed = _mix(hashes ^ self._seed)
        first = np.concatenate([[0], np.cumsum(np.bincount(batch.document, minlength=1))])
        for s in np.unique(code[code >= 0]):
            name = stratum[int(s)]
            heap = self._heaps.setdefault(name, [])
            at = np.flatnonzero(code == s)
            if len(heap) >= self._size:
                at = at[mixed[at] < np.uint64(-heap[0][0])]
            # The least hashes, each once: the first of the copies stands for all.
            order = at[np.argsort(mixed[at], kind="stable")]
            _, kept = np.unique(mixed[order], return_index=True)
            for i in order[kept][: self._size]:
                value = int(mixed[i])
                if (name, value) in self._in:
                    continue
                d = int(batch.document[i])
                self._n += 1
                own = int(i - first[d])
                item = (-value, self._n, self._keep(batch.row(d), own), own)
                self._in.add((name, value))
                if len(heap) < self._size:
                    heapq.heappush(heap, item)
                    continue
                out = heapq.heappushpop(heap, item)
                self._in.discard((name, -out[0]))

    def items(self) -> dict[Any, list[tuple[Any, int]]]:
        """Give (what was kept of the document, index of the finding in it) by stratum.

        In an order that is random, but the same each time.
        """
        return {
            name: [(row, i) for _, _, row, i in sorted(heap, key=lambda x: (-x[0], x[1]))]
            for name, heap in self._heaps.items()
        }


def hashes_of(batch: Batch, key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Give a hash of each finding, by its kind, its place, and a number of its document, ``key``.

    Args:
        batch: the batch.
        key: (documents,), what documents that count as one share.
    """
    out = key[batch.document] ^ _mix(batch.kind.astype(np.uint64))
    for name in ("start", "end"):
        column = pc.fill_null(pc.struct_field(batch.findings, name), 0).to_numpy()
        out = _mix(out) ^ column.astype(np.uint64)
    return _mix(out)


def text_keys(batch: Batch) -> NDArray[np.uint64]:
    """Give a number that copies of a text share; the document's own where no hash was written."""
    own = pc.fill_null(batch.table.column("number"), 0).to_numpy().astype(np.uint64)
    words = pc.fill_null(batch.table.column("text_hash"), "")
    has = pc.greater(pc.utf8_length(words), 0).to_numpy().astype(bool)
    return np.where(has, _keys(words, 16), _mix(own))


def phrase_keys(batch: Batch) -> NDArray[np.uint64]:
    """Give a number that the same words share, (findings,)."""
    words = pc.utf8_lower(pc.fill_null(pc.struct_field(batch.findings, "text"), ""))
    return _keys(words, 48)


def _keys(words: Any, size: int) -> NDArray[np.uint64]:
    """Give a number of each string by its first ``size`` bytes, a multiple of 8."""
    raw = np.array([w.encode()[:size] for w in words.to_pylist()], f"S{size}")
    columns = np.frombuffer(raw.tobytes(), np.uint64).reshape(len(raw), size // 8)
    out = np.zeros(len(raw), np.uint64)
    for i in range(size // 8):
        out = _mix(out ^ columns[:, i])
    return out


def sentence_start(finding: Mapping[str, Any]) -> int:
    """Give where a finding's sentence begins in the text."""
    start = finding.get("sentence_start")
    if start is not None:
        return int(start)
    return int(finding["start"]) - (finding["sentence"] or "").find(finding["text"] or "")


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread 64-bit numbers evenly (the finaliser of SplitMix64, Steele et al. 2014)."""
    x = (x + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


# Months


_ISO = re.compile(r"\s*(\d{4})[-/.](\d{1,2})(?:\D|\Z)")
_COMPACT = re.compile(r"\s*(\d{4})(\d{2})\d{2}(?:\D|\Z)")


@lru_cache(maxsize=100_000)
def month(date: str) -> str:
    """Give the month of a date as inputs write it, "2026-02"; "" where it cannot be told.

    >>> month("2026-02-03T10:00"), month("Tue, 3 Feb 2026 10:00 +0000"), month("3/2/2026")
    ('2026-02', '2026-02', '')
    """
    if m := _ISO.match(date) or _COMPACT.match(date):
        return f"{m[1]}-{int(m[2]):02d}" if 1 <= int(m[2]) <= 12 else ""
    if re.fullmatch(r"\d{10}(?:\.\d+)?|\d{13}", date.strip()):
        import datetime

        seconds = float(date) / (1000 if len(date.strip()) == 13 else 1)
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m")
    try:
        return email.utils.parsedate_to_datetime(date).strftime("%Y-%m")
    except (ValueError, TypeError, IndexError):
        return ""
