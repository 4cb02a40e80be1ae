"""Fit the linear half: a vocabulary, a sparse matrix, one logistic regression a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import joblib
import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from hypecheck import features
from hypecheck.features import GROUPS, SCALE
from hypecheck.linear import PREFIX
from hypecheck.training.examples import Example
from hypecheck.types import LABELS

# A feature must stand in this many training sentences.
MIN_COUNT = {"words": 2, "chars": 3, "before": 3, "after": 3, "document": 3, "signals": 2}
C = 10.0  # inverse regularisation; chosen on dev (models/README.md)
Matrix = Any  # scipy.sparse.csr_matrix; SciPy ships no stubs


def _named(e: Example) -> Iterator[dict[str, list[str]]]:
    for f in e.rows:
        chars = [g for t in dict.fromkeys(f.tokens) for g in features.char_ngrams(t)]
        yield {
            "words": list(f.words),
            "chars": chars,
            "before": list(f.before),
            "after": list(f.after),
            "document": e.words,
            "signals": list(f.signals),
        }


def vocabulary(examples: Sequence[Example]) -> dict[str, int]:
    """Give the features that are frequent enough, each with its column."""
    counts: dict[str, Counter[str]] = {g: Counter() for g in GROUPS}
    for e in examples:
        for named in _named(e):
            for group, names in named.items():
                counts[group].update(set(names) if group == "chars" else names)
    names = [
        PREFIX[g] + n for g in GROUPS for n, k in sorted(counts[g].items()) if k >= MIN_COUNT[g]
    ]
    return {n: i for i, n in enumerate(names)}


def matrix(examples: Sequence[Example], index: dict[str, int]) -> Matrix:
    """Give the features, (n_sentences, n_features) CSR float32, valued as at run time."""
    columns: list[int] = []
    values: list[float] = []
    ends = [0]
    for e in examples:
        for named in _named(e):
            for group, names in named.items():
                value = SCALE[group] / np.sqrt(max(len(names), 1))
                prefix = PREFIX[group]
                for n in names:
                    column = index.get(prefix + n)
                    if column is not None:
                        columns.append(column)
                        values.append(value)
            ends.append(len(columns))
    x = scipy.sparse.csr_matrix(
        (np.asarray(values, np.float32), np.asarray(columns, np.int32), np.asarray(ends)),
        shape=(len(ends) - 1, len(index)),
    )
    x.sum_duplicates()
    return x


def targets(examples: Sequence[Example]) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Give the labels, (n_sentences, n_labels) in {0, 1}, and which sentences count."""
    y = [
        [label in s.categories or label in s.kinds for label in LABELS]
        for e in examples
        for s in e.sentences
    ]
    sure = [not s.unsure for e in examples for s in e.sentences]
    return np.asarray(y, np.int8), np.asarray(sure)


def fit(x: Matrix, y: NDArray[np.int8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit one logistic regression a label; weights (n_features, n_labels) and biases."""
    # Rare features are shrunk more than frequent ones: idf as in TF-IDF, folded into the weights.
    count = np.asarray((x > 0).sum(axis=0)).ravel()
    idf = np.log((x.shape[0] + 1) / (count + 1)) + 1
    idf /= idf.mean()
    scaled = (x @ scipy.sparse.diags(idf.astype(np.float32))).tocsr()
    scaled.sort_indices()

    def one(k: int) -> tuple[NDArray[np.float64], float]:
        m = LogisticRegression(C=C, solver="liblinear", random_state=0, tol=1e-3)
        m.fit(scaled, y[:, k])
        return m.coef_[0] * idf, float(m.intercept_[0])

    # One thread a fit: a sum that threads share is rounded by how many there are.
    with threadpool_limits(1, "blas"):
        fitted = joblib.Parallel(n_jobs=2, prefer="threads")(
            joblib.delayed(one)(k) for k in range(len(LABELS))
        )
    return np.stack([w for w, _ in fitted], axis=1), np.asarray([b for _, b in fitted])
