"""What the results of a scan add up to, in one pass: the numbers and examples of a report."""

from __future__ import annotations

import heapq
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hypecheck.batch.results import (
    KIND_IDS,
    Batch,
    Groups,
    Sample,
    Source,
    hashes_of,
    month,
    phrase_keys,
    sums_by,
    text_keys,
)
from hypecheck.types import CATEGORIES, CATEGORY_OF

EXAMPLES = 12  # of each kind
_CLUSTERS = 12
_ERRORS = 100
_PHRASES = 200_000  # distinct phrases counted at most, twice that for a while


@cache
def _fields() -> dict[str, str]:
    """Give the patterns of ``fields.toml``."""
    text = files("hypecheck.batch").joinpath("fields.toml").read_text("utf-8")
    return {k: rf"\b(?:{'|'.join(words)})\b" for k, words in tomllib.loads(text).items()}


@dataclass(slots=True)
class Overview:
    """The numbers of a report.

    Shares are of scanned texts, or of flagged ones where the results hold findings only.
    """

    source: Source
    texts: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    scanned: int = 0
    distinct: float = 0.0
    clustered: float = 0.0  # number of clusters
    flagged: int = 0
    findings: int = 0
    known: int = 0
    baseline: bool = False
    by_kind: NDArray[np.int64] = field(default_factory=lambda: _zeros())  # findings
    new_by_kind: NDArray[np.int64] = field(default_factory=lambda: _zeros())
    texts_by_kind: NDArray[np.int64] = field(default_factory=lambda: _zeros())
    texts_by_category: Counter[str] = field(default_factory=Counter)
    together: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((len(KIND_IDS), len(KIND_IDS)), np.int64)
    )
    severities: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[tuple[str, str]] = field(default_factory=Counter)
    advertisers: Groups = field(default_factory=Groups)
    sites: Groups = field(default_factory=Groups)
    fields: Groups = field(default_factory=Groups)
    months: Groups = field(default_factory=Groups)
    undated: int = 0
    months_by_category: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    phrases: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[tuple[dict[str, Any], int]] = field(default_factory=list)
    clusters: list[dict[str, Any]] = field(default_factory=list)  # the largest
    reasons: Counter[str] = field(default_factory=Counter)
    errors: list[dict[str, Any]] = field(default_factory=list)  # the first


@dataclass(slots=True)
class Drawn:
    """A sample for review, and of how many distinct findings it was drawn, by stratum."""

    sample: Sample
    sizes: Counter[str] = field(default_factory=Counter)


def _zeros() -> NDArray[np.int64]:
    return np.zeros(len(KIND_IDS), np.int64)


def gather(
    source: Source,
    seed: int = 1,
    review: int = 0,
    keep: Callable[[dict[str, Any], int], Any] | None = None,
) -> tuple[Overview, Drawn | None]:
    """Read all results once.

    Args:
        source: the results.
        seed: of the examples and the sample.
        review: findings to draw of each stratum for review, at most; 0 for none.
        keep: what to keep of each of them, see :class:`hypecheck.batch.results.Sample`.

    Raises:
        InputError: the results are damaged.
    """
    out = Overview(source)
    examples = Sample(EXAMPLES, seed)
    drawn = Drawn(Sample(review, seed, keep)) if review else None
    sizes: Counter[str] = Counter()
    clusters: list[tuple[int, int, dict[str, Any]]] = []
    for table in source.batches():
        batch = Batch.of(table)
        _count(out, batch)
        _count_findings(out, batch)
        _count_groups(out, batch)
        _errors(out, batch)
        _clusters(clusters, batch)
        kinds = np.where(batch.counts, batch.kind, -1)
        examples.add(batch, KIND_IDS, kinds, phrase_keys(batch))
        if drawn is not None:
            _draw(drawn, sizes, batch)
    order = {k: i for i, k in enumerate(KIND_IDS)}
    found = examples.items()
    out.examples = [x for k in sorted(found, key=lambda k: order[k]) for x in found[k]]
    out.clusters = [row for _, _, row in sorted(clusters, key=lambda c: (-c[0], -c[1]))]
    if drawn is not None:
        drawn.sizes = Counter({k: max(1, round(n / 1e6)) for k, n in sizes.items()})
    return out, drawn


def _count(out: Overview, batch: Batch) -> None:
    out.texts += len(batch.table)
    out.statuses.update(batch.words("status"))
    n = int(batch.scanned.sum())
    out.scanned += n
    for name, column in (("distinct", "copies"), ("clustered", "cluster_size")):
        sizes = pc.fill_null(batch.table.column(column), 1).to_numpy()[batch.scanned]
        setattr(out, name, getattr(out, name) + float((1 / np.maximum(sizes, 1)).sum()))
    out.flagged += int(batch.kinds.any(axis=1).sum())
    kinds = batch.kinds.astype(np.int64)
    out.texts_by_kind += kinds.sum(axis=0)
    out.together += kinds.T @ kinds
    for c in CATEGORIES:
        of = [i for i, k in enumerate(KIND_IDS) if CATEGORY_OF[k] == c]
        out.texts_by_category[c] += int(batch.kinds[:, of].any(axis=1).sum())


def _count_findings(out: Overview, batch: Batch) -> None:
    counted = batch.findings.filter(pa.array(batch.counts))
    out.findings += len(counted)
    kind = batch.kind[batch.counts]
    out.by_kind += np.bincount(kind, minlength=len(KIND_IDS))
    for name, counter in (("severity", out.severities), ("source", out.sources)):
        for value in pc.value_counts(pc.struct_field(counted, name)).to_pylist():
            if value["values"]:
                counter[value["values"]] += value["counts"]
    baseline = pc.struct_field(counted, "baseline")
    if baseline.null_count < len(baseline):
        out.baseline = True
        known = pc.fill_null(pc.equal(baseline, "known"), False).to_numpy(zero_copy_only=False)
        out.known += int(known.sum())
        kind = kind[~known]
    out.new_by_kind += np.bincount(kind, minlength=len(KIND_IDS))
    said = pc.binary_join_element_wise(
        pc.struct_field(counted, "kind"), pc.utf8_lower(pc.struct_field(counted, "text")), "\0"
    )
    for value in pc.value_counts(said).to_pylist():
        if value["values"]:
            own, _, words = value["values"].partition("\0")
            out.phrases[own, " ".join(words.split())[:120]] += value["counts"]
    if len(out.phrases) > 2 * _PHRASES:
        out.phrases = Counter(dict(out.phrases.most_common(_PHRASES)))
    gone = batch.findings.filter(pc.is_valid(pc.struct_field(batch.findings, "suppressed")))
    for by, why in zip(
        pc.struct_field(gone, "suppressed").to_pylist(),
        pc.struct_field(gone, "suppressed_reason").to_pylist(),
        strict=True,
    ):
        if len(out.suppressed) < 10_000 or (by, why or "") in out.suppressed:
            out.suppressed[by, why or ""] += 1


def _count_groups(out: Overview, batch: Batch) -> None:
    out.advertisers.add(*sums_by(batch, batch.words("advertiser")))
    out.sites.add(*sums_by(batch, [host(s) for s in batch.words("site")]))
    months = [month(d) for d in batch.words("date")]
    names, sums = sums_by(batch, months)
    out.months.add(names, sums)
    out.undated += int(sums[names.index("")][0]) if "" in names else 0
    for c_at, c in enumerate(CATEGORIES):
        of = [i for i, k in enumerate(KIND_IDS) if CATEGORY_OF[k] == c]
        has = batch.kinds[:, of].any(axis=1)
        for m, n in Counter(np.array(months, object)[has].tolist()).items():
            row = out.months_by_category.setdefault(m, np.zeros(len(CATEGORIES), np.int64))
            row[c_at] += n
    text = batch.table.column("text")
    if text.null_count == len(text):
        return
    _, one = sums_by(batch, [str(i) for i in range(len(batch.table))])
    for name, pattern in _fields().items():
        hit = pc.fill_null(pc.match_substring_regex(text, pattern, ignore_case=True), False)
        mask = hit.to_numpy().astype(bool) & batch.scanned
        if mask.any():
            out.fields.add([name], one[mask].sum(axis=0)[None])


def host(site: str) -> str:
    """Give the host name of a site, which may be written as an address."""
    return re.sub(r"\A[a-z]+://", "", site.lower()).partition("/")[0].removeprefix("www.")


def _errors(out: Overview, batch: Batch) -> None:
    mask = pc.equal(batch.table.column("status"), "error")
    rows = batch.table.select(["place", "id", "error"]).filter(mask).to_pylist()
    for row in rows:
        reason = re.sub(r"\d[\d,.]*", "N", row["error"] or "")[:160]
        if len(out.reasons) < 1000 or reason in out.reasons:
            out.reasons[reason] += 1
    out.errors += rows[: _ERRORS - len(out.errors)]


def _clusters(heap: list[tuple[int, int, dict[str, Any]]], batch: Batch) -> None:
    """Keep the first texts of the largest clusters."""
    number = pc.fill_null(batch.table.column("number"), -1).to_numpy()
    cluster = pc.fill_null(batch.table.column("cluster"), -2).to_numpy()
    size = pc.fill_null(batch.table.column("cluster_size"), 0).to_numpy()
    least = heap[0][0] if len(heap) >= _CLUSTERS else 1
    large = np.flatnonzero((number == cluster) & (size > least))
    for i in large[np.argsort(-size[large], kind="stable")][:_CLUSTERS]:
        item = (int(size[i]), -int(number[i]), batch.row(int(i)))
        if len(heap) < _CLUSTERS:
            heapq.heappush(heap, item)
        elif item[:2] > heap[0][:2]:
            heapq.heapreplace(heap, item)


STRATA: tuple[str, ...] = tuple(f"{k}/{s}" for k in KIND_IDS for s in ("rule", "model"))


def _draw(drawn: Drawn, sizes: Counter[str], batch: Batch) -> None:
    source = pc.struct_field(batch.findings, "source")
    model = pc.fill_null(pc.equal(source, "model"), False).to_numpy(zero_copy_only=False)
    code = np.where(batch.counts, 2 * batch.kind + model, -1)
    drawn.sample.add(batch, STRATA, code, hashes_of(batch, text_keys(batch)))
    copies = np.maximum(pc.fill_null(batch.table.column("copies"), 1).to_numpy(), 1)
    weights = np.bincount(
        code[batch.counts], 1e6 / copies[batch.document[batch.counts]], minlength=len(STRATA)
    )
    for name, n in zip(STRATA, weights, strict=True):
        if n:
            sizes[name] += round(n)


def ranked(
    groups: Groups, n: int, *, base: float, prior: float = 10.0
) -> list[tuple[str, Sequence[int], float]]:
    """Give those that hype most: name, sums, findings a text.

    Few texts say little: ``prior`` texts as the average ones are added before they are compared.

    Args:
        groups: the groups.
        n: how many.
        base: findings a text over all.
        prior: as above.
    """
    rows = [
        ((s[2] + prior * base) / (s[0] + prior), name, s)
        for name, s in groups.items()
        if s[0] and s[2]
    ]
    rows.sort(key=lambda r: (-r[0], r[1]))
    return [(name, [int(x) for x in s], float(s[2] / s[0])) for _, name, s in rows[:n]]
