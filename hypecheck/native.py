"""The compiled core, where there is one: ``core.c`` by ctypes, with no need of it.

The wheel holds the library when a C compiler was there as it was built
(:mod:`hypecheck.build_core`, which also builds it in a checkout). Without it, or with
``HYPECHECK_NATIVE=0``, the Python twins do the same work with the same results:
:class:`hypecheck.linear.Linear`, :class:`hypecheck.conv.Conv`,
:class:`hypecheck.wordpiece.WordPieces`, :func:`hypecheck.segment.segment`,
:func:`hypecheck.spans.evidence` and :meth:`hypecheck.match.Matcher.find`.
"""

from __future__ import annotations

import ctypes
import os
import threading
from array import array
from collections.abc import Mapping, Sequence
from ctypes import c_char_p, c_int32, c_int64, c_void_p
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from hypecheck import features
from hypecheck.joined import Joined
from hypecheck.types import LABELS
from hypecheck.wordpiece import LONGEST, Pieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    class Steps(Protocol):
        """See :class:`hypecheck.conv.Steps`."""

        inverse: NDArray[np.float32]
        unit: NDArray[np.float32]
        offset: NDArray[np.int16]

    Floats: TypeAlias = NDArray[np.float32]
    Doubles: TypeAlias = NDArray[np.float64]

LIBRARY = Path(__file__).with_name("_core.so")
ROW, HALVES = 24, 32  # numbers of a row of weights in the library: summed up, in memory
# So many word pieces keep what the convolution makes of them, 3.8 kB each with the shipped model.
KEEP = 10_000
_PLACES = ("first", "last", "inside")
_STOPS = (".", "!", "?", ":", "none")


@cache
def library() -> ctypes.CDLL | None:
    """Give the compiled library, or None where there is none or it is switched off."""
    if os.environ.get("HYPECHECK_NATIVE", "1") == "0" or not LIBRARY.is_file():
        return None
    try:
        lib = ctypes.CDLL(str(LIBRARY))
    except OSError:  # built for another machine
        return None
    # Arrays are given by their addresses: making a ctypes array takes longer than the work on it.
    text, at, i32, i64 = c_char_p, c_void_p, c_int32, c_int64
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "hype_new": (at, [text, i64, at, i32, *[at] * 3, text, text]),
        "hype_conv": (
            i32,
            [at, text, i64, i32, i32, at, at, i32, *[at] * 4, i32, i32, *[at, at, i32] * 3, i32],
        ),
        "hype_kernel": (i32, [i32]),
        "hype_free": (None, [at]),
        "hype_score": (i32, [at, text, *[at] * 3, i32, *[at] * 5, i32]),
        "hype_weigh": (None, [at, at, at, i32, i32, at]),
        "hype_documents": (None, [at, i32, at, i32, i32, at, at]),
        "hype_flags": (i64, [at, text, at, at, i32, at, i32, i32, *[at] * 4, i64]),
        "hype_cut": (None, [at, text, at, at, i32, *[at] * 3]),
        "hype_cutter_new": (at, []),
        "hype_cutter_free": (None, [at]),
        "hype_cutter_learn": (None, [at, text, i64, i32, i32]),
        "hype_segment": (i64, [at, text, at, i32, *[at] * 4, i64, at, at]),
        "hype_filter_new": (at, [text, *[at] * 14, *[i32] * 5]),
        "hype_filter_free": (None, [at]),
        "hype_filter": (i64, [at, text, at, at, i32, *[at] * 3, i64, at, at]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def address(values: array[Any]) -> int:
    """Give where an array's items lie, for a call of the library."""
    return values.buffer_info()[0]


class Scorer:
    """The linear part and the convolution of one model, compiled.

    Args:
        lib: the library.
        names: the features, in the order of the weights' rows.
        vocabulary: the same, joined by newlines.
        weights: (n_features, n_labels) float16; copied, see the attribute of the same name.
        bias: (n_labels,).
        scales: the weight of each group of features.
        conv: the arrays of :class:`hypecheck.conv.Conv`, their steps, the word pieces and the
            number of the unknown one; None without a convolution.

    Raises:
        MemoryError: there is no room for its tables.
        ValueError: the arrays are none that it can use.
    """

    def __init__(
        self,
        lib: ctypes.CDLL,
        vocabulary: str,
        signals: Mapping[str, int],
        weights: NDArray[np.float16],
        bias: Floats,
        scales: Mapping[str, float],
        conv: tuple[Mapping[str, Any], Steps, Sequence[str], int] | None,
    ) -> None:
        import numpy as np

        self._np = np
        self._lib = lib
        self._lock = threading.Lock()  # the library keeps its scratch in the handle
        self._signals = signals
        room = np.zeros(len(weights) * HALVES + HALVES, np.float16)
        first = -room.ctypes.data % (2 * HALVES) // 2  # a row a line of the cache
        rows = room[first : first + len(weights) * HALVES].reshape(-1, HALVES)
        self.weights: NDArray[np.float16] = rows[:, : weights.shape[1]]
        self.weights[:] = weights
        self._kept: list[Any] = [rows]  # what the library points to
        raw = vocabulary.encode("utf-8")
        wide = np.zeros(ROW, np.float32)
        wide[: len(bias)] = bias
        order = ("words", "chars", "before", "after", "document", "signals")
        known = [signals.get(name, -1) for name in _signal_names()]
        self._handle = lib.hype_new(
            raw,
            len(raw),
            rows.ctypes.data,
            len(weights),
            self._pointer(wide),
            self._pointer(np.asarray([scales[g] for g in order], np.float64)),
            self._pointer(np.asarray(known, np.int32)),
            " ".join(sorted(features.SELLING)).encode(),
            " ".join(sorted(features.REPORTING)).encode(),
        )
        if not self._handle:
            raise MemoryError("the compiled core cannot hold the linear weights")
        self.has_conv = conv is not None
        if conv is not None:
            self._add_conv(*conv)

    def _add_conv(
        self, data: Mapping[str, Any], steps: Steps, pieces: Sequence[str], unknown: int
    ) -> None:
        np = self._np
        raw = "\n".join(pieces).encode("utf-8")

        def arrays(name: str) -> list[Any]:
            values = np.ascontiguousarray(data[name], np.int8)
            scale = np.ascontiguousarray(data[f"{name}_scale"], np.float32)
            self._kept += [values, scale]
            return [self._pointer(values), self._pointer(scale), values.shape[-1]]

        kernel = np.ascontiguousarray(data["kernel"], np.int8)
        taps, _, filters = kernel.shape
        ok = self._lib.hype_conv(
            self._handle,
            raw,
            len(raw),
            len(pieces),
            unknown,
            *arrays("embedding"),
            *map(self._pointer, (kernel, steps.inverse, steps.unit, steps.offset)),
            taps,
            filters,
            *arrays("context"),
            *arrays("hidden"),
            *arrays("out"),
            KEEP,
        )
        if not ok:
            raise ValueError("the compiled core cannot use the convolution's arrays")

    def _pointer(self, values: Any) -> int:
        """Keep an array for the library; give its address."""
        values = self._np.ascontiguousarray(values)
        self._kept.append(values)
        out: int = values.ctypes.data
        return out

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._lib.hype_free(self._handle)

    def signal(self, name: str) -> int:
        """Give the row of a signal; -1 where the model does not know it."""
        return self._signals.get(name, -1)

    def score(
        self,
        joined: Joined,
        hits: Mapping[int, Mapping[str, int]],
        live: Sequence[int],
    ) -> tuple[Floats, Floats | None]:
        """Give the margins of both parts, each (n_sentences, n_labels).

        Args:
            joined: the documents.
            hits: by sentence, the signals of what rules and guards said, and their rows.
            live: by document, a bit for each category, in alphabetical order, with a hit that no
                guard silenced.
        """
        n, labels = len(joined.starts), len(LABELS)
        linear = array("f", bytes(4 * n * labels))
        conv = array("f", bytes(4 * n * labels)) if self.has_conv else None
        sizes = [0] * (n + 1)
        for i, rows in hits.items():
            sizes[i + 1] = len(rows)
        first = array("i", accumulate(sizes))
        flat = array("i", [r for i in sorted(hits) for r in hits[i].values()] or [0])
        bits = array("i", live)
        with self._lock:
            ok = self._lib.hype_score(
                self._handle,
                joined.text,
                address(joined.starts),
                address(joined.ends),
                address(joined.edges),
                len(joined),
                address(first),
                address(flat),
                address(bits),
                address(linear),
                None if conv is None else address(conv),
                labels,
            )
        if not ok:
            raise MemoryError("the compiled core ran out of memory")
        return self._table(linear), None if conv is None else self._table(conv)

    def _table(self, values: array[float]) -> Any:
        """Give an array as one row a sentence."""
        kind = {"f": "float32", "d": "float64"}[values.typecode]
        return self._np.frombuffer(values, kind).reshape(-1, len(LABELS))

    def weigh(self, linear: Floats, conv: Floats, stack: array[float]) -> Doubles:
        """Give probabilities, (n_sentences, n_labels), of the margins that :meth:`score` gave.

        Args:
            linear: (n_sentences, n_labels).
            conv: the same.
            stack: (n_labels, 3): the weight of either, and an offset.
        """
        n, labels = linear.shape
        out = array("d", bytes(8 * n * labels))
        self._lib.hype_weigh(
            linear.ctypes.data, conv.ctypes.data, address(stack), n, labels, address(out)
        )
        table: Doubles = self._table(out)
        return table

    def documents(
        self, p: Doubles, edges: Sequence[int], weights: array[float]
    ) -> list[list[float]]:
        """Give for each document, by category, the probability of at least one flag in it.

        Args:
            p: (n_sentences, n_labels).
            edges: the first sentence of each document, and the number of sentences.
            weights: (n_categories, 3), see :class:`hypecheck.model._Head`.
        """
        docs, n = len(edges) - 1, len(weights) // 3
        out = array("d", bytes(8 * docs * n))
        firsts = array("i", edges)
        self._lib.hype_documents(
            p.ctypes.data, p.shape[1], address(firsts), docs, n, address(weights), address(out)
        )
        flat = out.tolist()
        return [flat[d * n : d * n + n] for d in range(docs)]

    def flags(
        self, joined: Joined, p: Doubles, bars: Sequence[float], kinds: Sequence[Sequence[int]]
    ) -> list[int]:
        """Give what is flagged, five numbers each, sentence by sentence.

        They are sentence, category, label of the likeliest kind, and where the phrase that carries
        it (:func:`hypecheck.spans.evidence`) begins and ends in its sentence.

        Args:
            joined: the documents.
            p: (n_sentences, n_labels), the categories' labels first.
            bars: by category, from which probability on.
            kinds: by category, the labels of its kinds; of those as likely the last counts.
        """
        first = array("i", accumulate(map(len, kinds), initial=0))
        flat, least = array("i", [k for of in kinds for k in of]), array("d", bars)
        room = 64 + 2 * len(joined)
        while True:
            out = array("i", bytes(20 * room))
            with self._lock:
                n = self._lib.hype_flags(
                    self._handle,
                    joined.text,
                    address(joined.starts),
                    address(joined.ends),
                    len(p),
                    p.ctypes.data,
                    p.shape[1],
                    len(kinds),
                    address(least),
                    address(first),
                    address(flat),
                    address(out),
                    room,
                )
            if n < 0:
                raise MemoryError("the compiled core ran out of memory")
            if n <= room:
                return out[: 5 * n].tolist()
            room = n

    def cut(self, text: bytes, bounds: Sequence[tuple[int, int]]) -> list[Pieces]:
        """Cut sentences, given by their places in a normalised text: :meth:`WordPieces.cut`."""
        n = len(bounds)
        starts, ends = array("q", [a for a, _ in bounds]), array("q", [b for _, b in bounds])
        ids, places = (array("i", bytes(4 * n * k * LONGEST)) for k in (1, 2))
        counts = array("i", bytes(4 * n))
        self._lib.hype_cut(
            self._handle,
            text,
            *map(address, (starts, ends)),
            n,
            *map(address, (ids, places, counts)),
        )
        out = []
        for i, size in enumerate(counts):
            k = i * LONGEST
            flat = places[2 * k : 2 * (k + size)].tolist()
            offsets = list(zip(flat[::2], flat[1::2], strict=True))
            out.append(Pieces(ids[k : k + size].tolist(), offsets))
        return out


def _signal_names() -> list[str]:
    """Name the signals that ``core.c`` gives a sentence itself, in its order."""
    return [
        *(f"length {k}" for k in range(9)),
        *(f"stop {s}" for s in _STOPS),
        *("capitals", "title", "number", "symbol", "quote"),
        *(f"place {p}" for p in _PLACES),
        *(f"selling {k}" for k in range(6)),
        *(f"reporting {k}" for k in range(6)),
        *(f"document {k}" for k in range(6)),
        *(f"elsewhere {c}" for c in sorted(LABELS[:3])),
    ]
