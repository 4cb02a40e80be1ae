"""The compiled core, where there is one: ``core.c`` by ctypes, with no need of it.

The wheel holds the library when a C compiler was there as it was built
(:mod:`hypecheck.build_core`, which also builds it in a checkout). Without it, or with
``HYPECHECK_NATIVE=0``, the Python twins do the same work with the same results:
:class:`hypecheck.linear.Linear`, :class:`hypecheck.conv.Conv` and
:class:`hypecheck.wordpiece.WordPieces`.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Mapping, Sequence
from ctypes import (
    POINTER,
    c_char_p,
    c_double,
    c_float,
    c_int8,
    c_int16,
    c_int32,
    c_int64,
    c_uint8,
    c_void_p,
)
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from hypecheck import features
from hypecheck.conv import Steps
from hypecheck.types import LABELS
from hypecheck.wordpiece import LONGEST, Pieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]

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
    text, i32, i64 = c_char_p, c_int32, c_int64
    floats, doubles, bytes_ = POINTER(c_float), POINTER(c_double), POINTER(c_int8)
    ints, longs, marks = POINTER(c_int32), POINTER(c_int64), POINTER(c_uint8)
    shorts = POINTER(c_int16)
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "hype_new": (c_void_p, [text, i64, c_void_p, i32, floats, doubles, ints, text, text]),
        "hype_conv": (
            i32,
            [c_void_p, text, i64, i32, i32, bytes_, floats, i32, bytes_, floats, floats, shorts]
            + [i32, i32]
            + [bytes_, floats, i32] * 3
            + [i32],
        ),
        "hype_kernel": (i32, [i32]),
        "hype_free": (None, [c_void_p]),
        "hype_score": (
            i32,
            [c_void_p, text, longs, longs, ints, i32, ints, ints, ints, floats, floats, i32],
        ),
        "hype_attribute": (i32, [c_void_p, text, i64, i32, doubles]),
        "hype_cut": (None, [c_void_p, text, longs, longs, i32, ints, ints, ints]),
        "hype_filter_new": (
            c_void_p,
            [
                text,
                ints,
                marks,
                ints,
                ints,
                ints,
                ints,
                ints,
                ints,
                ints,
                marks,
                i32,
                i32,
                i32,
                i32,
            ],
        ),
        "hype_filter_free": (None, [c_void_p]),
        "hype_filter": (
            i64,
            [c_void_p, text, longs, ints, i32, longs, longs, ints, i64, longs],
        ),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class Scorer:
    """The linear part and the convolution of one model, compiled.

    Args:
        lib: the library.
        names: the features, in the order of the weights' rows.
        vocabulary: the same, joined by newlines.
        weights: (n_features, n_labels) float16; copied, see the attribute of the same name.
        bias: (n_labels,).
        scales: the weight of each group of features.
        conv: the arrays of :class:`hypecheck.conv.Conv`, and the word pieces; None without one.

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
        conv: tuple[Mapping[str, Any], Sequence[str], int] | None,
    ) -> None:
        import numpy as np

        self._np = np
        self._lib = lib
        self._lock = threading.Lock()  # the library keeps its scratch in the handle
        self._signals = signals
        self._doubles = (c_double * 1024)()
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
            self._pointer(wide, c_float),
            self._pointer(np.asarray([scales[g] for g in order], np.float64), c_double),
            self._pointer(np.asarray(known, np.int32), c_int32),
            " ".join(sorted(features.SELLING)).encode(),
            " ".join(sorted(features.REPORTING)).encode(),
        )
        if not self._handle:
            raise MemoryError("the compiled core cannot hold the linear weights")
        self.has_conv = conv is not None
        if conv is not None:
            self._add_conv(*conv)

    def _add_conv(self, data: Mapping[str, Any], pieces: Sequence[str], unknown: int) -> None:
        np = self._np
        raw = "\n".join(pieces).encode("utf-8")

        def arrays(name: str) -> list[Any]:
            values = np.ascontiguousarray(data[name], np.int8)
            scale = np.ascontiguousarray(data[f"{name}_scale"], np.float32)
            self._kept += [values, scale]
            return [self._pointer(values, c_int8), self._pointer(scale, c_float), values.shape[-1]]

        kernel = np.ascontiguousarray(data["kernel"], np.int8)
        taps, _, filters = kernel.shape
        steps = Steps(data)
        ok = self._lib.hype_conv(
            self._handle,
            raw,
            len(raw),
            len(pieces),
            unknown,
            *arrays("embedding"),
            self._pointer(kernel, c_int8),
            self._pointer(steps.inverse, c_float),
            self._pointer(steps.unit, c_float),
            self._pointer(steps.offset, c_int16),
            taps,
            filters,
            *arrays("context"),
            *arrays("hidden"),
            *arrays("out"),
            KEEP,
        )
        if not ok:
            raise ValueError("the compiled core cannot use the convolution's arrays")

    def _pointer(self, array: Any, kind: Any) -> Any:
        array = self._np.ascontiguousarray(array)
        self._kept.append(array)
        return array.ctypes.data_as(POINTER(kind))

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._lib.hype_free(self._handle)

    def signal(self, name: str) -> int:
        """Give the row of a signal; -1 where the model does not know it."""
        return self._signals.get(name, -1)

    def score(
        self,
        text: bytes,
        bounds: Sequence[tuple[int, int]],
        documents: Sequence[int],
        hits: Mapping[int, Sequence[int]],
        live: Sequence[int],
    ) -> tuple[Floats, Floats | None]:
        """Give the margins of both parts, each (n_sentences, n_labels).

        Args:
            text: normalised texts, one behind the other.
            bounds: start and end of every sentence in it.
            documents: the first sentence of each document, and the number of sentences.
            hits: by sentence, the rows of what rules and guards said, each once.
            live: by document, a bit for each category, in alphabetical order, with a hit that no
                guard silenced.
        """
        np = self._np
        n = len(bounds)
        linear: Floats = np.empty((n, len(LABELS)), np.float32)
        conv: Floats | None = np.empty((n, len(LABELS)), np.float32) if self.has_conv else None
        where = np.asarray(bounds, np.int64).reshape(n, 2)
        starts, ends = np.ascontiguousarray(where[:, 0]), np.ascontiguousarray(where[:, 1])
        sizes = np.zeros(n + 1, np.int32)
        for i, rows in hits.items():
            sizes[i + 1] = len(rows)
        first = np.cumsum(sizes, dtype=np.int32)
        flat = np.asarray([r for i in sorted(hits) for r in hits[i]] or [0], np.int32)
        edges = np.asarray(documents, np.int32)
        bits = np.asarray(live, np.int32)

        def at(array: Any, kind: Any) -> Any:
            return array.ctypes.data_as(POINTER(kind))

        with self._lock:
            ok = self._lib.hype_score(
                self._handle,
                text,
                at(starts, c_int64),
                at(ends, c_int64),
                at(edges, c_int32),
                len(documents) - 1,
                at(first, c_int32),
                at(flat, c_int32),
                at(bits, c_int32),
                at(linear, c_float),
                None if conv is None else at(conv, c_float),
                len(LABELS),
            )
        if not ok:
            raise MemoryError("the compiled core ran out of memory")
        return linear, conv

    def attribute(self, body: str, label: int) -> list[float]:
        """Give the weight of each white-space word of ``body``: :meth:`Linear.attribute`."""
        raw = body.encode("ascii")
        with self._lock:
            out = self._doubles  # to make an array for each sentence takes longer than the sums
            if len(raw) >= 2 * len(out):
                out = (c_double * (len(raw) // 2 + 1))()
            n = self._lib.hype_attribute(self._handle, raw, len(raw), label, out)
            if n < 0:
                raise MemoryError("the compiled core ran out of memory")
            return out[:n]

    def cut(self, text: bytes, bounds: Sequence[tuple[int, int]]) -> list[Pieces]:
        """Cut sentences, given by their places in a normalised text: :meth:`WordPieces.cut`."""
        n = len(bounds)
        starts = (c_int64 * n)(*[a for a, _ in bounds])
        ends = (c_int64 * n)(*[b for _, b in bounds])
        ids = (c_int32 * (n * LONGEST))()
        places = (c_int32 * (n * 2 * LONGEST))()
        counts = (c_int32 * n)()
        self._lib.hype_cut(self._handle, text, starts, ends, n, ids, places, counts)
        out = []
        for i, size in enumerate(counts):
            k = i * LONGEST
            flat = places[2 * k : 2 * (k + size)]
            offsets = list(zip(flat[::2], flat[1::2], strict=True))
            out.append(Pieces(ids[k : k + size], offsets))
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
