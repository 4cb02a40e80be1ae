"""The model: probabilities for sentences and texts, from two quick readers and a deep one.

Two tiers share one artefact. *fast* weighs the margins of the linear part (words, characters,
rules and guards) and of the convolution (word pieces in their order). *default* lets the fast tier
decide what is clear and asks the transformer about the rest; all margins are then weighed
together. Which sentences are clear, the weighing, the calibration and the thresholds were fitted
on the development split and lie in the artefact.
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from hypecheck import artefact, features, native, store
from hypecheck.artefact import RETRAIN, TIERS, Manifest
from hypecheck.errors import ModelError
from hypecheck.joined import Joined
from hypecheck.linear import Linear
from hypecheck.spans import evidence
from hypecheck.types import CATEGORIES, CATEGORY_OF, KINDS, LABELS, Candidate, Sentence
from hypecheck.windows import near
from hypecheck.wordpiece import Pieces, WordPieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]
    Doubles: TypeAlias = NDArray[np.float64]

    from hypecheck.conv import Conv
    from hypecheck.deep import Deep, Kept, Reading


_ALPHABETICAL = sorted(CATEGORIES)
# By category, the labels of its kinds; of two that are as likely the one behind counts.
_KINDS_OF = [[LABELS.index(k) for k in sorted(KINDS[c])] for c in CATEGORIES]


@dataclass(slots=True)
class Request:
    """One document to score: normalised text, its sentences, what rules and guards said."""

    text: str
    sentences: Sequence[Sentence]
    candidates: Sequence[Candidate]
    silenced: Sequence[str | None]  # per candidate: the guard, or None


class Flag(NamedTuple):
    """A probability that reaches its bar, and the phrase that carries it."""

    sentence: int
    category: int  # its place in CATEGORIES
    kind: str  # the likeliest of the category
    start: int  # of the phrase, in the document
    end: int
    score: float


@dataclass(slots=True)
class Scored:
    """What the model says of one document."""

    # (n_sentences, n_labels): calibrated probabilities, as LABELS; the categories' come first.
    labels: Doubles = field(compare=False)
    document: Mapping[str, float]  # probability of at least one flag, by category
    readings: Mapping[int, Reading]  # of the sentences that the transformer read
    incomplete: bool = False  # time ran out before it had read all that it should
    flags: Sequence[Flag] = ()  # where bars were given

    @property
    def categories(self) -> list[dict[str, float]]:
        """Give the probability of each category, by sentence."""
        n = len(CATEGORIES)
        return [dict(zip(CATEGORIES, row[:n], strict=True)) for row in self.labels.tolist()]

    @property
    def kinds(self) -> list[dict[str, float]]:
        """Give the probability of each kind, by sentence."""
        n = len(CATEGORIES)
        return [dict(zip(LABELS[n:], row[n:], strict=True)) for row in self.labels.tolist()]


class Model:
    """A verified artefact, in one tier.

    Args:
        data: the content of ``model.joblib``.
        manifest: the artefact's manifest.
        tier: "fast" or "default".
        graph: the transformer, for the default tier.
        threads: of the transformer; 0 leaves it the choice.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        manifest: Manifest,
        tier: str,
        graph: bytes | None,
        threads: int = 0,
    ) -> None:
        import numpy as np

        self._np = np
        self.manifest = manifest
        self.version = manifest.version if tier == "default" else f"{manifest.version}/{tier}"
        self.thresholds = manifest.thresholds[tier]
        self.rules: frozenset[str] = frozenset(data["rules"])
        self.linear = Linear(data["linear"])
        self._conv: Conv | None = None
        if "pieces" in data:
            self._pieces = WordPieces(data["pieces"])
        self._core = self._compiled(data)
        if "pieces" in data and self._core is None:
            from hypecheck.conv import Conv

            self._conv = Conv(data["conv"])
        self._kept: dict[tuple[str, str | None, str | None], tuple[dict[str, int], int]] = {}
        self._fast = _Head(data["tiers"]["fast"])
        self._head = _Head(data["tiers"][tier])
        self._deep: Deep | None = None
        if graph is not None:
            from hypecheck.deep import Deep

            self._deep = Deep(data["deep"], data["pieces"], graph, threads)
            self._gate = np.asarray(data["gate"], np.float64)  # per category

    def score(
        self,
        requests: Sequence[Request],
        deadline: float | None = None,
        kept: Kept | None = None,
        joined: Joined | None = None,
        bars: Sequence[float] | None = None,
    ) -> list[Scored]:
        """Score every sentence of some documents.

        Args:
            requests: the documents.
            deadline: by ``time.monotonic()``, after which the transformer reads no further.
            kept: what the transformer read before, of this model; what it reads now is added.
            joined: the documents' texts and sentences, where they are joined already.
            bars: by category, from which probability on a sentence is flagged.
        """
        np = self._np
        if joined is None:
            joined = Joined.of([r.text for r in requests], [r.sentences for r in requests])
        edges = joined.edges.tolist()
        if edges[-1]:
            margins = self._margins(requests, joined)
            if self._core is not None and len(margins) == 2:
                p = self._core.weigh(margins[0], margins[1], self._fast.flat)
            else:
                p = self._fast.probabilities(np, margins)
            readings, complete = self._read(requests, edges, p, deadline, kept)
            for first, read in zip(edges, readings, strict=False):
                if read:
                    rows = [first + i for i in sorted(read)]
                    deep = np.stack([read[i - first].logits for i in rows])
                    p[rows] = self._head.probabilities(np, [*(m[rows] for m in margins), deep])
        else:
            p = np.zeros((0, len(LABELS)))
            readings, complete = [{} for _ in requests], True
        if self._core is not None:
            q = self._core.documents(p, edges, self._head.of_documents)
            documents = [dict[str, float](zip(CATEGORIES, row, strict=True)) for row in q]
        else:
            documents = self._head.documents(np, p, edges)
        flags: list[list[Flag]] = [[] for _ in requests]
        if bars is not None and edges[-1]:
            self._flag(requests, joined, p, bars, readings, flags)
        return [
            Scored(p[a:b], document, read, not complete, flagged)
            for a, b, document, read, flagged in zip(
                edges, edges[1:], documents, readings, flags, strict=False
            )
        ]

    def _flag(
        self,
        requests: Sequence[Request],
        joined: Joined,
        p: Doubles,
        bars: Sequence[float],
        readings: Sequence[Mapping[int, Reading]],
        flags: Sequence[list[Flag]],
    ) -> None:
        """Add what reaches its bar to ``flags``, document by document."""
        if self._core is not None:
            flat = self._core.flags(joined, p, bars, _KINDS_OF)
        else:
            flat = []
            for i, c in self._np.argwhere(p[:, : len(bars)] >= self._np.asarray(bars)).tolist():
                label = max(reversed(_KINDS_OF[c]), key=p[i].__getitem__)
                flat += (i, c, label, -1, -1)
        edges = joined.edges
        d = 0
        rows = [iter(flat)] * 5
        for i, c, label, start, end in zip(*rows, strict=True):
            while edges[d + 1] <= i:
                d += 1
            k = i - edges[d]
            sentence = requests[d].sentences[k]
            reading = readings[d].get(k)
            if reading is None and start >= 0:
                start, end = start + sentence.start, end + sentence.start
            else:
                text = requests[d].text
                start, end = evidence(text, sentence, CATEGORIES[c], self.linear, reading)
            flags[d].append(Flag(k, c, LABELS[label], start, end, float(p[i, c])))

    def _compiled(self, data: Mapping[str, Any]) -> native.Scorer | None:
        lib = native.library()
        if lib is None:
            return None
        conv = None
        if "pieces" in data:
            from hypecheck.conv import Steps

            conv = data["conv"], Steps(data["conv"]), data["pieces"], self._pieces.unknown
        linear = self.linear
        core = native.Scorer(
            lib,
            linear.vocabulary,
            linear.signals(),
            linear.halves,
            linear.bias,
            features.SCALE,
            conv,
        )
        linear.halves = core.weights  # once is enough
        return core

    def _margins(self, requests: Sequence[Request], joined: Joined) -> list[Floats]:
        """Give the margins of the fast tier's parts, each (n_sentences, n_labels)."""
        np = self._np
        if self._core is None:
            parts = [self._quick(r) for r in requests if r.sentences]
            return [np.concatenate(p) for p in zip(*parts, strict=True)]
        hits: dict[int, dict[str, int]] = {}
        live = [0] * len(requests)
        edges = joined.edges
        for d, r in enumerate(requests):
            for c, guard in zip(r.candidates, r.silenced, strict=True):
                names, bit = self._said(c.kind, c.rule, guard)
                hits.setdefault(edges[d] + c.sentence, {}).update(names)
                live[d] |= bit
        linear, conv = self._core.score(joined, hits, live)
        return [linear] if conv is None else [linear, conv]

    def _said(self, kind: str, rule: str | None, guard: str | None) -> tuple[dict[str, int], int]:
        """Give the rows of what a rule or a guard says, by name, and the bit of a live category."""
        key = kind, rule, guard
        found = self._kept.get(key)
        if found is None:
            assert self._core is not None
            names = features.signals_of(kind, rule, guard)
            rows = {name: self._core.signal(name) for name in names}
            bit = 0 if guard else 1 << _ALPHABETICAL.index(CATEGORY_OF[kind])
            found = self._kept[key] = rows, bit
        return found

    def _quick(self, r: Request) -> list[Floats]:
        """Do the same for one document without the compiled core."""
        rows, document = features.extract(r.text, r.sentences, r.candidates, r.silenced)
        out = [self.linear.margins(rows, document)]
        if self._conv is not None:
            out.append(self._conv.margins([p.ids for p in self._cut(r.text, r.sentences)]))
        return out

    def _cut(self, text: str, sentences: Sequence[Sentence]) -> list[Pieces]:
        if self._core is not None:
            return self._core.cut(text.encode("ascii"), [(s.start, s.end) for s in sentences])
        return self._pieces.cut([text[s.start : s.end] for s in sentences])

    def _read(
        self,
        requests: Sequence[Request],
        edges: Sequence[int],
        p: Doubles,
        deadline: float | None,
        kept: Kept | None,
    ) -> tuple[list[dict[int, Reading]], bool]:
        """Let the transformer read what the fast tier leaves open; say whether it read all."""
        if self._deep is None:
            return [{} for _ in requests], True
        is_open = [any(row) for row in (p[:, : len(CATEGORIES)] >= self._gate).tolist()]
        jobs: list[tuple[Sequence[Pieces], Sequence[bool]]] = []
        numbers: list[list[int]] = []  # of the sentences that are read
        for r, a, b in zip(requests, edges, edges[1:], strict=False):
            wanted = is_open[a:b]
            numbers.append(near(wanted) if any(wanted) else [])
            part = [r.sentences[i] for i in numbers[-1]]
            pieces = self._cut(r.text, part) if part else []
            jobs.append((pieces, [wanted[i] for i in numbers[-1]]))
        found, complete = self._deep.read(jobs, deadline, kept)
        return [
            {n[k]: reading for k, reading in read.items()}
            for n, read in zip(numbers, found, strict=True)
        ], complete

    def probe(self, text: str) -> dict[str, float]:
        """Score one ASCII text as a single sentence: what the manifest's probe holds."""
        scored = self.score([Request(text, (Sentence(0, len(text), 0),), (), ())])[0]
        return {c: round(p, 9) for c, p in scored.categories[0].items()}

    def self_check(self, tier: str) -> None:
        """Compare the probe sentences with the manifest.

        The transformer's sums differ a little between processors.

        Raises:
            ModelError: a probability differs.
        """
        tolerance = 1e-4 if self._deep is None else 0.05
        for entry in self.manifest.probe:
            got = self.probe(entry["text"])
            for c, want in entry[tier].items():
                if abs(got[c] - want) > tolerance:
                    raise ModelError(
                        f"model {self.version}: self-check failed for {c}"
                        f" ({got[c]:.6f}, expected {want:.6f}); {RETRAIN}"
                    )


class _Head:
    """Margins to calibrated probabilities, for sentences and whole texts."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        # (n_labels, n_parts + 1): the weight of each part's margin, offset.
        self._stack = data["stack"]
        self.flat = array("d", self._stack.ravel().tolist())  # the same, for the compiled core
        # Of each category's fit: the weights of the likeliest sentence and of the rest, offset.
        self._document = tuple(zip(*(data["document"][c] for c in CATEGORIES), strict=True))
        self.of_documents = array("d", [x for c in CATEGORIES for x in data["document"][c]])

    def probabilities(self, np: Any, margins: Sequence[Floats]) -> Doubles:
        z = np.zeros(margins[0].shape) + self._stack[:, -1]
        for k, m in enumerate(margins):
            z += m * self._stack[:, k]
        p: Doubles = 1.0 / (1.0 + np.exp(-np.clip(z, -40, 40)))
        return p

    def documents(self, np: Any, p: Doubles, edges: Sequence[int]) -> list[dict[str, float]]:
        """Give for each document, by category, the probability of at least one flag in it.

        Args:
            np: NumPy.
            p: (n_sentences, n_labels).
            edges: the first sentence of each document, and the number of sentences.
        """
        out: list[dict[str, float]] = [dict.fromkeys(CATEGORIES, 0.0) for _ in edges[1:]]
        full = [d for d, (a, b) in enumerate(pairwise(edges)) if b > a]
        if not full:
            return out
        starts = [edges[d] for d in full]
        some = p[:, : len(CATEGORIES)]
        top = np.maximum.reduceat(some, starts, axis=0)
        rest = np.maximum(np.add.reduceat(some, starts, axis=0) - top, 0)
        top = np.clip(top, 1e-6, 1 - 1e-6)
        a, b, bias = self._document
        z = a * np.log(top / (1 - top)) + b * np.log1p(rest) + bias
        q = np.where(z > -40, 1 / (1 + np.exp(-np.maximum(z, -40))), 0)
        for d, row in zip(full, q.tolist(), strict=True):
            out[d] = dict(zip(CATEGORIES, row, strict=True))
        return out


@lru_cache(maxsize=4)
def load(name: str = "default", threads: int = 0) -> Model:
    """Load a model once, verified.

    Args:
        name: "default" or "fast" (the tiers of the shipped model), a version, or a folder; a
            version or folder followed by ``/fast`` gives its fast tier.
        threads: of ONNX Runtime; 0 leaves it the choice.

    Raises:
        ModelError: missing, damaged, tampered with, or of another format.
    """
    tier = "fast" if name == "fast" or name.endswith("/fast") else "default"
    name = artefact.DEFAULT_MODEL if name in TIERS else name.removesuffix("/fast")
    folder = artefact.find(name)
    manifest = artefact.read_manifest(folder)
    raw = artefact.read_verified(folder, manifest, "model.joblib")
    graph = None
    if "deep.onnx" in manifest.files and tier == "default":
        graph = artefact.read_verified(folder, manifest, "deep.onnx")

    def unpacked() -> Any:
        import joblib

        return joblib.load(io.BytesIO(raw))

    try:
        # joblib unpacks for a quarter of a second: half of what a short check takes.
        digest = manifest.files["model.joblib"]["sha256"]
        model = Model(store.kept(f"model-{digest[:32]}", unpacked), manifest, tier, graph, threads)
        model.self_check(tier)
        return model
    except ModelError:
        raise
    except Exception as e:
        raise ModelError(f"{folder}: cannot be read ({e}); {RETRAIN}") from e
