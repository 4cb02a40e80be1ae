"""Read off the development split: weighing, calibration, thresholds, gate, document scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from hypecheck.training.examples import Example
from hypecheck.types import CATEGORIES

LOST = 0.005  # of what the broad setting flags, the share that the gate may keep back


def stack(margins: Sequence[NDArray[np.floating[Any]]], y: NDArray[np.int8]) -> NDArray[np.float64]:
    """Weigh and calibrate margins on dev by a logistic regression for each label (Platt).

    Args:
        margins: of each part of a tier, (n_sentences, n_labels).
        y: labels, of the same shape.

    Returns:
        (n_labels, n_parts + 1): the weight of each part's margin, offset.
    """
    out = np.zeros((y.shape[1], len(margins) + 1))
    for k in range(y.shape[1]):
        if y[:, k].sum() < 5:
            out[k, :-1] = 1 / len(margins)
            continue
        x = np.stack([m[:, k] for m in margins], axis=1)
        m = LogisticRegression(C=1.0).fit(x, y[:, k])
        out[k] = [*m.coef_[0], m.intercept_[0]]
    return out


def chances(
    margins: Sequence[NDArray[np.floating[Any]]], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give the probabilities that :func:`stack`'s weights make of margins."""
    z = sum(m * weights[:, k] for k, m in enumerate(margins)) + weights[:, -1]
    out: NDArray[np.float64] = 1 / (1 + np.exp(-z))
    return out


def gate(fast: NDArray[np.float64], full: NDArray[np.float64], bar: Sequence[float]) -> list[float]:
    """Give, by category, the fast tier's probability below which a sentence counts as clear.

    Of the sentences that the default tier would flag at the broad setting at most
    :data:`LOST` may lie below it.
    """
    out = []
    for k in range(len(CATEGORIES)):
        flagged = fast[full[:, k] >= bar[k], k]
        out.append(float(np.quantile(flagged, LOST)) if len(flagged) else 0.0)
    return out


def threshold(p: NDArray[np.float64], y: NDArray[np.int8], precision: float) -> float:
    """Give the threshold with the best F1 among those that reach ``precision``.

    Precision is read off a window that ends at the threshold, so that one lucky run at the top
    does not count; without any such threshold the one of highest precision is taken.
    """
    order = np.argsort(-p, kind="stable")
    hit = np.cumsum(y[order])
    n = np.arange(1, len(order) + 1)
    prec = hit / n
    f1 = 2 * hit / (n + y.sum())
    enough = n >= 20
    good = np.flatnonzero((prec >= precision) & enough)
    if not len(good):
        best = int(np.argmax(np.where(enough, prec, 0)))
    else:
        best = int(good[np.argmax(f1[good])])
    return float(round(p[order[best]], 4))


def documents_fit(
    examples: Sequence[Example], p: NDArray[np.float64]
) -> dict[str, tuple[float, float, float]]:
    """Fit each category's document score on dev: top sentence and the rest to "any flag"."""
    out: dict[str, tuple[float, float, float]] = {}
    for k, c in enumerate(CATEGORIES):
        rows, flags = [], []
        position = 0
        for e in examples:
            part = np.sort(p[position : position + len(e.sentences), k])[::-1]
            position += len(e.sentences)
            top = min(max(float(part[0]), 1e-6), 1 - 1e-6)
            rows.append((np.log(top / (1 - top)), np.log1p(part[1:].sum())))
            flags.append(any(c in s.categories for s in e.sentences))
        m = LogisticRegression(C=10.0).fit(np.asarray(rows), np.asarray(flags))
        out[c] = (float(m.coef_[0, 0]), float(m.coef_[0, 1]), float(m.intercept_[0]))
    return out
