"""The deep half of the model: a small transformer that reads sentences in their document.

Runs by ONNX Runtime (int8), without PyTorch. The graph gives the hidden states of the tokens; the
pools and heads over them are a few arrays (:mod:`hypecheck.training.deep` fits both).
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from hypecheck.types import LABELS
from hypecheck.windows import Window, windows
from hypecheck.wordpiece import CLS, SEP, Pieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the transformer says of one sentence."""

    logits: Floats  # (n_labels,)
    offsets: Sequence[tuple[int, int]]  # of the tokens, within the sentence
    tokens: Floats  # (n_tokens, n_categories): logits of lying in a flagged span


_SPIN = 1000  # microseconds; the option is ONNX Runtime's from 1.26 on


class Kept:
    """Windows that were read before, by hash of their tokens; for many threads.

    A text that is sent again with a change costs the windows that the change touched: what is
    kept gives the very numbers that reading again would.

    Args:
        size: windows; the one unused for longest goes first.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._windows: OrderedDict[bytes, Sequence[tuple[Floats, Floats]]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._windows)

    def get(self, key: bytes) -> Sequence[tuple[Floats, Floats]] | None:
        """Give logits and tokens' logits of a window's scored sentences, if they are kept."""
        with self._lock:
            found = self._windows.get(key)
            if found is not None:
                self._windows.move_to_end(key)
            return found

    def put(self, key: bytes, read: Sequence[tuple[Floats, Floats]]) -> None:
        """Keep a window."""
        with self._lock:
            self._windows[key] = read
            while len(self._windows) > self._size:
                self._windows.popitem(last=False)


class Deep:
    """The transformer with its heads.

    Args:
        data: ``attention`` (width + 1,), ``head``
            (2 * width + 1, n_labels), ``token_head`` (width + 1, n_categories); the last rows
            are biases.
        vocabulary: the word pieces.
        graph: the ONNX file's bytes.
        threads: of ONNX Runtime; 0 leaves it the choice.
    """

    def __init__(
        self, data: Mapping[str, Any], vocabulary: Sequence[str], graph: bytes, threads: int = 0
    ) -> None:
        import numpy as np

        self._np = np
        self._graph = graph
        self._threads = threads
        self._cls = vocabulary.index(CLS)
        self._sep = vocabulary.index(SEP)
        self._attention = np.asarray(data["attention"], np.float32)
        self._head = np.asarray(data["head"], np.float32)
        self._token_head = np.asarray(data["token_head"], np.float32)
        if self._head.shape[1] != len(LABELS):
            raise ValueError("the transformer's head does not fit the labels")

    @cached_property
    def _alone(self) -> Any:
        """Give the session for windows that come one at a time: all threads on each."""
        return self._session(self._threads)

    @cached_property
    def _beside(self) -> Any:
        """Give the session for windows that are read side by side: a thread each."""
        return self._alone if self._threads == 1 else self._session(1)

    def _session(self, threads: int) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # To wake a thread for every product takes as long as the product: they wait spinning, but
        # not for long, or they would burn the cores of a service that has nothing to do.
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(_SPIN))
        return onnxruntime.InferenceSession(
            self._graph, options, providers=["CPUExecutionProvider"]
        )

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads or os.cpu_count(), "windows")

    def read(
        self,
        documents: Sequence[tuple[Sequence[Pieces], Sequence[bool]]],
        deadline: float | None = None,
        kept: Kept | None = None,
    ) -> tuple[list[dict[int, Reading]], bool]:
        """Read the sentences that are asked for, each in its window.

        Args:
            documents: of each the word pieces of its sentences, and which of them are wanted. A
                window is read when one of its sentences is wanted.
            deadline: by ``time.monotonic()``; no window is begun after it.
            kept: windows read before, which cost no time; what is read now is added.

        Returns:
            For each document, readings by sentence index: at least of the wanted ones, if the
            second value says that all windows were read.
        """
        out: list[dict[int, Reading]] = [{} for _ in documents]
        jobs = [
            _Job(found, sentences, w)
            for (sentences, wanted), found in zip(documents, out, strict=True)
            if any(wanted)
            for w in windows([len(p.ids) for p in sentences])
            if any(wanted[i] for i in w.scored)
        ]
        # Side by side a window each costs less than all threads on one window after the other.
        several = len(jobs) > 1 and self._threads != 1
        session = self._beside if several else self._alone

        def read(job: _Job) -> bool:
            ids, places = self._tokens(job.window, job.sentences)
            key = b"" if kept is None else _key(ids, len(job.window.context))
            scored = None if kept is None else kept.get(key)
            if scored is None:
                if deadline is not None and time.monotonic() >= deadline:
                    return False  # a later window may be kept
                scored = self._run(session, ids, places)
                if kept is not None:
                    kept.put(key, scored)
            for k, (logits, tokens) in zip(job.window.scored, scored, strict=True):
                job.found[k] = Reading(logits, job.sentences[k].offsets, tokens)
            return True

        return out, all([*(self._pool.map if several else map)(read, jobs)])

    def _tokens(
        self, window: Window, sentences: Sequence[Pieces]
    ) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
        """Give a window's tokens, and from where to where each scored sentence lies in them."""
        np = self._np
        ids = [self._cls]
        places: list[tuple[int, int]] = []
        for k in window.sentences:
            places.append((len(ids), len(ids) + len(sentences[k].ids)))
            ids += sentences[k].ids
            ids.append(self._sep)
        return np.asarray([ids], np.int64), places[len(window.context) :]

    def _run(
        self, session: Any, ids: NDArray[np.int64], places: Sequence[tuple[int, int]]
    ) -> list[tuple[Floats, Floats]]:
        """Read one window.

        One at a time: int8 scales are taken over a batch, so that in a shared batch a text's
        scores would depend on its neighbours'.
        """
        np = self._np
        hidden = session.run(None, {"ids": ids})[0][0]
        score = np.clip(hidden @ self._attention[:-1] + self._attention[-1], -8, 8)
        weight = np.exp(score)[:, None]
        weighted = hidden * weight
        inner = hidden @ self._token_head[:-1] + self._token_head[-1]
        out = []
        for a, b in places:
            mean = hidden[a:b].mean(axis=0)
            pooled = weighted[a:b].sum(axis=0) / weight[a:b].sum()
            logits = np.concatenate([mean, pooled]) @ self._head[:-1] + self._head[-1]
            out.append((logits, inner[a:b].copy()))  # the window's other tokens need not be kept
        return out


class _Job(NamedTuple):
    """A window to read."""

    found: dict[int, Reading]  # of its document, to be filled
    sentences: Sequence[Pieces]  # of its document
    window: Window


def _key(ids: NDArray[np.int64], context: int) -> bytes:
    return hashlib.blake2b(ids.tobytes(), digest_size=32, salt=context.to_bytes(2)).digest()
