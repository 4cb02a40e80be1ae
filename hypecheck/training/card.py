"""Write a model's card: what it is, what was measured and by which command, what it gets wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypecheck.training.behaviour import Outcome, table
from hypecheck.types import CATEGORIES, KINDS

_BINS = 10


def reliability(
    p: NDArray[np.float64], y: NDArray[np.int8]
) -> tuple[float, list[tuple[float, float, int]]]:
    """Give the expected calibration error, and per bin: mean probability, share right, count.

    Ten bins of equal width over [0, 1] (Naeini et al. 2015).
    """
    rows = []
    error = 0.0
    for i in range(_BINS):
        low, high = i / _BINS, (i + 1) / _BINS
        inside = (p >= low) & ((p < high) | (i == _BINS - 1))
        n = int(inside.sum())
        if n:
            mean, share = float(p[inside].mean()), float(y[inside].mean())
            rows.append((mean, share, n))
            error += n / len(p) * abs(mean - share)
    return error, rows


def write(
    path: Path,
    manifest: dict[str, Any],
    calibration: dict[str, tuple[float, list[tuple[float, float, int]]]],
    behaviour: Sequence[Outcome],
    curve: Path,
    notes: Path,
) -> None:
    """Write ``card.md``.

    Args:
        path: the file to write.
        manifest: the model's manifest with its metrics.
        calibration: per category what :func:`reliability` gives on the test split.
        behaviour: results of the behaviour tests.
        curve: JSON lines of the learning curve, where there is one.
        notes: Markdown on errors and limits, written by people; appended as it is.
    """
    data = manifest["data"]
    parts = ", ".join(
        f"{k} {data['sentences'][k]:,} sentences in {data['documents'][k]:,} documents"
        for k in ("train", "dev", "test")
    )
    lines = [
        f"# Model {manifest['version']}",
        "",
        "Two tiers of one artefact. *fast*: one logistic regression a label over word and",
        "character n-grams of the sentence, its neighbours and its document, with the verdicts of",
        "rules and guards as features (scikit-learn), weighed together with a small convolution",
        "over word pieces that was distilled from the transformer. *default*: the same, and what",
        "it leaves open is read in its document by all-MiniLM-L6-v2, fine-tuned on 19 kinds and 3",
        "categories, int8, by ONNX Runtime; all margins are weighed by a logistic regression",
        "fitted on dev.",
        "",
        f"Data: {parts}; split by the site (or author's text) that a document came from.",
        "",
        "Everything below is written by `hypecheck train`; the table is that of",
        "`hypecheck evaluate data/corpus --split test`.",
        "",
        "## Test split, balanced sensitivity",
        "",
    ]
    for tier in ("default", "fast"):
        m = manifest["metrics"][tier]["test"]
        lines += [
            f"### {tier}",
            "",
            "| category | precision (95 %) | recall (95 %) | F1 (95 %) | labelled | flagged |",
            "| --- | --- | --- | --- | ---: | ---: |",
        ]
        for c in CATEGORIES:
            r = m["categories"][c]
            cells = [
                f"{r[k]:.3f} ({r[k + '_interval'][0]:.2f}–{r[k + '_interval'][1]:.2f})"
                for k in ("precision", "recall", "f1")
            ]
            lines.append(f"| {c} | {' | '.join(cells)} | {r['labelled']} | {r['flagged']} |")
        share = m["clean_documents_flagged"] / max(m["clean_documents"], 1)
        lines += [
            "",
            f"Macro F1 {m['macro_f1']:.3f}. Wholly clean documents with a flag:"
            f" {m['clean_documents_flagged']} of {m['clean_documents']} ({share:.1%})."
            f" Character IoU ≥ 0.5 with the labelled span:"
            f" {m['span_iou_at_least_half']:.0%} of right flags.",
            "",
        ]
    m = manifest["metrics"]["default"]["test"]
    lines += [
        "### By kind (default)",
        "",
        "| kind | precision | recall | F1 | labelled | flagged |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for c in CATEGORIES:
        for k in KINDS[c]:
            r = m["kinds"][k]
            lines.append(
                f"| {k} | {r['precision']:.2f} | {r['recall']:.2f} | {r['f1']:.2f}"
                f" | {r['labelled']} | {r['flagged']} |"
            )
    lines += [
        "",
        "### By form (default)",
        "",
        "| form | documents | macro F1 | " + " | ".join(f"{c} P / R" for c in CATEGORIES) + " |",
        "| --- | ---: | ---: | " + " | ".join("---" for _ in CATEGORIES) + " |",
    ]
    for name, row in m["genres"].items():
        cells = [f"{row[c]['precision']:.2f} / {row[c]['recall']:.2f}" for c in CATEGORIES]
        lines.append(
            f"| {name} | {row['documents']} | {row['macro_f1']:.3f} | {' | '.join(cells)} |"
        )
    lines += ["", "## Calibration on test (default)", ""]
    for category, (error, rows) in calibration.items():
        lines += [
            f"{category}: expected calibration error {error:.3f}.",
            "",
            "| mean score | share labelled | sentences |",
            "| ---: | ---: | ---: |",
            *(f"| {a:.2f} | {b:.2f} | {n} |" for a, b, n in rows),
            "",
        ]
    lines += ["## Sensitivities", "", "Thresholds read off dev.", ""]
    lines += [
        "| tier | sensitivity | " + " | ".join(CATEGORIES) + " |",
        "| --- | --- |" + " ---: |" * 3,
    ]
    for tier, settings in manifest["thresholds"].items():
        for sensitivity, row in settings.items():
            cells = [f"{row[c]:.2f}" for c in CATEGORIES]
            lines.append(f"| {tier} | {sensitivity} | {' | '.join(cells)} |")
    lines.append("")
    for s in ("strict", "broad"):
        m = manifest["metrics"]["default"].get(f"test_{s}")
        if m:
            cells = [
                f"{c} {m['categories'][c]['precision']:.2f} / {m['categories'][c]['recall']:.2f}"
                for c in CATEGORIES
            ]
            lines.append(
                f"At *{s}* on test, precision / recall: {', '.join(cells)};"
                f" macro F1 {m['macro_f1']:.3f}; clean documents flagged"
                f" {m['clean_documents_flagged']} of {m['clean_documents']}."
            )
    if behaviour:
        lines += [
            "",
            "## Behaviour",
            "",
            "Minimal pairs of `data/behaviour.toml`, default tier, balanced.",
            "",
            table(behaviour),
        ]
    if curve.is_file():
        lines += [
            "",
            "## Learning curve",
            "",
            "Parts of the training documents, on dev (`python benchmarks/learning_curve.py`):",
            "macro F1 at the threshold that is best for each category, of the linear half and of",
            "one transformer alone.",
            "",
            "| share | sentences | linear | transformer |",
            "| ---: | ---: | ---: | ---: |",
        ]
        for row in map(json.loads, curve.read_text("utf-8").splitlines()):
            deep = f"{row['deep']:.3f}" if row.get("deep") else "–"
            lines.append(
                f"| {row['share']:.2f} | {row['sentences']:,} | {row['fast']:.3f} | {deep} |"
            )
    if notes.is_file():
        lines += ["", notes.read_text("utf-8").strip()]
    path.write_text("\n".join(lines).rstrip() + "\n", "utf-8")
