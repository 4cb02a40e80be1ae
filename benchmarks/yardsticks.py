"""Outside yardsticks: public data sets, given by path; nothing of them is in the project.

    python benchmarks/yardsticks.py FOLDER

FOLDER holds the sets of :data:`SETS`, each in a folder of its name; what is missing is skipped.
What each does and does not show: benchmarks/README.md.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from hypecheck import Checker
from hypecheck.corpus import LabelledDocument, LabelledSentence
from hypecheck.training.examples import build
from hypecheck.training.linear import matrix, vocabulary


def _examples(texts: Sequence[str], checker: Checker) -> list[Any]:
    sentences = [LabelledSentence(t or "-", (), unsure=False) for t in texts]
    documents = [LabelledDocument(str(i), (s,), "x", {}) for i, s in enumerate(sentences)]
    return build(documents, checker)


def _folds(
    texts: Sequence[str], y: np.ndarray, seed: int, balanced: bool
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Retrain our features and a logistic regression in five folds; labels, guesses, margins."""
    examples = _examples(texts, Checker("broad", model=None))
    out = []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(texts, y):
        part = [examples[i] for i in train]
        index = vocabulary(part)
        x = matrix(part, index)
        count = np.asarray((x > 0).sum(axis=0)).ravel()
        idf = np.log((x.shape[0] + 1) / (count + 1)) + 1
        x = x.multiply(idf / idf.mean()).tocsr()
        z = matrix([examples[i] for i in test], index).multiply(idf / idf.mean()).tocsr()
        m = LogisticRegression(C=10.0, max_iter=3000, class_weight="balanced" if balanced else None)
        m.fit(x, y[train])
        out.append((y[test], m.predict(z), m.decision_function(z)))
    return out


def dark_patterns(path: Path) -> None:
    """Score ec-darkpattern: retrained by its paper's protocol, and the shipped model untouched."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    texts = [r["text"].strip() for r in rows]
    y = np.asarray([int(r["label"]) for r in rows])
    folds = _folds(texts, y, 42, balanced=False)
    figures = {
        "accuracy": [accuracy_score(a, b) for a, b, _ in folds],
        "AUC": [roc_auc_score(a, z) for a, _, z in folds],
        "F1": [f1_score(a, b) for a, b, _ in folds],
        "precision": [precision_score(a, b) for a, b, _ in folds],
        "recall": [recall_score(a, b) for a, b, _ in folds],
    }
    print(f"ec-darkpattern, {len(rows)} rows, retrained, 5 folds, seed 42:")
    print("  " + ", ".join(f"{k} {np.mean(v):.3f}" for k, v in figures.items()))
    wanted = ("Urgency", "Scarcity")
    part = [(t, r) for t, r in zip(texts, rows, strict=True)
            if r["Pattern Category"] in wanted or r["label"] == "0"]  # fmt: skip
    gold = np.asarray([r["label"] == "1" for _, r in part])
    for name in ("default", "fast"):
        reports = Checker(model=name).check_many(t for t, _ in part)
        found = np.asarray(
            [any(f.category == "pressure_sales" for f in r.findings) for r in reports]
        )
        print(
            f"  transfer, {name}: pressure_sales on Urgency and Scarcity against the negatives:"
            f" P {precision_score(gold, found):.3f} R {recall_score(gold, found):.3f}"
            f" F1 {f1_score(gold, found):.3f}"
        )


def causal_language(path: Path) -> None:
    """Score causal-language-pubmed: retrained in four classes, and a false-flag probe."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = [r["sentence"] for r in rows]
    y = np.asarray([int(r["label"]) for r in rows])
    folds = _folds(texts, y, 0, balanced=True)
    print(f"causal-language-pubmed, {len(rows)} rows, retrained, 5 folds, seed 0:")
    print(
        f"  accuracy {np.mean([accuracy_score(a, b) for a, b, _ in folds]):.3f},"
        f" macro F1 {np.mean([f1_score(a, b, average='macro') for a, b, _ in folds]):.3f}"
    )
    names = {0: "none", 1: "direct causal", 2: "hedged", 3: "correlational"}
    _probe("journal conclusions flagged", texts, [names[int(v)] for v in y])


def reviews(path: Path) -> None:
    """Probe healthsea: how often customers' reviews of supplements are flagged."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rows = [r for r in rows if r["answer"] == "accept" and len(r["accept"]) == 1]
    _probe(
        f"healthsea, {len(rows)} review sentences flagged",
        [r["text"] for r in rows],
        [r["accept"][0] for r in rows],
    )


def health_claims(path: Path) -> None:
    """Probe Full Fact's claims from health videos."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    _probe(
        f"fullfact, {len(rows)} claims flagged",
        [r["output_text"] for r in rows],
        [r["type_of_claim"] for r in rows],
    )


def _probe(title: str, texts: Sequence[str], groups: Sequence[str]) -> None:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for report, group in zip(Checker().check_many(texts), groups, strict=True):
        counts[group][0] += bool(report.findings)
        counts[group][1] += 1
    print(f"  {title} (shipped model, balanced):")
    for group, (k, n) in sorted(counts.items()):
        print(f"    {group}: {k} of {n} ({k / n:.1%})")


SETS = {
    "ec-darkpattern/dataset.tsv": dark_patterns,
    "causal-language-pubmed/pubmed_causal_language_use.csv": causal_language,
    "healthsea-clausecat/annotation.jsonl": reviews,
    "fullfact-health-claims/full_in_context_labelled_data.csv": health_claims,
}

if __name__ == "__main__":
    for name, run in SETS.items():
        file = Path(sys.argv[1]) / name
        if file.is_file():
            run(file)
        else:
            print(f"{name}: not there, skipped")
