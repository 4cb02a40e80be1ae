"""The deep half of the model: a small transformer that reads sentences in their document.

Runs by ONNX Runtime (int8), without PyTorch. The graph gives the hidden states of the tokens; the
pools and heads over them are a few arrays (:mod:`hypecheck.training.deep` fits both).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from hypecheck.types import LABELS
from hypecheck.windows import LONGEST, Window, windows
from hypecheck.wordpiece import CLS, SEP, UNKNOWN, build_tokenizer

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
        data: ``vocabulary`` (list of word pieces), ``attention`` (width + 1,), ``head``
            (2 * width + 1, n_labels), ``token_head`` (width + 1, n_categories); the last rows
            are biases.
        graph: the ONNX file's bytes.
        threads: of ONNX Runtime; 0 leaves it the choice.
    """

    def __init__(self, data: Mapping[str, Any], graph: bytes, threads: int = 0) -> None:
        import numpy as np

        self._np = np
        self._graph = graph
        self._threads = threads
        self._vocabulary: Sequence[str] = data["vocabulary"]
        self._cls = self._vocabulary.index(CLS)
        self._sep = self._vocabulary.index(SEP)
        self._unknown = self._vocabulary.index(UNKNOWN)
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

    @cached_property
    def _tokenizer(self) -> Any:
        return build_tokenizer(self._vocabulary)

    def read(
        self, documents: Sequence[tuple[Sequence[str], Sequence[bool]]]
    ) -> list[dict[int, Reading]]:
        """Read the sentences that are asked for, each in its window.

        Args:
            documents: of each its normalised sentences, and which of them are wanted. A window
                is read when one of its sentences is wanted.

        Returns:
            For each document, readings by sentence index: at least of the wanted ones.
        """
        out: list[dict[int, Reading]] = [{} for _ in documents]
        jobs: list[tuple[int, Window, int]] = []
        encoded: list[list[Any]] = []
        for d, (sentences, wanted) in enumerate(documents):
            if not any(wanted):
                encoded.append([])
                continue
            tokens = self._tokenizer.encode_batch(list(sentences))
            encoded.append(tokens)
            lengths = [min(len(e.ids), LONGEST) or 1 for e in tokens]
            for w in windows(lengths):
                if any(wanted[i] for i in w.scored):
                    jobs.append((d, w, 1 + sum(lengths[i] + 1 for i in w.sentences)))
        for job in jobs:
            self._run(job, encoded, out)
        return out

    def _run(
        self,
        job: tuple[int, Window, int],
        encoded: Sequence[Sequence[Any]],
        out: list[dict[int, Reading]],
    ) -> None:
        """Read one window.

        One at a time: int8 scales are taken over a batch, so that in a shared batch a text's
        scores would depend on its neighbours'.
        """
        np = self._np
        d, window, size = job
        ids = np.empty((1, size), np.int64)
        ids[0, 0] = self._cls
        places: list[tuple[int, int, int]] = []  # sentence, from, to
        p = 1
        for k in window.sentences:
            tokens = encoded[d][k].ids[:LONGEST] or [self._unknown]
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
            out[d][k] = Reading(logits, encoded[d][k].offsets[:LONGEST], inner[a:b])
