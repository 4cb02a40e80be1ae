"""Verify and load a model artefact; probabilities for sentences; the phrase that carries them.

An artefact is a folder with ``manifest.json``, ``model.joblib`` (plain arrays, numbers and one
string of vocabulary, exported from scikit-learn by :mod:`hypecheck.training.train`) and
``card.md``. Every file's size and SHA-256 are checked before it is opened. NumPy and joblib are
imported here and nowhere else, when a model is first loaded.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypecheck import features
from hypecheck.errors import ModelError
from hypecheck.features import SCALE, Features
from hypecheck.types import CATEGORIES, KINDS, Candidate, Category, Sensitivity, Sentence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_MODEL = "2026.1"
FORMAT = 1
LABELS: tuple[str, ...] = (*CATEGORIES, *(k for c in CATEGORIES for k in KINDS[c]))
_PREFIX = {"words": "w", "chars": "c", "before": "<", "after": ">", "document": "d", "signals": "s"}
_RETRAIN = "reinstall HypeCheck, or rebuild it with `hypecheck train`"


def find(name: str) -> Path:
    """Give the folder of a shipped model by its version, or the path given.

    Raises:
        ModelError: no such model.
    """
    here = Path(__file__).parent
    places = [here / "_models" / name, here.parent / "models" / name, Path(name)]
    for place in places:
        if (place / "manifest.json").is_file():
            return place
    if any(p.is_dir() for p in places):
        raise ModelError(f"model {name!r}: the folder holds no manifest.json; {_RETRAIN}")
    raise ModelError(f"model {name!r}: not found; {_RETRAIN}")


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` says."""

    version: str
    files: Mapping[str, Mapping[str, Any]]  # name -> {"sha256", "bytes"}
    ruleset: str
    thresholds: Mapping[Sensitivity, Mapping[Category, float]]
    probe: Sequence[Mapping[str, Any]]  # {"text", "scores": {category: probability}}
    raw: Mapping[str, Any]


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``manifest.json``.

    Raises:
        ModelError: missing, not JSON, of an unknown format, or incomplete.
    """
    path = folder / "manifest.json"
    try:
        raw = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path}: missing; a model without its manifest is refused") from None
    except (OSError, ValueError) as e:
        raise ModelError(f"{path}: unreadable ({e}); {_RETRAIN}") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        found = raw.get("format") if isinstance(raw, dict) else None
        raise ModelError(f"{path}: format {found!r}, this version reads {FORMAT}; {_RETRAIN}")
    try:
        if tuple(raw["labels"]) != LABELS:
            raise ModelError(f"{path}: its labels do not fit this version's kinds; {_RETRAIN}")
        return Manifest(
            version=raw["version"],
            files=raw["files"],
            ruleset=raw["ruleset"],
            thresholds=raw["thresholds"],
            probe=raw["probe"],
            raw=raw,
        )
    except (KeyError, TypeError) as e:
        raise ModelError(f"{path}: incomplete: {e}; {_RETRAIN}") from None


def read_verified(folder: Path, manifest: Manifest, name: str) -> bytes:
    """Give the bytes of one artefact file after its size and SHA-256 were found right."""
    path = folder / name
    entry = manifest.files.get(name)
    if entry is None:
        raise ModelError(f"{path}: not named in manifest.json; refused")
    try:
        raw = path.read_bytes()
    except OSError as e:
        raise ModelError(f"{path}: {e.strerror}; {_RETRAIN}") from None
    if len(raw) != entry["bytes"]:
        raise ModelError(
            f"{path}: {len(raw)} bytes, the manifest says {entry['bytes']}; refused; {_RETRAIN}"
        )
    if hashlib.sha256(raw).hexdigest() != entry["sha256"]:
        raise ModelError(f"{path}: SHA-256 does not match the manifest; refused; {_RETRAIN}")
    return raw


@dataclass(frozen=True, slots=True)
class Scored:
    """What the model says of one document."""

    categories: Sequence[Mapping[str, float]]  # per sentence: calibrated probabilities
    kinds: Sequence[Mapping[str, float]]  # per sentence: probability of each kind
    document: Mapping[str, float]  # probability of at least one flag, by category


class Model:
    """A linear model over named features; see :mod:`hypecheck.features`."""

    def __init__(self, data: Mapping[str, Any], manifest: Manifest) -> None:
        import numpy as np

        self._np = np
        self.manifest = manifest
        self.version = manifest.version
        self.thresholds = manifest.thresholds
        self.rules: frozenset[str] = frozenset(data["rules"])
        names = data["vocabulary"].split("\n")
        weights = np.asarray(data["weights"], dtype=np.float32)
        if weights.shape != (len(names), len(LABELS)):
            raise ModelError(f"model {self.version}: weights do not fit its vocabulary; {_RETRAIN}")
        # The last row is zero: what an unknown feature points to.
        self._weights = np.vstack([weights, np.zeros((1, len(LABELS)), dtype=np.float32)])
        self._unknown = len(names)
        self._index: dict[str, int] = dict(zip(names, range(len(names)), strict=True))
        self._bias = np.asarray(data["bias"], dtype=np.float32)
        self._calibration = np.asarray(data["calibration"], dtype=np.float64)  # (labels, 2)
        self._document = {c: tuple(v) for c, v in data["document"].items()}
        self._chars = lru_cache(maxsize=65536)(self._char_row)

    def score(
        self,
        text: str,
        sentences: Sequence[Sentence],
        candidates: Sequence[Candidate],
        silenced: Sequence[str | None],
    ) -> Scored:
        """Score every sentence of a document; arguments as in :func:`features.extract`."""
        if not sentences:
            return Scored((), (), dict.fromkeys(CATEGORIES, 0.0))
        rows, document = features.extract(text, sentences, candidates, silenced)
        raw = self._margins(rows, document)
        p = self._calibrate(raw)
        n = len(CATEGORIES)
        categories = [dict(zip(CATEGORIES, map(float, r[:n]), strict=True)) for r in p]
        kinds = [dict(zip(LABELS[n:], map(float, r[n:]), strict=True)) for r in p]
        return Scored(categories, kinds, self._document_scores(p[:, :n]))

    def _margins(self, rows: Sequence[Features], document: Sequence[str]) -> NDArray[np.float32]:
        """Give the uncalibrated margins, shape (n_sentences, n_labels)."""
        np = self._np
        shared = self._bias + self._group("document", document)
        out = np.empty((len(rows), len(LABELS)), dtype=np.float32)
        for i, f in enumerate(rows):
            out[i] = (
                shared
                + self._group("words", f.words)
                + self._group("before", f.before)
                + self._group("after", f.after)
                + self._group("signals", f.signals)
                + self._char_group(f.tokens)
            )
        return out

    def _group(self, group: str, names: Sequence[str]) -> NDArray[np.float32]:
        index, unknown, prefix = self._index, self._unknown, _PREFIX[group]
        rows = [index.get(prefix + n, unknown) for n in names]
        scale = SCALE[group] / math.sqrt(max(len(rows), 1))
        total: NDArray[np.float32] = self._weights[rows].sum(axis=0) * self._np.float32(scale)
        return total

    def _char_row(self, token: str) -> tuple[NDArray[np.float32], int]:
        grams = features.char_ngrams(token)
        index, unknown = self._index, self._unknown
        rows = [index.get("c" + g, unknown) for g in grams]
        return self._weights[rows].sum(axis=0), len(grams)

    def _char_group(self, tokens: Sequence[str]) -> NDArray[np.float32]:
        np = self._np
        parts = [self._chars(t) for t in dict.fromkeys(tokens)]
        total = np.zeros(len(LABELS), dtype=np.float32)
        size = 0
        for row, n in parts:
            total += row
            size += n
        return total * np.float32(SCALE["chars"] / math.sqrt(max(size, 1)))

    def _calibrate(self, margins: NDArray[np.float32]) -> NDArray[np.float64]:
        np = self._np
        z = margins.astype(np.float64) * self._calibration[:, 0] + self._calibration[:, 1]
        p: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(z, -40, 40)))
        return p

    def _document_scores(self, p: NDArray[np.float64]) -> dict[str, float]:
        out = {}
        for k, c in enumerate(CATEGORIES):
            a, b, bias = self._document[c]
            top = sorted((float(x) for x in p[:, k]), reverse=True)
            z = a * _logit(top[0]) + b * math.log1p(sum(top[1:])) + bias
            out[c] = 1.0 / (1.0 + math.exp(-z)) if z > -40 else 0.0
        return out

    def probe(self, text: str) -> dict[str, float]:
        """Score one ASCII text as a single sentence on its own: what the manifest's probe holds."""
        rows, document = features.extract(text, (Sentence(0, len(text), 0),), (), ())
        p = self._calibrate(self._margins(rows, document))[0]
        return {c: round(float(p[k]), 9) for k, c in enumerate(CATEGORIES)}

    def _self_check(self) -> None:
        """Compare the probe sentences with the manifest.

        Raises:
            ModelError: a probability differs by more than 1e-6.
        """
        for entry in self.manifest.probe:
            got = self.probe(entry["text"])
            for c, want in entry["scores"].items():
                if abs(got[c] - want) > 1e-6:
                    raise ModelError(
                        f"model {self.version}: self-check failed for {c}"
                        f" ({got[c]:.6f}, expected {want:.6f}); {_RETRAIN}"
                    )

    def attribute(self, body: str, label: str) -> list[float]:
        """Give the weight that each white-space word of ``body`` carries towards ``label``.

        Only the sentence's own words and characters count, neighbours and document do not.
        """
        k = LABELS.index(label)
        words = body.split()
        spans: list[tuple[int, int]] = []
        flat: list[str] = []
        for w in words:
            t = features.tokenize(w)
            spans.append((len(flat), len(flat) + len(t)))
            flat += t
        weight = [0.0] * len(flat)
        column = self._weights[:, k]
        index, unknown = self._index, self._unknown
        grams = max(len(features.ngrams(flat, 3)), 1)
        scale = SCALE["words"] / math.sqrt(grams)
        for n in (1, 2, 3):
            for i in range(len(flat) - n + 1):
                row = index.get("w" + " ".join(flat[i : i + n]), unknown)
                for j in range(i, i + n):
                    weight[j] += float(column[row]) * scale / n
        size = max(sum(self._chars(t)[1] for t in set(flat)), 1)
        for j, t in enumerate(flat):
            weight[j] += float(self._chars(t)[0][k]) * SCALE["chars"] / math.sqrt(size)
        return [sum(weight[a:b]) for a, b in spans]


def _logit(p: float) -> float:
    p = min(max(p, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))


@lru_cache(maxsize=4)
def load(name: str) -> Model:
    """Load a model by version or path, once; the caller checks the probe.

    Raises:
        ModelError: missing, damaged, tampered with, or of another format.
    """
    import io

    import joblib

    folder = find(name)
    manifest = read_manifest(folder)
    raw = read_verified(folder, manifest, "model.joblib")
    try:
        data = joblib.load(io.BytesIO(raw))
        model = Model(data, manifest)
        model._self_check()
        return model
    except ModelError:
        raise
    except Exception as e:
        raise ModelError(f"{folder / 'model.joblib'}: cannot be read ({e}); {_RETRAIN}") from e
