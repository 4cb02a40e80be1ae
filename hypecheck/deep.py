"""The deep half of the model: a small transformer that reads sentences in their document.

Runs by ONNX Runtime (int8), without PyTorch. The graph gives the hidden states of the tokens; the
pools and heads over them are a few arrays (:mod:`hypecheck.training.deep` fits both).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

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
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        # Spinning threads would burn the cores of a service that waits.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(
            self._graph, options, providers=["CPUExecutionProvider"]
        )

    def read(
        self,
        documents: Sequence[tuple[Sequence[Pieces], Sequence[bool]]],
        deadline: float | None = None,
    ) -> tuple[list[dict[int, Reading]], bool]:
        """Read the sentences that are asked for, each in its window.

        Args:
            documents: of each the word pieces of its sentences, and which of them are wanted. A
                window is read when one of its sentences is wanted.
            deadline: by ``time.monotonic()``; no window is begun after it.

        Returns:
            For each document, readings by sentence index: at least of the wanted ones, if the
            second value says that all windows were read.
        """
        out: list[dict[int, Reading]] = [{} for _ in documents]
        for (sentences, wanted), found in zip(documents, out, strict=True):
            if not any(wanted):
                continue
            for w in windows([len(p.ids) for p in sentences]):
                if any(wanted[i] for i in w.scored):
                    if deadline is not None and time.monotonic() >= deadline:
                        return out, False
                    self._run(w, sentences, found)
        return out, True

    def _run(self, window: Window, sentences: Sequence[Pieces], found: dict[int, Reading]) -> None:
        """Read one window.

        One at a time: int8 scales are taken over a batch, so that in a shared batch a text's
        scores would depend on its neighbours'.
        """
        np = self._np
        size = 1 + sum(len(sentences[k].ids) + 1 for k in window.sentences)
        ids = np.empty((1, size), np.int64)
        ids[0, 0] = self._cls
        places: list[tuple[int, int, int]] = []  # sentence, from, to
        p = 1
        for k in window.sentences:
            tokens = sentences[k].ids
            ids[0, p : p + len(tokens)] = tokens
            ids[0, p + len(tokens)] = self._sep
            places.append((k, p, p + len(tokens)))
            p += len(tokens) + 1
        mask = np.ones((1, size), np.int64)
        hidden = self._session.run(None, {"ids": ids, "mask": mask})[0][0]
        score = np.clip(hidden @ self._attention[:-1] + self._attention[-1], -8, 8)
        weight = np.exp(score)[:, None]
        weighted = hidden * weight
        inner = hidden @ self._token_head[:-1] + self._token_head[-1]
        for k, a, b in places[len(window.context) :]:
            mean = hidden[a:b].mean(axis=0)
            pooled = weighted[a:b].sum(axis=0) / weight[a:b].sum()
            logits = np.concatenate([mean, pooled]) @ self._head[:-1] + self._head[-1]
            found[k] = Reading(logits, sentences[k].offsets, inner[a:b])
