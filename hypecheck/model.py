"""The model: probabilities for sentences and texts, from the linear half and the deep half.

Two tiers share one artefact. *fast* is the linear half alone. *default* lets the linear half
decide what is clear and asks the transformer about the rest; both margins are then weighed
together. Which sentences are clear, the weighing, the calibration and the thresholds were fitted
on the development split and lie in the artefact.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from hypecheck import artefact, features
from hypecheck.artefact import RETRAIN, TIERS, Manifest
from hypecheck.errors import ModelError
from hypecheck.linear import Linear
from hypecheck.types import CATEGORIES, LABELS, Candidate, Sentence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]
    Doubles: TypeAlias = NDArray[np.float64]

    from hypecheck.deep import Deep, Reading


@dataclass(frozen=True, slots=True)
class Request:
    """One document to score: normalised text, its sentences, what rules and guards said."""

    text: str
    sentences: Sequence[Sentence]
    candidates: Sequence[Candidate]
    silenced: Sequence[str | None]  # per candidate: the guard, or None


@dataclass(frozen=True, slots=True)
class Scored:
    """What the model says of one document."""

    categories: Sequence[Mapping[str, float]]  # per sentence: calibrated probabilities
    kinds: Sequence[Mapping[str, float]]  # per sentence: probability of each kind
    document: Mapping[str, float]  # probability of at least one flag, by category
    readings: Mapping[int, Reading]  # of the sentences that the transformer read


class Model:
    """A verified artefact, in one tier.

    Args:
        data: the content of ``model.joblib``.
        manifest: the artefact's manifest.
        tier: "fast" or "default".
        graph: the transformer, for the default tier.
    """

    def __init__(
        self, data: Mapping[str, Any], manifest: Manifest, tier: str, graph: bytes | None
    ) -> None:
        import numpy as np

        self._np = np
        self.manifest = manifest
        self.version = manifest.version if tier == "default" else f"{manifest.version}/{tier}"
        self.thresholds = manifest.thresholds[tier]
        self.rules: frozenset[str] = frozenset(data["rules"])
        self.linear = Linear(data["linear"])
        self._fast = _Head(data["tiers"]["fast"])
        self._head = _Head(data["tiers"][tier])
        self._deep: Deep | None = None
        if graph is not None:
            from hypecheck.deep import Deep

            self._deep = Deep(data["deep"], graph)
            self._gate = np.asarray(data["gate"], np.float64)  # per category

    def score(self, requests: Sequence[Request]) -> list[Scored]:
        """Score every sentence of some documents."""
        np = self._np
        margins: list[Floats] = []
        clear: list[Doubles] = []
        for r in requests:
            if r.sentences:
                rows, document = features.extract(r.text, r.sentences, r.candidates, r.silenced)
                z = self.linear.margins(rows, document)
            else:
                z = np.zeros((0, len(LABELS)), np.float32)
            margins.append(z)
            clear.append(self._fast.probabilities(np, z, None))
        readings = self._read(requests, clear)
        out = []
        for r, z, p, read in zip(requests, margins, clear, readings, strict=True):
            if read:
                rows_read = sorted(read)
                deep = np.stack([read[i].logits for i in rows_read])
                p[rows_read] = self._head.probabilities(np, z[rows_read], deep)
            out.append(self._scored(r, p, read))
        return out

    def _read(
        self, requests: Sequence[Request], clear: Sequence[Doubles]
    ) -> list[dict[int, Reading]]:
        """Let the transformer read what the linear half leaves open."""
        if self._deep is None:
            return [{} for _ in requests]
        n = len(CATEGORIES)
        jobs: list[tuple[list[str], list[bool]]] = []
        for r, p in zip(requests, clear, strict=True):
            wanted = [any(row) for row in (p[:, :n] >= self._gate).tolist()]
            jobs.append(([r.text[s.start : s.end] for s in r.sentences], wanted))
        return self._deep.read(jobs)

    def _scored(self, r: Request, p: Doubles, readings: Mapping[int, Reading]) -> Scored:
        n = len(CATEGORIES)
        rows: list[list[float]] = p.tolist()
        return Scored(
            [dict(zip(CATEGORIES, row[:n], strict=True)) for row in rows],
            [dict(zip(LABELS[n:], row[n:], strict=True)) for row in rows],
            self._head.document(rows) if r.sentences else dict.fromkeys(CATEGORIES, 0.0),
            readings,
        )

    def probe(self, text: str) -> dict[str, float]:
        """Score one ASCII text as a single sentence: what the manifest's probe holds."""
        scored = self.score([Request(text, (Sentence(0, len(text), 0),), (), ())])[0]
        return {c: round(p, 9) for c, p in scored.categories[0].items()}

    def self_check(self, tier: str) -> None:
        """Compare the probe sentences with the manifest.

        Int8 sums differ a little between processors; the linear half must agree to 1e-6.

        Raises:
            ModelError: a probability differs.
        """
        tolerance = 1e-6 if self._deep is None else 0.05
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
        # (n_labels, 3): weight of the linear margin, of the transformer's, offset.
        self._stack = data["stack"]
        self._document = {c: tuple(v) for c, v in data["document"].items()}

    def probabilities(self, np: Any, linear: Floats, deep: Floats | None) -> Doubles:
        z = linear.astype(np.float64) * self._stack[:, 0] + self._stack[:, 2]
        if deep is not None:
            z += deep * self._stack[:, 1]
        p: Doubles = 1.0 / (1.0 + np.exp(-np.clip(z, -40, 40)))
        return p

    def document(self, rows: Sequence[Sequence[float]]) -> dict[str, float]:
        out: dict[str, float] = {}
        for k, c in enumerate(CATEGORIES):
            a, b, bias = self._document[c]
            top = sorted((row[k] for row in rows), reverse=True)
            z = a * _logit(top[0]) + b * math.log1p(sum(top[1:])) + bias
            out[c] = 1.0 / (1.0 + math.exp(-z)) if z > -40 else 0.0
        return out


def _logit(p: float) -> float:
    p = min(max(p, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))


@lru_cache(maxsize=4)
def load(name: str = "default") -> Model:
    """Load a model once, verified.

    Args:
        name: "default" or "fast" (the tiers of the shipped model), a version, or a folder; a
            version or folder followed by ``/fast`` gives its fast tier.

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
    import joblib

    try:
        model = Model(joblib.load(io.BytesIO(raw)), manifest, tier, graph)
        model.self_check(tier)
        return model
    except ModelError:
        raise
    except Exception as e:
        raise ModelError(f"{folder}: cannot be read ({e}); {RETRAIN}") from e
