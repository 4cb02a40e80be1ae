"""The convolutional part of the fast tier: word pieces in their order, neighbours, the document.

Distilled from the transformer (:mod:`hypecheck.training.conv`), run by NumPy: one convolution
over the word-piece embeddings of a sentence, a maximum and a sum over it, the same of the sentences
beside it and of the whole document, and one hidden layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from hypecheck.types import LABELS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]

SUM_SCALE = 3.0  # keeps sums over a sentence in the range of its maxima
_AT_ONCE = 1024  # word pieces convolved together: the arrays of a long page outgrow the caches


class Conv:
    """Gives the margins of a document's sentences.

    Args:
        data: ``embedding`` (n_pieces, width) int8 with ``embedding_scale`` (n_pieces,); ``kernel``
            (size, width, n_filters); ``context`` (6 * n_filters + 1, n_context); ``hidden``
            (2 * n_filters + n_context + 1, n_hidden); ``out`` (n_hidden + 1, n_labels); the
            kernel's ``bias`` (n_filters,), the last rows of the others are biases.

    Raises:
        ValueError: the arrays do not fit each other.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        import numpy as np

        self._np = np

        def whole(name: str) -> Floats:
            scale = np.asarray(data[f"{name}_scale"], np.float32)
            out: Floats = np.asarray(data[name], np.float32) * scale
            return out

        self._embedding = whole("embedding")
        self._kernel = whole("kernel")
        self._bias = np.asarray(data["bias"], np.float32)
        self._context, self._hidden, self._out = (whole(n) for n in ("context", "hidden", "out"))
        filters = self._bias.shape[0]
        if (
            self._kernel.shape[1:] != (self._embedding.shape[1], filters)
            or self._context.shape[0] != 6 * filters + 1
            or self._hidden.shape[0] != 2 * filters + self._context.shape[1] + 1
            or self._out.shape != (self._hidden.shape[1] + 1, len(LABELS))
        ):
            raise ValueError("the arrays of the convolution do not fit each other")

    def margins(self, sentences: Sequence[Sequence[int]]) -> Floats:
        """Give the margins of one document, shape (n_sentences, n_labels).

        Args:
            sentences: the word pieces of each; none is empty.
        """
        np = self._np
        pooled = self._pool(sentences)
        n, width = pooled.shape
        around = np.zeros((n, 3 * width), np.float32)
        around[1:, :width] = pooled[:-1]
        around[:-1, width : 2 * width] = pooled[1:]
        around[:, 2 * width :] = pooled.mean(axis=0)
        context = np.maximum(around @ self._context[:-1] + self._context[-1], 0)
        both = np.concatenate([pooled, context], axis=1)
        hidden = np.maximum(both @ self._hidden[:-1] + self._hidden[-1], 0)
        out: Floats = hidden @ self._out[:-1] + self._out[-1]
        return out

    def _pool(self, sentences: Sequence[Sequence[int]]) -> Floats:
        """Give maximum and scaled sum of the filters over each sentence."""
        np = self._np
        flat = np.concatenate([np.asarray(s, np.int64) for s in sentences])
        # A long page has far fewer different pieces than pieces: each is multiplied once.
        distinct, pieces = np.unique(flat, return_inverse=True)
        embedded = self._embedding[distinct]
        none = np.zeros((1, self._bias.shape[0]), np.float32)
        tables = [np.concatenate([embedded @ k, none]) for k in self._kernel]
        sizes = np.fromiter(map(len, sentences), np.int64, len(sentences))
        ends = np.cumsum(sizes)
        out = []
        for a, b in _parts(sizes.tolist()):
            first = int(ends[a - 1]) if a else 0
            out.append(self._pool_part(pieces[first : ends[b - 1]], sizes[a:b], tables))
        pooled: Floats = np.concatenate(out)
        return pooled

    def _pool_part(
        self, pieces: NDArray[np.int64], sizes: NDArray[np.int64], tables: Sequence[Floats]
    ) -> Floats:
        """Pool some sentences: their pieces as rows of ``tables``, one table a kernel position."""
        np = self._np
        half = len(tables) // 2
        # Sentences in one row, nothing (the tables' last row) between: no filter sees across.
        gaps = np.repeat(np.arange(1, len(sizes) + 1) * half, sizes)
        places = np.arange(len(pieces)) + gaps
        row = np.full(len(pieces) + half * (len(sizes) + 1), len(tables[0]) - 1)
        row[places] = pieces
        y = tables[0][row[places - half]]
        for k in range(1, len(tables)):
            y += tables[k][row[places + k - half]]
        y += self._bias
        np.maximum(y, 0, out=y)
        starts = np.concatenate([[0], np.cumsum(sizes[:-1])])
        top = np.maximum.reduceat(y, starts, axis=0)
        sums = np.add.reduceat(y, starts, axis=0)
        sums /= SUM_SCALE * np.sqrt(sizes)[:, None].astype(np.float32)
        pooled: Floats = np.concatenate([top, sums], axis=1)
        return pooled


def _parts(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cut a document into runs of sentences with about :data:`_AT_ONCE` word pieces."""
    first = size = 0
    for i, n in enumerate(sizes, 1):
        size += n
        if size >= _AT_ONCE or i == len(sizes):
            yield first, i
            first, size = i, 0
