"""Distil the transformer into the fast tier's convolution (:mod:`hypecheck.conv`).

Targets are the labels mixed with the transformer's opinion; sizes were chosen on dev
(models/README.md). PyTorch is needed for training only.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own name for it)
from numpy.typing import NDArray
from torch import nn

from hypecheck.conv import SUM_SCALE
from hypecheck.corpus import LabelledDocument
from hypecheck.training.deep import Dropout, Item, Prepared, bfloat16, prepare
from hypecheck.types import CATEGORIES, LABELS
from hypecheck.wordpiece import UNKNOWN, build_tokenizer

WIDTH, FILTERS, SIZE, CONTEXT, HIDDEN = 192, 384, 5, 192, 256
EPOCHS, RATE, DOCUMENTS, SEED = 10, 1e-3, 48, 0
DROPOUT, INPUT_DROPOUT, WORD_DROPOUT = 0.4, 0.1, 0.1
ADVERSARIAL = 10.0  # length of the step against the word embeddings; 0 for none
THREADS = 2  # sums are rounded by how they are shared out: the same number on every machine
MIX = 0.8  # the share of the transformer's opinion in the targets


class Network(nn.Module):
    """What :class:`hypecheck.conv.Conv` computes, to be trained."""

    def __init__(self, embedding: NDArray[np.float32], unknown: int) -> None:
        super().__init__()
        # The transformer's word embeddings, their main directions.
        centred = embedding - embedding.mean(axis=0)
        u, s, _ = np.linalg.svd(centred, full_matrices=False)
        start = (u * s)[:, :WIDTH]
        self.embedding = nn.Embedding(*start.shape)
        self.embedding.weight.data = torch.from_numpy((start / start.std() / 2).astype(np.float32))
        self.kernel = nn.Conv1d(WIDTH, FILTERS, SIZE, padding=SIZE // 2)
        self.context = nn.Linear(6 * FILTERS, CONTEXT)
        self.hidden = nn.Linear(2 * FILTERS + CONTEXT, HIDDEN)
        self.out = nn.Linear(HIDDEN, len(LABELS))
        draws = np.random.Generator(np.random.SFC64(SEED))
        self.drop, self.thin = Dropout(DROPOUT, draws), Dropout(INPUT_DROPOUT, draws)
        self._unknown = unknown
        nn.init.constant_(self.out.bias, -3.0)

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, document: torch.Tensor
    ) -> torch.Tensor:
        """Give margins (n_sentences, n_labels) of some documents' sentences.

        Args:
            ids: (n_sentences, tokens).
            mask: the same, 1 where there is a token.
            document: (n_sentences,), the number of each one's document, ascending.
        """
        if self.training:
            lost = torch.rand(ids.shape) < WORD_DROPOUT
            ids = ids.masked_fill(lost, self._unknown)
        x = self.thin(self.embedding(ids)) * mask[..., None]
        y = F.relu(self.kernel(x.transpose(1, 2))) * mask[:, None]
        sums = y.sum(-1) / (SUM_SCALE * mask.sum(-1, keepdim=True).sqrt())
        pooled = torch.cat([y.max(-1).values, sums], -1).float()
        same = (document[1:] == document[:-1]).float()[:, None]
        none = torch.zeros_like(pooled[:1])
        before = torch.cat([none, pooled[:-1] * same])
        after = torch.cat([pooled[1:] * same, none])
        n = int(document[-1]) + 1
        whole = torch.zeros(n, pooled.shape[1]).index_add(0, document, pooled)
        whole = whole / torch.bincount(document, minlength=n)[:, None]
        context = F.relu(self.context(torch.cat([before, after, whole[document]], -1)))
        hidden = F.relu(self.hidden(self.drop(torch.cat([pooled, context], -1))))
        out: torch.Tensor = self.out(self.drop(hidden))
        return out


def _collate(documents: Sequence[list[Item]]) -> tuple[torch.Tensor, ...]:
    items = [s for d in documents for s in d]
    longest = max(len(s.ids) for s in items)
    ids = np.zeros((len(items), longest), np.int64)
    mask = np.zeros((len(items), longest), np.float32)
    for i, s in enumerate(items):
        ids[i, : len(s.ids)] = s.ids
        mask[i, : len(s.ids)] = 1
    number = np.repeat(np.arange(len(documents)), [len(d) for d in documents])
    labels = np.asarray([s.labels for s in items], np.float32)
    sure = np.asarray([s.sure for s in items], np.float32)
    return tuple(map(torch.from_numpy, (ids, mask, number, labels, sure)))


def _loss(net: Network, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
    ids, mask, number, labels, sure = tensors
    kinds = len(LABELS) - len(CATEGORIES)
    weight = torch.tensor([2.0] * len(CATEGORIES) + [1.0] * kinds)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16(torch.device("cpu"))):
        z = net(ids, mask, number)
    each = F.binary_cross_entropy_with_logits(z.float(), labels, reduction="none")
    return ((each * weight).sum(-1) * sure).sum() / sure.sum().clamp(min=1)


def fit(
    documents: Sequence[LabelledDocument],
    vocabulary: Sequence[str],
    embedding: NDArray[np.float32],
    opinions: NDArray[np.float64],
    log: Callable[[str], None],
) -> dict[str, Any]:
    """Train the convolution; the same corpus gives the same arrays.

    Args:
        documents: to train on.
        vocabulary: the transformer's word pieces.
        embedding: its word embeddings, (n_pieces, width).
        opinions: its probabilities of the sentences, (n_sentences, n_labels).
        log: gets one line an epoch.

    Returns:
        The arrays that :class:`hypecheck.conv.Conv` takes.
    """
    ready: Prepared = prepare(documents, build_tokenizer(vocabulary))
    for item, soft in zip((i for d in ready for i in d), opinions, strict=True):
        item.labels = [
            (1 - MIX) * y + MIX * float(p) for y, p in zip(item.labels, soft, strict=True)
        ]
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(THREADS)
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    net = Network(embedding, list(vocabulary).index(UNKNOWN))
    weights = [p for n, p in net.named_parameters() if n != "embedding.weight"]
    optimiser = torch.optim.AdamW(
        [
            {"params": [net.embedding.weight], "weight_decay": 0.0},
            {"params": weights, "weight_decay": 0.01},
        ],
        lr=RATE,
    )
    chunk = 8 * DOCUMENTS
    steps = sum(-(-len(ready[i : i + chunk]) // DOCUMENTS) for i in range(0, len(ready), chunk))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=EPOCHS * steps, pct_start=0.1
    )
    order = list(range(len(ready)))
    for epoch in range(EPOCHS):
        net.train()
        rng.shuffle(order)
        total = 0.0
        for i in range(0, len(order), chunk):
            # Similar lengths together: less padding.
            part = sorted(order[i : i + chunk], key=lambda k: max(len(s.ids) for s in ready[k]))
            batches = [part[j : j + DOCUMENTS] for j in range(0, len(part), DOCUMENTS)]
            rng.shuffle(batches)
            for batch in batches:
                tensors = _collate([ready[k] for k in batch])
                loss = _loss(net, tensors)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                push = net.embedding.weight.grad
                if ADVERSARIAL and push is not None:  # as the transformer is trained
                    push = push * (ADVERSARIAL / push.norm().clamp(min=1e-8))
                    net.embedding.weight.data += push
                    _loss(net, tensors).backward()
                    net.embedding.weight.data -= push
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                total += float(loss.detach())
        log(f"convolution: epoch {epoch + 1} of {EPOCHS}, loss {total / steps:.3f}")
    return _export(net.eval())


def _export(net: Network) -> dict[str, Any]:
    """Give the arrays, int8 with a scale a row or column."""
    out: dict[str, Any] = {"bias": _array(net.kernel.bias)}
    kernel = _array(net.kernel.weight).transpose(2, 1, 0)  # (size, width, n_filters)
    out["kernel"], out["kernel_scale"] = _int8(kernel, (0, 1))
    out["embedding"], out["embedding_scale"] = _int8(_array(net.embedding.weight), (1,))
    for name in ("context", "hidden", "out"):
        layer: nn.Linear = getattr(net, name)
        rows = np.concatenate([_array(layer.weight).T, _array(layer.bias)[None]])
        out[name], out[f"{name}_scale"] = _int8(rows, (1,))
    return out


def _array(p: torch.Tensor) -> NDArray[np.float32]:
    out: NDArray[np.float32] = p.detach().cpu().float().numpy()
    return out


def _int8(x: NDArray[np.float32], over: tuple[int, ...]) -> tuple[Any, Any]:
    scale = np.abs(x).max(axis=over, keepdims=True) / 127
    scale = np.maximum(scale, 1e-12).astype(np.float32)
    return np.round(x / scale).astype(np.int8), scale
