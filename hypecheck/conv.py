"""The convolutional part of the fast tier: word pieces in their order, neighbours, the document.

Distilled from the transformer (:mod:`hypecheck.training.conv`), run by NumPy: one convolution
over the word-piece embeddings of a sentence, a maximum and a sum over it, the same of the sentences
beside it and of the whole document, and one hidden layer.

Products are whole numbers: what a kernel makes of a word piece is kept in 16 bits, in steps of the
filter, what goes into a layer is rounded to 8 bits, in steps of the sentence, and the weights have
8 bits anyway. So sums are the same on every processor and in every order, and a processor that
multiplies bytes does four times as much as with floats (the dynamic quantisation of ONNX's
``DynamicQuantizeLinear``, but without a zero point: nothing is below zero here).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from hypecheck.types import LABELS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]

TOP = 255.0  # what goes into a layer is at most that
_FULL = 32_000.0  # what a filter sums up over its positions is less, rounding included
SUM_SCALE = 3.0  # keeps sums over a sentence in the range of its maxima
_AT_ONCE = 1024  # word pieces convolved together: the arrays of a long page outgrow the caches


class Steps:
    """How a convolution's products become whole numbers.

    Args:
        data: as :class:`Conv` takes it.

    Attributes:
        inverse: (n_filters,), by it products are multiplied before they are rounded.
        unit: (n_filters,), what 1 then stands for.
        offset: (n_filters,), the bias in the same steps.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        import numpy as np

        embedding = np.asarray(data["embedding"], np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", embedding, embedding))
        kernel = np.asarray(data["kernel"], np.float64)
        scale = np.asarray(data["kernel_scale"], np.float64).ravel()
        bias = np.asarray(data["bias"], np.float64) / scale
        # No product is larger than the product of the lengths (Cauchy and Schwarz).
        longest = float((lengths * np.ravel(data["embedding_scale"])).max())
        most = longest * np.sqrt((kernel * kernel).sum(axis=1)).sum(axis=0) + np.abs(bias)
        step = np.maximum(most, 1e-30) / _FULL
        self.inverse: Floats = (1 / step).astype(np.float32)
        self.unit: Floats = (step * scale).astype(np.float32)
        self.offset: NDArray[np.int16] = np.rint(bias / step).astype(np.int16)


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
        self._embedding = np.asarray(data["embedding"])
        self._embedding_scale = np.asarray(data["embedding_scale"], np.float32).reshape(-1, 1)
        self._kernel = np.asarray(data["kernel"], np.float32)
        filters = self._kernel.shape[2]
        context, hidden, out = (np.asarray(data[n]) for n in ("context", "hidden", "out"))
        if (
            self._kernel.shape[1] != self._embedding.shape[1]
            or np.shape(data["bias"]) != (filters,)
            or context.shape[0] != 6 * filters + 1
            or hidden.shape[0] != 2 * filters + context.shape[1] + 1
            or out.shape != (hidden.shape[1] + 1, len(LABELS))
        ):
            raise ValueError("the arrays of the convolution do not fit each other")
        self._steps = Steps(data)
        c, h, o = (np.asarray(data[f"{n}_scale"], np.float32) for n in ("context", "hidden", "out"))
        f = 2 * filters

        def layer(weights: Any, scale: Any, blocks: int = 1) -> _Layer:
            return _Layer(np, weights, scale.ravel(), blocks)

        self._before = layer(context[:f], c[:f], 2)
        self._after = layer(context[f : 2 * f], c[f : 2 * f], 2)
        self._whole = layer(context[2 * f : -1], c[2 * f : -1], 2)
        self._pooled = layer(hidden[:f], h[:f], 2)
        self._context = layer(hidden[f:-1], h[f:-1])
        self._out = layer(out[:-1], o[:-1])
        self._biases = [
            w[-1].astype(np.float32) * scale[-1]
            for w, scale in ((context, c), (hidden, h), (out, o))
        ]

    def margins(self, sentences: Sequence[Sequence[int]]) -> Floats:
        """Give the margins of one document, shape (n_sentences, n_labels).

        Args:
            sentences: the word pieces of each; none is empty.
        """
        np = self._np
        pooled = self._pool(sentences)
        of_context, of_hidden, of_out = self._biases
        whole = pooled.sum(axis=0, keepdims=True) / np.float32(len(pooled))
        context = np.repeat(self._whole(whole), len(pooled), axis=0)
        context[1:] += self._before(pooled[:-1])
        context[:-1] += self._after(pooled[1:])
        context = np.maximum(context + of_context, 0)
        hidden = np.maximum(self._pooled(pooled) + self._context(context) + of_hidden, 0)
        out: Floats = self._out(hidden) + of_out
        return out

    def _pool(self, sentences: Sequence[Sequence[int]]) -> Floats:
        """Give maximum and scaled sum of the filters over each sentence."""
        np = self._np
        flat = np.concatenate([np.asarray(s, np.int64) for s in sentences])
        # A long page has far fewer different pieces than pieces: each is multiplied once.
        distinct, pieces = np.unique(flat, return_inverse=True)
        embedded = self._embedding[distinct].astype(np.float32)
        factor = self._embedding_scale[distinct] * self._steps.inverse
        none = np.zeros((1, factor.shape[1]), np.int16)
        tables = [
            np.concatenate([np.rint((embedded @ k) * factor).astype(np.int16), none])
            for k in self._kernel
        ]
        tables[len(tables) // 2][:-1] += self._steps.offset
        sizes = np.fromiter(map(len, sentences), np.int64, len(sentences))
        ends = np.cumsum(sizes)
        out = []
        for a, b in _parts(sizes.tolist()):
            first = int(ends[a - 1]) if a else 0
            out.append(self._pool_part(pieces[first : ends[b - 1]], sizes[a:b], tables))
        pooled: Floats = np.concatenate(out)
        return pooled

    def _pool_part(
        self,
        pieces: NDArray[np.int64],
        sizes: NDArray[np.int64],
        tables: Sequence[NDArray[np.int16]],
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
        np.maximum(y, 0, out=y)
        starts = np.concatenate([[0], np.cumsum(sizes[:-1])])
        unit = self._steps.unit
        top = np.maximum.reduceat(y, starts, axis=0).astype(np.float32) * unit
        sums = np.add.reduceat(y, starts, axis=0, dtype=np.int32).astype(np.float32) * unit
        share = np.float32(1) / (np.float32(SUM_SCALE) * np.sqrt(sizes.astype(np.float32)))
        pooled: Floats = np.concatenate([top, sums * share[:, None]], axis=1)
        return pooled


class _Layer:
    """Multiplies what is not below zero with a layer's weights, in whole numbers.

    Args:
        np: NumPy.
        weights: (depth, n_out) int8.
        scale: (depth,), what 1 stands for in a row of them.
        blocks: parts of the depth that have steps of their own.
    """

    def __init__(self, np: Any, weights: Any, scale: Floats, blocks: int) -> None:
        self._np = np
        self._size = len(weights) // blocks
        # Sums of such whole numbers stay below 2^24: floats hold them exactly.
        if self._size * TOP * 127 >= 1 << 24:
            raise ValueError("a layer of the convolution is too deep for sums in whole numbers")
        self._weights = np.asarray(weights, np.float32)
        self._scale = scale

    def __call__(self, x: Floats) -> Floats:
        """Give (n, n_out) of (n, depth)."""
        np = self._np
        out: Floats = np.zeros((len(x), self._weights.shape[1]), np.float32)
        for first in range(0, len(self._weights), self._size):
            part = slice(first, first + self._size)
            scaled = x[:, part] * self._scale[part]
            most = np.maximum(scaled.max(axis=1, keepdims=True), np.float32(1e-30))
            whole = np.rint(scaled * (np.float32(TOP) / most))
            out += (whole @ self._weights[part]) * (most / np.float32(TOP))
        return out


def _parts(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cut a document into runs of sentences with about :data:`_AT_ONCE` word pieces."""
    first = size = 0
    for i, n in enumerate(sizes, 1):
        size += n
        if size >= _AT_ONCE or i == len(sizes):
            yield first, i
            first, size = i, 0
