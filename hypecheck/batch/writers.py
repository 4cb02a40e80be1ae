"""Parts of a scan to results: Parquet, JSON Lines, CSV, SARIF; and the near-duplicate clusters.

Everything is read part by part, so that memory does not grow with the scan but for some twenty
bytes a record, which the clusters need.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hypecheck import ruleset
from hypecheck.batch.parts import BANDS, DOCUMENT, FINDING
from hypecheck.errors import HypeCheckError

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
SUFFIXES = (".parquet", ".jsonl", ".csv", ".sarif")


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
    if out.suffix == ".sarif" and rows == "documents":
        raise HypeCheckError("SARIF holds findings, not documents")
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
    """Records that are nearly the same: connected by a MinHash band that they share."""

    def __init__(self, parts: Sequence[Path]) -> None:
        hashes, rows = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        for path in parts:
            table = _part(path, ["number", "status", "text_hash"])
            table = table.filter(pc.field("status") == "scanned")
            own = table.column("text_hash").to_pylist()
            hashes.append(np.fromiter((int(t[:16], 16) for t in own), np.uint64, len(own)))
            rows.append(table.column("number").to_numpy())
        self._numbers = np.concatenate(rows)
        value = np.concatenate(hashes)
        n = len(value)
        self._parent = np.arange(n)
        _, first, inverse, copies = np.unique(
            value, return_index=True, return_inverse=True, return_counts=True
        )
        self.distinct = len(first)
        self._copies = copies[inverse] if n else np.zeros(0, np.int64)
        self._join(value)
        for b in range(BANDS):
            self._join(self._band(parts, b))
        roots = self._roots()
        _, index, size = np.unique(roots, return_inverse=True, return_counts=True)
        self._cluster = self._numbers[roots] if n else roots
        self._size = size[index] if n else size
        self.count = len(size)

    def _band(self, parts: Sequence[Path], b: int) -> NDArray[np.uint64]:
        values = []
        for path in parts:
            table = _part(path, ["status", "bands"])
            lists = table.filter(pc.field("status") == "scanned").column("bands")
            out = np.zeros(len(lists), np.uint64)  # a text without words has no bands: 0
            some = pc.list_value_length(lists).to_numpy() > 0
            out[some] = pc.list_flatten(lists).to_numpy().reshape(-1, BANDS)[:, b]
            values.append(out)
        return np.concatenate(values) if values else np.zeros(0, np.uint64)

    def _join(self, values: NDArray[np.uint64]) -> None:
        """Join the records that have the same value; 0 joins none."""
        order = np.argsort(values, kind="stable")
        same = (values[order[1:]] == values[order[:-1]]) & (values[order[1:]] != 0)
        for a, b in zip(order[:-1][same], order[1:][same], strict=True):
            self._union(int(a), int(b))

    def _find(self, i: int) -> int:
        parent = self._parent
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    def _union(self, a: int, b: int) -> None:
        a, b = self._find(a), self._find(b)
        self._parent[max(a, b)] = min(a, b)  # the first record names the cluster

    def _roots(self) -> NDArray[np.int64]:
        for i in range(len(self._parent)):
            self._parent[i] = self._find(i)
        return self._parent

    def of(self, number: int) -> tuple[int, int, int] | None:
        """Give copies, cluster and cluster size of a scanned record."""
        i = int(np.searchsorted(self._numbers, number))
        if i >= len(self._numbers) or self._numbers[i] != number:
            return None
        return int(self._copies[i]), int(self._cluster[i]), int(self._size[i])


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
        """Give documents and findings of each part; the first time they are counted too."""
        for path in self._parts:
            documents = _part(path).drop_columns(["bands"]).to_pylist()
            findings: list[dict[str, Any]] = []
            for d in documents:
                found = self._clusters.of(d["number"]) or (None, None, None)
                d |= dict(zip(("copies", "cluster", "cluster_size"), found, strict=True))
                about = {n: d[n] for n in _ABOUT}
                own: Counter[str] = Counter()
                for f in d["findings"] or ():
                    print_ = fingerprint(d, f, own)
                    known = None
                    if self._known is not None:
                        known = "known" if print_ in self._known else "new"
                    findings.append({**about, **f, "fingerprint": print_, "baseline": known})
            if not self._counted:
                self._count(documents, findings)
            yield documents, findings
        self._counted = True

    def errors(self) -> Iterator[dict[str, Any]]:
        """Give what could not be read, or was not scanned."""
        for path in self._parts:
            columns = ["number", "place", "id", "status", "error"]
            for row in _part(path, columns).to_pylist():
                if row["status"] != "scanned":
                    yield row

    def _count(self, documents: list[dict[str, Any]], findings: list[dict[str, Any]]) -> None:
        s = self._summary
        s.records += len(documents)
        s.statuses.update(d["status"] for d in documents)
        s.scanned = s.statuses["scanned"]
        s.flagged += sum(bool(d["findings"]) for d in documents)
        s.findings += len(findings)
        s.known += sum(f["baseline"] == "known" for f in findings)
        s.kinds.update(f["kind"] for f in findings)
        s.categories.update(f["category"] for f in findings)
        s.severities.update(f["severity"] for f in findings)


def fingerprint(document: Mapping[str, Any], finding: Mapping[str, Any], seen: Counter[str]) -> str:
    """Give what stays the same of a finding when the text around it moves.

    Args:
        document: its document; the user's own id counts, not the row that it stands in.
        finding: kind and words count.
        seen: how often these occurred in the document already; updated.
    """
    words = " ".join(str(finding["text"]).lower().split())
    same = f"{finding['kind']}\0{words}"
    seen[same] += 1
    whole = f"{document['id']}\0{same}\0{seen[same]}"
    return hashlib.blake2b(whole.encode(), digest_size=12).hexdigest()


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
    waiting: dict[str, list[dict[str, Any]]] = {name: [] for name in files}

    def flush(name: str, schema: pa.Schema, all_: bool) -> None:
        size = 20_000
        while len(waiting[name]) >= size or (all_ and waiting[name]):
            group, waiting[name] = waiting[name][:size], waiting[name][size:]
            files[name].write_table(pa.Table.from_pylist(group, schema), row_group_size=size)

    try:
        for documents, findings in tables.each():
            for name, schema, _ in wanted:
                waiting[name] += documents if name == "documents" else findings
                flush(name, schema, False)
        for name, schema, _ in wanted:
            flush(name, schema, True)
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
        names += ["finding_count", "kinds"]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        out = csv.writer(file, lineterminator="\r\n")
        out.writerow(names)
        for documents, findings in tables.each():
            for row in documents if rows == "documents" else findings:
                row = _rounded(row)
                if rows == "documents":
                    found = row["findings"] or []
                    row["finding_count"] = len(found)
                    row["kinds"] = " ".join(sorted({f["kind"] for f in found}))
                    row["checklist"] = " ".join(row["checklist"] or ())
                out.writerow([_cell(row[n]) for n in names])


def _cell(value: Any) -> Any:
    """Give a cell that no spreadsheet runs as a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value


_LEVELS = {"low": "note", "medium": "warning", "high": "error"}


def _sarif(tables: _Tables, rows: str, path: Path, metadata: Mapping[str, str]) -> None:
    del rows
    versions = json.loads(metadata["hypecheck"])
    kinds = ruleset.load().kinds
    driver = {
        "name": "HypeCheck",
        "version": versions["hypecheck"],
        "semanticVersion": versions["hypecheck"],
        "properties": versions,
        "rules": [
            {
                "id": k.id,
                "name": k.id,
                "shortDescription": {"text": k.title},
                "fullDescription": {"text": k.why},
                "help": {"text": k.advice, "markdown": f"{k.why}\n\n{k.advice}"},
                "helpUri": k.references[0].url,
                "defaultConfiguration": {"level": _LEVELS[k.severity]},
                "properties": {"tags": [k.category]},
            }
            for k in kinds.values()
        ],
    }
    order = {k: i for i, k in enumerate(kinds)}
    with path.open("w", encoding="utf-8", newline="\n") as file:
        _sarif_head(file, driver)
        comma = ""
        for _, findings in tables.each():
            for f in findings:
                result = {
                    "ruleId": f["kind"],
                    "ruleIndex": order[f["kind"]],
                    "level": _LEVELS[f["severity"]],
                    "message": {"text": f"“{f['text']}”: {kinds[f['kind']].title}"},
                    "locations": [
                        {
                            "physicalLocation": {
                                "artifactLocation": {"uri": _uri(f["place"], f["id"])},
                                "region": {
                                    "charOffset": f["start"],
                                    "charLength": f["end"] - f["start"],
                                    "snippet": {"text": f["text"]},
                                },
                            },
                            "logicalLocations": [{"fullyQualifiedName": f["place"]}],
                        }
                    ],
                    "partialFingerprints": {"hypecheck/v1": f["fingerprint"]},
                    "rank": round(100 * f["score"], 1),
                }
                if f["baseline"] is not None:
                    known = f["baseline"] == "known"
                    result["baselineState"] = "unchanged" if known else "new"
                file.write(f"{comma}\n{json.dumps(result, ensure_ascii=False)}")
                comma = ","
        file.write("\n]}]}\n")


def _sarif_head(file: IO[str], driver: Mapping[str, Any]) -> None:
    file.write(
        '{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[{'
        f'"tool":{{"driver":{json.dumps(driver, ensure_ascii=False)}}},'
        '"columnKind":"unicodeCodePoints","results":['
    )


def _uri(place: str, id_: str) -> str:
    from urllib.parse import quote

    file = place.partition(", ")[0]
    own = "" if id_ == file else f"#{quote(id_, safe='')}"
    return quote(file.replace(os.sep, "/"), safe="/:") + own


_WRITERS: dict[str, Callable[[_Tables, str, Path, Mapping[str, str]], None]] = {
    ".parquet": _parquet,
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".sarif": _sarif,
}
