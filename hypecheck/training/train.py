"""Rebuild the rules' scores and the model from the labelled corpus.

Fitted on train; weighing, calibration, gate and thresholds on dev; the test split is only measured,
by :mod:`hypecheck.training.evaluate`, through the same ``Checker`` as users run.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from numpy.typing import NDArray

from hypecheck import corpus, ruleset
from hypecheck.artefact import FORMAT, read_manifest, read_verified
from hypecheck.checker import VERSION, Checker
from hypecheck.conv import Conv
from hypecheck.corpus import LabelledDocument
from hypecheck.deep import Deep
from hypecheck.errors import HypeCheckError
from hypecheck.model import Request, load
from hypecheck.normalise import normalise
from hypecheck.training import behaviour, card, rule_examples
from hypecheck.training.calibrate import chances, documents_fit, gate, stack, threshold
from hypecheck.training.evaluate import evaluate
from hypecheck.training.examples import build
from hypecheck.training.linear import fit, matrix, targets, vocabulary
from hypecheck.training.rule_scores import score_rules, write_scores
from hypecheck.training.splits import split_of, units
from hypecheck.types import CATEGORIES, LABELS, SENSITIVITIES, Sensitivity
from hypecheck.wordpiece import Pieces, WordPieces

KEEP = 140_000  # features that ship: those with the largest weights
# Precision to reach on dev; a little above what is promised, as dev is small.
# The fast tier is for a first look at very many texts: it trades some precision for recall.
PRECISION: dict[str, dict[Sensitivity, float]] = {
    "default": {"strict": 0.955, "balanced": 0.885, "broad": 0.0},
    "fast": {"strict": 0.955, "balanced": 0.85, "broad": 0.0},
}
PROBE = (
    "Our stem cells cure arthritis, guaranteed.",
    "Only 3 spots left: book before Friday and get 50% off!",
    "95% of our patients are pain-free after one visit.",
    "Be wary of clinics that promise a guaranteed cure.",
    "The clinic is open from nine to five on weekdays.",
)
_SUFFIX = {"fast": "/fast", "default": ""}
Log = Callable[[str], None]


def corpus_hash(paths: Sequence[Path]) -> str:
    """Give the SHA-256 over the labelled files, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(p for folder in paths for p in folder.glob("*.txt")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def train(
    data: Path,
    out: Path,
    log: Log,
    *,
    base: Path | None = None,
    network: Path | None = None,
    onward: bool = False,
    scores: bool = True,
) -> dict[str, Any]:
    """Rebuild everything from ``data`` into ``out``; give the manifest.

    Args:
        data: folder of labelled files in the guide's markup.
        out: the model's folder, ``models/<version>``; made if missing.
        log: gets one line a step.
        base: folder of the transformer's base weights; without it the linear half is built alone.
        network: taken instead of fine-tuning again: another model's folder, whose transformer is
            kept as it is, or a file of PyTorch weights (then ``base`` is needed too).
        onward: fine-tune the transformer of that folder further, on a corpus that has grown.
        scores: also rewrite the rules' measured scores.
    """
    documents = corpus.read([data])
    parts: dict[str, list[LabelledDocument]] = {"train": [], "dev": [], "test": []}
    for d in documents:
        parts[split_of(d)].append(d)
    log(f"{len(documents)} documents: " + ", ".join(f"{k} {len(v)}" for k, v in parts.items()))
    checker = Checker(model=None)
    fitting = build(parts["train"], checker)
    if scores:
        write_scores(score_rules(fitting, checker), ruleset.RULES / "scores.toml")
        ruleset.load.cache_clear()
        checker = Checker(model=None)
    fitting += build(rule_examples.documents(Checker("broad", model=None)), checker)
    held = build(parts["dev"], checker)
    index = vocabulary(fitting)
    x, (y, sure) = matrix(fitting, index), targets(fitting)
    log(f"linear: {len(LABELS)} labels, {int(sure.sum())} sentences, {x.shape[1]} features")
    weights, bias = fit(x[sure], y[sure])
    n = len(CATEGORIES)
    size = np.abs(weights[:, :n]).max(axis=1) + 0.3 * np.abs(weights[:, n:]).max(axis=1)
    keep = np.sort(np.argsort(-size, kind="stable")[:KEEP])
    names = list(index)
    weights = weights[keep].astype(np.float16)
    x_dev, (y_dev, sure_dev) = matrix(held, index)[:, keep], targets(held)
    z = x_dev @ weights.astype(np.float32) + bias
    artefact: dict[str, Any] = {
        "linear": {
            "vocabulary": "\n".join(names[i] for i in keep),
            "weights": weights,
            "bias": bias.astype(np.float32),
        },
        "rules": sorted(r.id for r in checker.ruleset.rules),
    }
    files: dict[str, bytes] = {}
    parts_of: dict[str, list[NDArray[Any]]] = {"fast": [z]}
    if base is not None or network is not None:
        made = _networks(parts["train"], base, network, onward, log)
        artefact |= made.arrays
        files["deep.onnx"] = made.graph
        parts_of["fast"].append(made.conv_margins(parts["dev"]))
        parts_of["default"] = [*parts_of["fast"], made.deep_margins(parts["dev"])]
    else:
        parts_of["default"] = parts_of["fast"]
    artefact["tiers"] = {}
    thresholds: dict[str, Any] = {}
    p_of = {}
    for tier, margins in parts_of.items():
        weighing = stack([m[sure_dev] for m in margins], y_dev[sure_dev])
        p = p_of[tier] = chances(margins, weighing)
        thresholds[tier] = {
            s: {
                c: threshold(p[sure_dev, k], y_dev[sure_dev, k], PRECISION[tier][s])
                for k, c in enumerate(CATEGORIES)
            }
            for s in SENSITIVITIES
        }
        artefact["tiers"][tier] = {"stack": weighing, "document": documents_fit(held, p[:, :n])}
        log(f"{tier}: thresholds {thresholds[tier]}")
    if files:
        bar = [thresholds["default"]["broad"][c] for c in CATEGORIES]
        artefact["gate"] = gate(p_of["fast"], p_of["default"], bar)
        open_ = (p_of["fast"][:, :n] >= artefact["gate"]).any(axis=1).mean()
        log(f"gate {artefact['gate']}: {open_:.0%} of the sentences are left open")
    return _write(artefact, files, thresholds, data, out, checker, parts, log)


@dataclass(frozen=True, slots=True)
class _Networks:
    """The transformer and the convolution distilled from it, as they ship."""

    arrays: dict[str, Any]  # "pieces", "deep", "conv"
    graph: bytes

    def _pieces(self, documents: Sequence[LabelledDocument]) -> list[list[Pieces]]:
        cut = WordPieces(self.arrays["pieces"]).cut
        return [cut([normalise(s.text).text for s in d.sentences]) for d in units(documents)]

    def deep_margins(self, documents: Sequence[LabelledDocument]) -> NDArray[np.float64]:
        """Read every sentence with the quantised network; (n_sentences, n_labels)."""
        deep = Deep(self.arrays["deep"], self.arrays["pieces"], self.graph)
        jobs = [(cut, [True] * len(cut)) for cut in self._pieces(documents)]
        readings, _ = deep.read(jobs)
        return np.stack([r[i].logits for r in readings for i in sorted(r)]).astype(np.float64)

    def conv_margins(self, documents: Sequence[LabelledDocument]) -> NDArray[np.float32]:
        """Read every sentence with the convolution; (n_sentences, n_labels)."""
        conv = Conv(self.arrays["conv"])
        return np.concatenate(
            [conv.margins([p.ids for p in cut]) for cut in self._pieces(documents)]
        )


def _networks(
    documents: Sequence[LabelledDocument],
    base: Path | None,
    network: Path | None,
    onward: bool,
    log: Log,
) -> _Networks:
    """Fine-tune the transformer, take it over or go on with it; then distil the convolution."""
    from hypecheck.training import conv, deep, export

    if network is not None and network.is_dir():
        old = read_manifest(network)
        data = joblib.load(io.BytesIO(read_verified(network, old, "model.joblib")))
        made = _Networks(
            {"pieces": data["pieces"], "deep": data["deep"]},
            read_verified(network, old, "deep.onnx"),
        )
        log(f"transformer: taken from {network}")
        if onward:
            net = export.restore(made.graph, data["deep"], len(data["pieces"]))
            net = deep.continued(net, data["pieces"], documents, log)
            made = _Networks(
                {"pieces": data["pieces"], "deep": export.heads(net)}, export.to_onnx(net)
            )
    elif base is None:
        raise HypeCheckError("PyTorch weights need the base weights beside them (--base)")
    else:
        net, pieces = deep.network(documents, base, network, log)
        made = _Networks({"pieces": pieces, "deep": export.heads(net)}, export.to_onnx(net))
    log(f"transformer: {len(made.graph)} bytes, {len(made.arrays['pieces'])} word pieces")
    opinions = 1 / (1 + np.exp(-made.deep_margins(documents)))
    embedding = export.embeddings(made.graph)
    arrays = conv.fit(documents, made.arrays["pieces"], embedding, opinions, log)
    return _Networks({**made.arrays, "conv": arrays}, made.graph)


def _write(
    artefact: dict[str, Any],
    files: dict[str, bytes],
    thresholds: dict[str, Any],
    data: Path,
    out: Path,
    checker: Checker,
    parts: dict[str, list[LabelledDocument]],
    log: Log,
) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    joblib.dump(artefact, buffer, compress=("zlib", 6))
    files = {"model.joblib": buffer.getvalue(), **files}
    for name, raw in files.items():
        (out / name).write_bytes(raw)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "version": out.name,
        "labels": list(LABELS),
        "files": {
            name: {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
            for name, raw in files.items()
        },
        "ruleset": checker.ruleset.hash,
        "thresholds": thresholds,
        "data": {
            "sha256": corpus_hash([data]),
            "documents": {k: len(v) for k, v in parts.items()},
            "sentences": {k: sum(len(d.sentences) for d in v) for k, v in parts.items()},
        },
        "made_with": {
            "hypecheck": VERSION,
            "python": platform.python_version(),
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
        },
        "probe": [],
    }
    path = out / "manifest.json"
    folder = str(out.resolve())

    def save() -> None:
        path.write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
        load.cache_clear()

    save()
    models = {tier: load(folder + suffix) for tier, suffix in _SUFFIX.items()}
    manifest["probe"] = [
        {"text": t, **{tier: m.probe(t) for tier, m in models.items()}} for t in PROBE
    ]
    save()
    for tier, suffix in _SUFFIX.items():
        for split in ("dev", "test"):
            result = evaluate(parts[split], Checker(model=folder + suffix))
            manifest.setdefault("metrics", {}).setdefault(tier, {})[split] = result.summary()
            log(f"{tier} tier, {split}\n{result.table()}\n")
    for sensitivity in ("strict", "broad"):
        result = evaluate(parts["test"], Checker(sensitivity, model=folder))
        manifest["metrics"]["default"][f"test_{sensitivity}"] = result.summary()
    save()
    pairs = data.parent / "behaviour.toml"
    outcomes = behaviour.run(behaviour.read(pairs), Checker(model=folder)) if pairs.exists() else []
    card.write(
        out / "card.md",
        manifest,
        _reliability(parts["test"], folder),
        outcomes,
        out.parent / "learning_curve.jsonl",
        out.parent / "notes.md",
    )
    return manifest


def _reliability(
    documents: Sequence[LabelledDocument], folder: str
) -> dict[str, tuple[float, list[tuple[float, float, int]]]]:
    """Score every sentence as at run time and compare with the labels."""
    model = load(folder)
    examples = build(documents, Checker(model=None))
    requests = [Request(e.text, e.spans, e.candidates, e.silenced) for e in examples]
    y, sure = targets(examples)
    scored = model.score(requests)
    out: dict[str, tuple[float, list[tuple[float, float, int]]]] = {}
    for k, c in enumerate(CATEGORIES):
        p = np.asarray([s[c] for r in scored for s in r.categories])
        out[c] = card.reliability(p[sure], y[sure, k])
    return out
