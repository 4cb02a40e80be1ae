"""The linear half of the model: margins of sentences from named features, and their attribution.

Weights come from scikit-learn, exported to flat arrays; see :mod:`hypecheck.features` for what a
feature is. NumPy is imported when a model is loaded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from hypecheck import features
from hypecheck.features import SCALE, Features
from hypecheck.types import LABELS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]

_NAMED = ("words", "before", "after", "signals")
_AT_ONCE = 256  # sentences whose weights are gathered together
PREFIX = {"words": "w", "chars": "c", "before": "<", "after": ">", "document": "d", "signals": "s"}


class Linear:
    """Sums weights over a sentence's features.

    Args:
        data: ``vocabulary`` (names joined by newlines), ``weights`` (n_features, n_labels) float16,
            ``bias`` (n_labels,).

    Raises:
        ValueError: the arrays do not fit each other.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        import numpy as np

        self._np = np
        self.vocabulary: str = data["vocabulary"]
        size = self.vocabulary.count("\n") + 1
        if data["weights"].shape != (size, len(LABELS)):
            raise ValueError("the linear weights do not fit their vocabulary")
        self.halves: NDArray[np.float16] = data["weights"]
        self._unknown = size
        self.bias = np.asarray(data["bias"], np.float32)
        self._chars = lru_cache(maxsize=65536)(self._char_row)

    @cached_property
    def _weights(self) -> Floats:
        np = self._np
        # The last row is zero: what an unknown feature points to.
        out: Floats = np.zeros((self._unknown + 1, len(LABELS)), np.float32)
        out[:-1] = self.halves
        return out

    @cached_property
    def _index(self) -> dict[str, int]:
        names = self.vocabulary.split("\n")
        return dict(zip(names, range(len(names)), strict=True))

    def signals(self) -> dict[str, int]:
        """Give the row of each signal by its name."""
        out: dict[str, int] = {}
        row = last = 0
        for m in re.finditer(f"^{PREFIX['signals']}(.*)$", self.vocabulary, re.M):
            row += self.vocabulary.count("\n", last, m.start())
            last = m.start()
            out[m[1]] = row
        return out

    def margins(self, rows: Sequence[Features], document: Sequence[str]) -> Floats:
        """Give the uncalibrated margins of one document, shape (n_sentences, n_labels)."""
        np = self._np
        shared = self.bias + self._group("document", document)
        out: Floats = np.empty((len(rows), len(LABELS)), dtype=np.float32)
        for a in range(0, len(rows), _AT_ONCE):
            part = rows[a : a + _AT_ONCE]
            total = shared
            for group in self._groups(part):
                total = total + group
            for i, f in enumerate(part):
                out[a + i] = total[i] + self._char_group(f.tokens)
        return out

    def _groups(self, rows: Sequence[Features]) -> Sequence[Floats]:
        """Give the margins of the groups that are names, each (n_sentences, n_labels)."""
        np = self._np
        index, unknown = self._index, self._unknown
        flat: list[int] = []
        starts: list[int] = []
        scales: list[float] = []
        for f in rows:
            for group in _NAMED:
                prefix = PREFIX[group]
                found = [index.get(prefix + n, unknown) for n in getattr(f, group)]
                found = found or [unknown]
                starts.append(len(flat))
                scales.append(SCALE[group] / math.sqrt(len(found)))
                flat += found
        sums: Floats = np.add.reduceat(self._weights[flat], starts, axis=0)
        sums *= np.asarray(scales, np.float32)[:, None]
        return [sums[k :: len(_NAMED)] for k in range(len(_NAMED))]

    def _group(self, group: str, names: Sequence[str]) -> Floats:
        index, unknown, prefix = self._index, self._unknown, PREFIX[group]
        rows = [index.get(prefix + n, unknown) for n in names]
        scale = SCALE[group] / math.sqrt(max(len(rows), 1))
        total: Floats = self._weights[rows].sum(axis=0)
        total *= self._np.float32(scale)
        return total

    def _char_row(self, token: str) -> tuple[Floats, int]:
        grams = features.char_ngrams(token)
        index, unknown = self._index, self._unknown
        rows = [index.get("c" + g, unknown) for g in grams]
        row: Floats = self._weights[rows].sum(axis=0)
        return row, len(grams)

    def _char_group(self, tokens: Sequence[str]) -> Floats:
        np = self._np
        total: Floats = np.zeros(len(LABELS), dtype=np.float32)
        size = 0
        for t in dict.fromkeys(tokens):
            row, n = self._chars(t)
            total += row
            size += n
        total *= np.float32(SCALE["chars"] / math.sqrt(max(size, 1)))
        return total

    def attribute(self, body: str, label: str) -> list[float]:
        """Give the weight that each white-space word of ``body`` carries towards ``label``.

        Only the sentence's own words and characters count, neighbours and document do not.
        """
        k = LABELS.index(label)
        spans: list[tuple[int, int]] = []
        flat: list[str] = []
        for word in body.split():
            tokens = features.tokenize(word)
            spans.append((len(flat), len(flat) + len(tokens)))
            flat += tokens
        weight = [0.0] * len(flat)
        column = self._weights[:, k]
        index, unknown = self._index, self._unknown
        grams = max(len(features.ngrams(flat, 3)), 1)
        scale = SCALE["words"] / math.sqrt(grams)
        for n in (1, 2, 3):
            for i in range(len(flat) - n + 1):
                row = index.get("w" + " ".join(flat[i : i + n]), unknown)
                for j in range(i, i + n):
                    weight[j] += float(column[row]) * scale / n
        size = max(sum(self._chars(t)[1] for t in set(flat)), 1)
        for j, t in enumerate(flat):
            weight[j] += float(self._chars(t)[0][k]) * SCALE["chars"] / math.sqrt(size)
        return [sum(weight[a:b]) for a, b in spans]
