"""Parts of a scan to results: Parquet, JSON Lines, CSV, SARIF; and the near-duplicate clusters.

Everything is read part by part, so that memory does not grow with the scan but for some twenty
bytes a record, which the clusters need.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hypecheck import ruleset
from hypecheck.batch.parts import BANDS, DOCUMENT, FINDING
from hypecheck.errors import HypeCheckError
from hypecheck.formats import github, sarif
from hypecheck.formats.lines import Lines
from hypecheck.formats.options import without_ask
from hypecheck.types import SEVERITIES

SCHEMA_VERSION = "1"
_EXTRA = [
    ("copies", pa.int32()),  # of the very same text in the scan
    ("cluster", pa.int64()),  # number of the first record that is nearly the same
    ("cluster_size", pa.int32()),
]
DOCUMENTS = pa.schema([*DOCUMENT, *(pa.field(n, t) for n, t in _EXTRA)])
_ABOUT = ("number", "place", "id", "advertiser", "date", "site", "text_hash", "copies", "cluster",
          "cluster_size")  # fmt: skip
FINDINGS = pa.schema(
    [
        *(DOCUMENTS.field(n) for n in _ABOUT),
        *(pa.field(f.name, f.type) for f in FINDING),
        pa.field("fingerprint", pa.string()),
        pa.field("baseline", pa.string()),  # new, known; null without a baseline
    ]
)
SUFFIXES = (".parquet", ".jsonl", ".csv", ".sarif", ".github")


@dataclass(slots=True)
class Summary:
    """What a scan found, in numbers."""

    records: int = 0
    scanned: int = 0
    distinct: int = 0
    clusters: int = 0
    flagged: int = 0
    findings: int = 0
    known: int = 0
    suppressed: int = 0  # not among the findings
    worst_new: int = -1  # index into SEVERITIES of the worst finding that is not known
    statuses: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    severities: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """Give plain values, in a fixed order."""
        return {
            "records": self.records,
            "scanned": self.scanned,
            "distinct_texts": self.distinct,
            "clusters": self.clusters,
            "flagged_records": self.flagged,
            "findings": self.findings,
            "known_findings": self.known,
            "suppressed_findings": self.suppressed,
            **{
                name: dict(sorted(getattr(self, name).items()))
                for name in ("statuses", "categories", "kinds", "severities")
            },
        }


def check_target(out: Path, rows: str) -> None:
    """Refuse a target that cannot be written.

    Raises:
        HypeCheckError: an unknown suffix or kind of rows, or no folder to write into.
    """
    if rows not in ("findings", "documents"):
        raise HypeCheckError(f"unknown rows {rows!r} (known: findings, documents)")
    if out.suffix and out.suffix not in SUFFIXES:
        raise HypeCheckError(
            f"{out}: results are written as {', '.join(SUFFIXES)}, or into a folder"
        )
    if out.suffix in (".sarif", ".github") and rows == "documents":
        raise HypeCheckError(f"{out.suffix} files hold findings, not documents")
    if not os.path.isdir(out.parent):  # noqa: PTH112 (False, too, where it may not be looked into)
        raise HypeCheckError(f"{out.parent}: there is no such folder")


def finish(
    parts: Sequence[Path],
    out: Path,
    rows: str,
    state: Mapping[str, Any],
    baseline: Path | None,
) -> Summary:
    """Write the results whole or not at all; give what they hold in numbers."""
    clusters = _Clusters(parts)
    known = _fingerprints(baseline) if baseline else None
    summary = Summary(distinct=clusters.distinct, clusters=clusters.count)
    tables = _Tables(parts, clusters, known, summary)
    metadata = {
        "hypecheck_schema": SCHEMA_VERSION,
        "hypecheck": json.dumps(state["versions"], sort_keys=True),
        "plan": json.dumps(state["plan"], sort_keys=True),
    }
    if out.suffix:
        with _whole(out) as path:
            _WRITERS[out.suffix](tables, rows, path, metadata)
        return summary
    out.mkdir(exist_ok=True)
    with _whole(out / "documents.parquet") as a, _whole(out / "findings.parquet") as b:
        _parquet(tables, "both", a, metadata, b)
    with _whole(out / "errors.jsonl") as path, path.open("w", encoding="utf-8") as file:
        for row in tables.errors():
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    with _whole(out / "summary.json") as path:
        content = {**metadata, **summary.as_dict()}
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return summary


class _whole:  # noqa: N801 (used like a function)
    """A file under another name until it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside = path.with_name(f".{path.name}.new")

    def __enter__(self) -> Path:
        return self._beside

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            with self._beside.open("rb") as file:
                os.fsync(file.fileno())
            self._beside.replace(self._path)
        else:
            self._beside.unlink(missing_ok=True)


def _part(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
        return table.select(columns) if columns else table


# Near duplicates


class _Clusters:
    """Records that are nearly the same: each shares a MinHash band with the first of its cluster.

    Sharing with any member would not do: texts made from one template would chain into one cluster.
    """

    def __init__(self, parts: Sequence[Path]) -> None:
        hashes, rows = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        for path in parts:
            table = _part(path, ["number", "status", "text_hash"])
            table = table.filter(pc.equal(table.column("status"), "scanned"))
            own = table.column("text_hash").to_pylist()
            hashes.append(np.fromiter((int(t[:16], 16) for t in own), np.uint64, len(own)))
            rows.append(table.column("number").to_numpy())
        self._numbers = np.concatenate(rows)
        value = np.concatenate(hashes)
        n = len(value)
        _, first, inverse, copies = np.unique(
            value, return_index=True, return_inverse=True, return_counts=True
        )
        self.distinct = len(first)
        self._copies = copies[inverse] if n else np.zeros(0, np.int64)
        groups = [inverse.astype(np.int32)]
        alone = copies[inverse] == 1 if n else np.zeros(0, bool)
        for b in range(BANDS):
            group, shared = _groups(self._band(parts, b))
            groups.append(group)
            alone &= ~shared
        first_of = _lead(groups, np.flatnonzero(~alone))
        _, index, size = np.unique(first_of, return_inverse=True, return_counts=True)
        self._cluster = self._numbers[first_of] if n else first_of
        self._size = size[index] if n else size
        self.count = len(size)

    def _band(self, parts: Sequence[Path], b: int) -> NDArray[np.uint64]:
        values = []
        for path in parts:
            table = _part(path, ["status", "bands"])
            lists = table.column("bands").filter(pc.equal(table.column("status"), "scanned"))
            out = np.zeros(len(lists), np.uint64)  # a text without words has no bands: 0
            some = pc.list_value_length(lists).to_numpy() > 0
            out[some] = pc.list_flatten(lists).to_numpy().reshape(-1, BANDS)[:, b]
            values.append(out)
        return np.concatenate(values) if values else np.zeros(0, np.uint64)

    def of(self, numbers: NDArray[np.int64]) -> list[pa.Array]:
        """Give copies, cluster and cluster size of records; null of those not scanned."""
        i = np.searchsorted(self._numbers, numbers)
        i[i == len(self._numbers)] = 0
        some = self._numbers[i] == numbers if len(self._numbers) else np.zeros(len(i), bool)
        out = []
        for (_, kind), values in zip(
            _EXTRA, (self._copies, self._cluster, self._size), strict=True
        ):
            found = np.zeros(len(i), np.int64)
            found[some] = values[i[some]]
            out.append(pa.array(found, kind, mask=~some))
        return out


def _groups(values: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Number the values of a band from 0; say which records share theirs. 0 is shared by none."""
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    shared = (count[group] > 1) & (values != 0)
    return np.where(shared, group, -1).astype(np.int32), shared


def _lead(groups: Sequence[NDArray[np.int32]], some: NDArray[np.intp]) -> NDArray[np.int64]:
    """Give each record's first of its cluster: the first leader that it shares a group with.

    Args:
        groups: one array a band, (n_records,) int32, -1 where a group holds the record alone.
        some: the records that share any group, ascending; the others lead themselves.
    """
    out = np.arange(len(groups[0]), dtype=np.int64)
    leaders = [np.full(int(g.max(initial=-1)) + 1, -1, np.int64) for g in groups]
    for start in range(0, len(some), 65_536):
        part = some[start : start + 65_536]
        for i, row in zip(
            part.tolist(), np.stack([g[part] for g in groups], 1).tolist(), strict=True
        ):
            found = [k for b, g in enumerate(row) if g >= 0 and (k := leaders[b][g]) >= 0]
            if found:
                out[i] = min(found)
                continue
            for b, g in enumerate(row):
                if g >= 0:
                    leaders[b][g] = i
    return out


class _Tables:
    """The rows of a scan, part by part, as results have them."""

    def __init__(
        self,
        parts: Sequence[Path],
        clusters: _Clusters,
        known: frozenset[str] | None,
        summary: Summary,
    ) -> None:
        self._parts = parts
        self._clusters = clusters
        self._known = known
        self._summary = summary
        self._counted = False

    def each(self) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
        """Give documents and findings of each part as rows."""
        for documents, findings in self.tables():
            yield documents.to_pylist(), findings.to_pylist()

    def tables(self) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Give documents and findings of each part; the first time they are counted too."""
        for path in self._parts:
            documents = _part(path).drop_columns(["bands"]).combine_chunks()
            numbers = documents.column("number").to_numpy()
            for (name, _), column in zip(_EXTRA, self._clusters.of(numbers), strict=True):
                documents = documents.append_column(name, column)
            findings = self._findings(documents)
            if not self._counted:
                self._count(documents, findings)
            yield documents, findings
        self._counted = True

    def _findings(self, documents: pa.Table) -> pa.Table:
        """Give one row a finding, with what is known of its document."""
        lists = documents.column("findings")
        found = pc.list_flatten(lists).combine_chunks()
        about = documents.select(_ABOUT).take(pc.list_parent_indices(lists))
        prints: list[str] = []
        seen: Counter[str] = Counter()
        last = None
        for number, id_, kind, text in zip(
            about.column("number").to_pylist(),
            about.column("id").to_pylist(),
            found.field("kind").to_pylist(),
            found.field("text").to_pylist(),
            strict=True,
        ):
            if number != last:
                last, seen = number, Counter()
            prints.append(sarif.fingerprint(id_, kind, text, seen))
        known: list[str | None] = [None] * len(prints)
        if self._known is not None:
            known = ["known" if p in self._known else "new" for p in prints]
        return pa.table(
            [
                *about.columns,
                *(found.field(f.name) for f in FINDING),
                pa.array(prints, pa.string()),
                pa.array(known, pa.string()),
            ],
            schema=FINDINGS,
        )

    def errors(self) -> Iterator[dict[str, Any]]:
        """Give what could not be read, or was not scanned."""
        for path in self._parts:
            columns = ["number", "place", "id", "status", "error"]
            for row in _part(path, columns).to_pylist():
                if row["status"] != "scanned":
                    yield row

    def _count(self, documents: pa.Table, findings: pa.Table) -> None:
        s = self._summary
        s.records += len(documents)
        s.statuses.update(documents.column("status").to_pylist())
        s.scanned = s.statuses["scanned"]
        counted = findings.filter(pc.is_null(pc.field("suppressed")))
        s.flagged += len(counted.column("number").unique())
        s.findings += len(counted)
        s.suppressed += len(findings) - len(counted)
        baseline, severities = (counted.column(n).to_pylist() for n in ("baseline", "severity"))
        s.known += baseline.count("known")
        s.kinds.update(counted.column("kind").to_pylist())
        s.categories.update(counted.column("category").to_pylist())
        s.severities.update(severities)
        new = {x for x, b in zip(severities, baseline, strict=True) if b != "known"}
        s.worst_new = max([s.worst_new, *map(SEVERITIES.index, new)])


def _fingerprints(path: Path) -> frozenset[str]:
    """Read the fingerprints of an earlier scan's findings.

    Raises:
        HypeCheckError: the file is not one that a scan wrote.
    """
    file = path / "findings.parquet" if path.is_dir() else path
    try:
        if file.suffix == ".parquet":
            column = pq.read_table(file, columns=["fingerprint"]).column("fingerprint")
            return frozenset(column.to_pylist())
        with file.open(encoding="utf-8", newline="") as lines:
            if file.suffix == ".csv":
                return frozenset(row["fingerprint"] for row in csv.DictReader(lines))
            if file.suffix == ".jsonl":
                return frozenset(json.loads(line)["fingerprint"] for line in lines)
            if file.suffix == ".sarif":
                results = json.load(lines)["runs"][0]["results"]
                return frozenset(r["partialFingerprints"]["hypecheck/v1"] for r in results)
    except (OSError, KeyError, ValueError, IndexError, pa.ArrowException) as e:
        raise HypeCheckError(f"{path}: cannot be used as a baseline: {e}") from None
    raise HypeCheckError(f"{path}: a baseline is a folder or file that `hypecheck scan` wrote")


# Formats


def _parquet(
    tables: _Tables, rows: str, path: Path, metadata: Mapping[str, str], second: Path | None = None
) -> None:
    wanted = [("documents", DOCUMENTS, path), ("findings", FINDINGS, second or path)]
    wanted = [w for w in wanted if rows in (w[0], "both")]
    files = {
        name: pq.ParquetWriter(target, schema.with_metadata(dict(metadata)), compression="zstd")
        for name, schema, target in wanted
    }
    # Row groups of one size whatever the parts were.
    waiting: dict[str, list[pa.Table]] = {name: [] for name in files}

    def flush(name: str, all_: bool) -> None:
        size = 20_000
        while (rows := sum(map(len, waiting[name]))) >= size or (all_ and rows):
            whole = pa.concat_tables(waiting[name])
            group = whole.slice(0, size).combine_chunks()
            files[name].write_table(group, row_group_size=size)
            waiting[name] = [whole.slice(size)]

    try:
        for documents, findings in tables.tables():
            for name in files:
                waiting[name].append(documents if name == "documents" else findings)
                flush(name, False)
        for name in files:
            flush(name, True)
    finally:
        for f in files.values():
            f.close()


def _jsonl(tables: _Tables, rows: str, path: Path, metadata: Mapping[str, str]) -> None:
    del metadata
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for documents, findings in tables.each():
            for row in documents if rows == "documents" else findings:
                line = {"schema_version": SCHEMA_VERSION, **_rounded(row)}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            if rows == "findings":
                for d in documents:
                    if d["status"] == "error":
                        keys = ("number", "place", "id", "status", "error")
                        line = {"schema_version": SCHEMA_VERSION, **{k: d[k] for k in keys}}
                        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _rounded(value: Any) -> Any:
    """Give scores as they were before they became 32-bit floats."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return value


def _csv(tables: _Tables, rows: str, path: Path, metadata: Mapping[str, str]) -> None:
    del metadata
    schema = FINDINGS if rows == "findings" else DOCUMENTS
    names = [n for n in schema.names if n != "findings"]
    if rows == "documents":
        names += ["finding_count", "kinds", "suppressed_count"]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        out = csv.writer(file, lineterminator="\r\n")
        out.writerow(names)
        for documents, findings in tables.each():
            for row in documents if rows == "documents" else findings:
                row = _rounded(row)
                if rows == "documents":
                    found = row["findings"] or []
                    row["suppressed_count"] = sum(f["suppressed"] is not None for f in found)
                    found = [f for f in found if f["suppressed"] is None]
                    row["finding_count"] = len(found)
                    row["kinds"] = " ".join(sorted({f["kind"] for f in found}))
                    row["checklist"] = " ".join(row["checklist"] or ())
                out.writerow([guarded_cell(row[n]) for n in names])


def guarded_cell(value: Any) -> Any:
    """Give a cell that no spreadsheet runs as a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value


def _sarif(tables: _Tables, rows: str, path: Path, metadata: Mapping[str, str]) -> None:
    del rows
    log = sarif.Log(json.loads(metadata["hypecheck"]))
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(log.head())
        for documents, findings in tables.each():
            places = _Places(documents)
            for f in findings:
                file_, region = places.sarif(f)
                score, print_ = round(f["score"], 6), f["fingerprint"]
                result = log.finding(
                    f["kind"], f["severity"], f["text"], score, file_, region, print_
                )
                result["locations"][0]["logicalLocations"] = [
                    {"name": f["id"], "fullyQualifiedName": f["place"]}
                ]
                about = ("id", "advertiser", "date", "site", "start", "end", "rule", "source")
                result["properties"] = {k: f[k] for k in about if f[k] not in ("", None)}
                if f["baseline"] is not None:
                    known = f["baseline"] == "known"
                    result["baselineState"] = "unchanged" if known else "new"
                if f["suppressed"] is not None:
                    result["suppressions"] = [
                        sarif.suppression(f["suppressed"], f["suppressed_reason"])
                    ]
                file.write(log.result(result))
        file.write(log.tail())


def _github(tables: _Tables, rows: str, path: Path, metadata: Mapping[str, str]) -> None:
    del rows, metadata
    kinds = ruleset.load().kinds
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for documents, findings in tables.each():
            places = _Places(documents)
            for f in findings:
                if f["baseline"] == "known":
                    continue  # what is on the screen of a review is what the change brings
                kind = kinds[f["kind"]]
                name, place = places.github(f)
                message = f"Ask: {without_ask(kind.advice)}"
                file.write(
                    github.annotation(
                        f["severity"], kind.title, f["text"], message, name, place,
                        f["suppressed_reason"],
                    )
                )  # fmt: skip


_ROW = re.compile(r", line (\d+)(?: \(row \d+\))?\Z")


class _Places:
    """Where the findings of a part stand in the files that were read.

    A record of a table has its line; a file that is one plain text has lines and columns; of all
    else, HTML among it, only the file is known.
    """

    def __init__(self, documents: Sequence[Mapping[str, Any]]) -> None:
        self._documents = {d["number"]: d for d in documents}
        self._lines: tuple[int, Lines] | None = None  # of the document that was asked for last

    def _find(self, f: Mapping[str, Any]) -> tuple[str, int | None, Lines | None]:
        place, number = f["place"], f["number"]
        row = _ROW.search(place)
        if row:
            return place[: row.start()], int(row[1]), None
        if place != f["id"] or Path(place).suffix.lower() not in (".txt", ".md"):
            return place.partition(", ")[0], None, None
        if self._lines is None or self._lines[0] != number:
            self._lines = number, Lines(self._documents[number]["text"])
        return place, None, self._lines[1]

    def sarif(self, f: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
        """Give file and region."""
        file, line, lines = self._find(f)
        if lines is not None:
            region = sarif.file_region(lines, f["start"], f["end"])
            return file, region | {
                "charOffset": f["start"], "charLength": f["end"] - f["start"],
            }  # fmt: skip
        return file, {"startLine": line} if line is not None else None

    def github(self, f: Mapping[str, Any]) -> tuple[str, tuple[int, ...] | None]:
        """Give file and place, as :func:`hypecheck.formats.github.annotation` takes it."""
        file, line, lines = self._find(f)
        if lines is not None:
            return file, (*lines.at(f["start"]), *lines.at(f["end"]))
        return file, (line,) if line is not None else None


_WRITERS: dict[str, Callable[[_Tables, str, Path, Mapping[str, str]], None]] = {
    ".parquet": _parquet,
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".sarif": _sarif,
    ".github": _github,
}
