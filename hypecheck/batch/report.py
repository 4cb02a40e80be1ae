"""The report on a scan: one self-contained page, whose size does not grow with the scan.

No network, no style attribute, one script and one style sheet that the policy allows by their
hashes, every character of the texts escaped. Without scripts all is there but the filters.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import pairwise
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from hypecheck import ruleset
from hypecheck.batch import plots
from hypecheck.batch.overview import Overview, ranked
from hypecheck.batch.results import KIND_IDS, Groups, sentence_start
from hypecheck.formats.options import DISCLAIMER, found_by
from hypecheck.intervals import wilson
from hypecheck.types import CATEGORIES, CATEGORY_OF, KINDS

_CLASSES = {"guaranteed_cure": "cure", "pressure_sales": "press", "missing_data": "data"}
_LINES = {
    "guaranteed_cure": "solid line",
    "pressure_sales": "wavy line",
    "missing_data": "dotted line",
}
_TOP = 12  # advertisers, sites, fields
_COLUMNS = 14  # of the heat map
_PHRASES = 3  # of a kind
_LONG = 420  # characters of an example's sentence
_UNFIT = {0: "␀"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_STATUSES = {"error": "with an error", "empty": "empty", "not_english": "not English"}
_NAMES = {
    "cure_claim": "Cure claimed",
    "bare_statistic": "Bare statistic",
    "bare_efficacy": "Bare efficacy",
}


def render(overview: Overview, title: str) -> str:
    """Give the page.

    Args:
        overview: what :func:`hypecheck.batch.overview.gather` gives.
        title: of the page: what was scanned.
    """
    css = _own("report.css") + "\n" + _own("overview.css")
    script = _own("overview.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(css)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"n": _number, "share": _share, "clean": clean}
    template = environment.from_string(_own("overview.html"))
    page = template.render(
        title=clean(title),
        css=css,
        script=script,
        policy=policy,
        disclaimer=DISCLAIMER,
        **_view(overview),
    )
    return page + "\n"


def clean(text: str | None) -> str:
    """Give a text without what HTML cannot hold."""
    return (text or "").translate(_UNFIT)


def _own(name: str) -> str:
    folder = "hypecheck.formats" if name == "report.css" else "hypecheck.batch"
    return files(folder).joinpath(name).read_text("utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _share(value: float) -> str:
    """Give a share in per cent; small ones with a digit more."""
    percent = 100 * value
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.1f} %"


def short(kind: str) -> str:
    """Give a kind's name in a word or two, for a plot.

    >>> short("permanent_or_instant")
    'Permanent or instant'
    """
    return _NAMES.get(kind, kind.replace("_", " ").capitalize())


def _view(o: Overview) -> dict[str, Any]:
    rules = ruleset.load()
    base = o.scanned if o.source.complete else o.flagged
    unit = "scanned texts" if o.source.complete else "flagged texts"
    mean = o.findings / base if base else 0.0
    return {
        "o": o,
        "base": base,
        "unit": unit,
        "per_text": mean,
        "flagged_share": o.flagged / base if base else 0.0,
        "interval": wilson(o.flagged, base),
        "first_last": _span(o.months),
        "categories": _categories(o, rules.categories, base),
        "kinds": _kinds(o, rules.kinds, base),
        "rankings": _rankings(o, mean),
        "months": _months(o, rules.categories, unit),
        "heat": _heat(o),
        "together": _together(o),
        "examples": _examples(o, rules.kinds),
        "clusters": _clusters(o),
        "reasons": o.reasons.most_common(10),
        "not_scanned": [
            (_STATUSES.get(s, s), n) for s, n in sorted(o.statuses.items()) if s != "scanned"
        ],
        "suppressed": o.suppressed.most_common(20),
        "suppressed_total": o.suppressed.total(),
        "made": _made(o),
    }


def _span(months: Groups) -> tuple[str, str] | None:
    names = sorted(name for name, _ in months.items())
    return (names[0], names[-1]) if names else None


def _categories(o: Overview, titles: Mapping[str, str], base: int) -> list[dict[str, Any]]:
    return [
        {
            "id": c,
            "class": _CLASSES[c],
            "title": titles[c],
            "line": _LINES[c],
            "texts": o.texts_by_category[c],
            "share": o.texts_by_category[c] / base if base else 0.0,
            "findings": sum(int(o.by_kind[KIND_IDS.index(k)]) for k in KINDS[c]),
        }
        for c in CATEGORIES
    ]


def _kinds(o: Overview, kinds: Mapping[str, Any], base: int) -> list[dict[str, Any]]:
    most = max(int(o.texts_by_kind.max()), 1)
    said: dict[str, list[tuple[str, int]]] = {}
    for (kind, words), n in sorted(o.phrases.items(), key=lambda x: (-x[1], x[0])):
        if len(own := said.setdefault(kind, [])) < _PHRASES:
            own.append((clean(words), n))
    return [
        {
            "id": k,
            "class": _CLASSES[CATEGORY_OF[k]],
            "title": kinds[k].title,
            "severity": kinds[k].severity,
            "texts": int(o.texts_by_kind[i]),
            "share": int(o.texts_by_kind[i]) / base if base else 0.0,
            "width": round(100 * int(o.texts_by_kind[i]) / most, 1),
            "findings": int(o.by_kind[i]),
            "new": int(o.new_by_kind[i]),
            "phrases": said.get(k, []),
        }
        for i, k in enumerate(KIND_IDS)
    ]


def _rankings(o: Overview, mean: float) -> list[dict[str, Any]]:
    out = []
    for name, groups in (
        ("Advertiser", o.advertisers), ("Site", o.sites), ("Field of medicine", o.fields),
    ):  # fmt: skip
        rows: list[dict[str, Any]] = []
        for label, sums, each in ranked(groups, _TOP, base=mean):
            best = sorted(range(len(KIND_IDS)), key=lambda i: (-sums[3 + i], i))[:2]
            rows.append(
                {
                    "name": clean(label),
                    "texts": sums[0],
                    "share": sums[1] / sums[0],
                    "findings": sums[2],
                    "each": each,
                    "kinds": [
                        (short(KIND_IDS[i]), _CLASSES[CATEGORY_OF[KIND_IDS[i]]])
                        for i in best
                        if sums[3 + i]
                    ],
                }
            )
        most = max((r["each"] for r in rows), default=1) or 1
        for r in rows:
            r["width"] = round(100 * r["each"] / most, 1)
        if rows:
            out.append(
                {"name": name, "rows": rows, "count": len(groups), "dropped": groups.dropped}
            )
    return out


def _months(o: Overview, titles: Mapping[str, str], unit: str) -> dict[str, Any] | None:
    rows = sorted((name, sums) for name, sums in o.months.items() if sums[0])
    if len(rows) < 2:
        return None
    rows = rows[-60:]
    names = [name for name, _ in rows]
    texts = [int(s[0]) for _, s in rows]
    none = np.zeros(len(CATEGORIES), np.int64)
    flagged = [o.months_by_category.get(n, none) for n in names]
    shares: dict[str, Sequence[float]] = {
        c: [int(f[i]) / t for f, t in zip(flagged, texts, strict=True)]
        for i, c in enumerate(CATEGORIES)
    }
    return {
        "plot": plots.months(names, shares, texts, dict(titles), unit),
        "rows": [
            (n, t, [shares[c][i] for c in CATEGORIES])
            for i, (n, t) in enumerate(zip(names, texts, strict=True))
        ],
        "undated": o.undated,
    }


def _heat(o: Overview) -> dict[str, Any] | None:
    """Kind by advertiser; where no advertiser is known, by site."""
    for name, groups in (("advertiser", o.advertisers), ("site", o.sites)):
        rows = sorted(groups.items(), key=lambda x: (-int(x[1][1]), x[0]))[:_COLUMNS]
        rows = [(label, s) for label, s in rows if s[1]]
        if len(rows) < 2:
            continue
        sums = np.array([s for _, s in rows])
        shares = (sums[:, 3:] / np.maximum(sums[:, :1], 1)).T
        used = [i for i in range(len(KIND_IDS)) if o.texts_by_kind[i]]
        labels = [_label(label) for label, _ in rows]
        return {
            "by": name,
            "plot": plots.heat(
                [(short(KIND_IDS[i]), CATEGORY_OF[KIND_IDS[i]]) for i in used],
                labels, shares[used], name="heat",
            ),
            "columns": [clean(label) for label, _ in rows],
            "rows": [(short(KIND_IDS[i]), [float(x) for x in shares[i]]) for i in used],
        }  # fmt: skip
    return None


def _together(o: Overview) -> dict[str, Any] | None:
    used = [i for i in range(len(KIND_IDS)) if o.texts_by_kind[i]]
    if len(used) < 2:
        return None
    counts = o.together[np.ix_(used, used)]
    shares = counts / np.maximum(np.diag(counts)[:, None], 1)
    names = [short(KIND_IDS[i]) for i in used]
    blank = np.eye(len(used), dtype=bool)
    shown = np.where(blank, 0.0, shares)
    return {
        "plot": plots.heat(
            [(n, CATEGORY_OF[KIND_IDS[i]]) for n, i in zip(names, used, strict=True)],
            names, shown, name="together", blank=blank,
        ),
        "columns": names,
        "rows": [
            (n, [None if i == j else float(shares[i, j]) for j in range(len(used))])
            for i, n in enumerate(names)
        ],
    }  # fmt: skip


def _label(text: str, size: int = 26) -> str:
    """Give a name fit for a plot: printable, and not too long."""
    plain = "".join(c if c.isprintable() else "\ufffd" for c in clean(text))
    return plain if len(plain) <= size else plain[: size - 1].rstrip() + "…"


def _examples(o: Overview, kinds: Mapping[str, Any]) -> list[dict[str, Any]]:
    out = []
    for document, i in o.examples:
        f = document["findings"][i]
        out.append(
            {
                "kind": f["kind"],
                "title": kinds[f["kind"]].title,
                "category": f["category"],
                "class": _CLASSES[f["category"]],
                "severity": f["severity"],
                "score": f["score"] or 0.0,
                "by": found_by(f["source"] or "", f["rule"]),
                "source": f["source"] or "",
                "known": f["baseline"],
                "pieces": pieces(document["findings"], i),
                "advertiser": clean(document["advertiser"]),
                "site": clean(document["site"]),
                "date": clean(document["date"])[:10],
                "id": clean(document["id"]),
                "place": clean(document["place"]),
                "copies": document["cluster_size"] or 1,
            }
        )
    return out


def pieces(findings: Sequence[Mapping[str, Any]], i: int) -> list[tuple[str, str | None]]:
    """Cut the sentence of finding ``i`` into (text, class of the mark or None).

    The other findings of the sentence are marked too where they do not overlap it.
    """
    own = findings[i]
    sentence = own["sentence"] or own["text"] or ""
    begin = sentence_start(own)
    at = own["start"] - begin
    if not own["text"] or sentence[at : at + len(own["text"])] != own["text"]:
        return [(clean(sentence[:_LONG]), None)]
    spans = [(at, at + len(own["text"]), f"{_CLASSES[own['category']]} own")]
    for f in findings:
        a, b = f["start"] - begin, f["end"] - begin
        if f["suppressed"] is not None or not 0 <= a < b <= len(sentence):
            continue
        if sentence[a:b] == f["text"] and all(b <= x or a >= y for x, y, _ in spans):
            spans.append((a, b, _CLASSES[f["category"]]))
    first = max(0, at - _LONG // 2) if len(sentence) > _LONG else 0
    last = min(len(sentence), max(at + len(own["text"]), first + _LONG))
    first = min(first, at)
    cuts = sorted({first, last, *(x for a, b, _ in spans for x in (a, b) if first <= x <= last)})
    out: list[tuple[str, str | None]] = [("… ", None)] if first else []
    for a, b in pairwise(cuts):
        kind = next((k for x, y, k in spans if x <= a and b <= y), None)
        out.append((clean(sentence[a:b]), kind))
    if last < len(sentence):
        out.append((" …", None))
    return out


def _clusters(o: Overview) -> list[dict[str, Any]]:
    out = []
    for row in o.clusters:
        counted = [f for f in row["findings"] or () if f["suppressed"] is None]
        kinds = sorted({f["kind"] for f in counted if f["kind"] in CATEGORY_OF}, key=KIND_IDS.index)
        text = row["text"] or " … ".join(dict.fromkeys(f["sentence"] or "" for f in counted))
        out.append(
            {
                "size": row["cluster_size"],
                "copies": row["copies"] or 1,
                "text": clean(text[:260]) + (" …" if len(text) > 260 else ""),
                "advertiser": clean(row["advertiser"]),
                "id": clean(row["id"]),
                "kinds": [(short(k), _CLASSES[CATEGORY_OF[k]]) for k in kinds],
            }
        )
    return out


def _made(o: Overview) -> list[tuple[str, str]]:
    versions = o.source.metadata.get("hypecheck", {})
    plan = o.source.metadata.get("plan", {})
    rows = [
        ("HypeCheck", versions.get("hypecheck")),
        ("Rules", versions.get("ruleset")),
        ("Model", versions.get("model") or ("none" if versions else None)),
        ("Sensitivity", plan.get("sensitivity")),
        ("Inputs", ", ".join(plan.get("inputs", ()))),
        ("Only", ", ".join(plan.get("only") or ())),
        ("Left out", ", ".join(plan.get("disable") or ())),
    ]
    return [(name, clean(str(value))) for name, value in rows if value]
