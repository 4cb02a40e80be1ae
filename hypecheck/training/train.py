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
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from numpy.typing import NDArray

from hypecheck import corpus, ruleset
from hypecheck.artefact import FORMAT, read_manifest, read_verified
from hypecheck.checker import VERSION, Checker
from hypecheck.corpus import LabelledDocument
from hypecheck.errors import HypeCheckError
from hypecheck.model import Request, load
from hypecheck.training import behaviour, card, rule_examples
from hypecheck.training.calibrate import documents_fit, gate, stack, threshold
from hypecheck.training.evaluate import evaluate
from hypecheck.training.examples import build
from hypecheck.training.linear import fit, matrix, targets, vocabulary
from hypecheck.training.rule_scores import score_rules, write_scores
from hypecheck.training.splits import split_of
from hypecheck.types import CATEGORIES, LABELS, SENSITIVITIES, Sensitivity

KEEP = 140_000  # features that ship: those with the largest weights
# Precision to reach on dev; a little above what is promised, as dev is small.
PRECISION: dict[Sensitivity, float] = {"strict": 0.955, "balanced": 0.885, "broad": 0.0}
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
    z_deep = None
    if base is not None or network is not None:
        artefact["deep"], files["deep.onnx"] = _transformer(parts["train"], base, network, log)
        z_deep = _deep_margins(artefact["deep"], files["deep.onnx"], parts["dev"])
    artefact["tiers"] = {}
    thresholds: dict[str, Any] = {}
    chances = {}
    for tier, extra in (("fast", None), ("default", z_deep)):
        weighing = stack(z[sure_dev], None if extra is None else extra[sure_dev], y_dev[sure_dev])
        margin = z * weighing[:, 0] + weighing[:, 2]
        if extra is not None:
            margin = margin + extra * weighing[:, 1]
        p = chances[tier] = 1 / (1 + np.exp(-margin))
        thresholds[tier] = {
            s: {
                c: threshold(p[sure_dev, k], y_dev[sure_dev, k], PRECISION[s])
                for k, c in enumerate(CATEGORIES)
            }
            for s in SENSITIVITIES
        }
        artefact["tiers"][tier] = {"stack": weighing, "document": documents_fit(held, p[:, :n])}
        log(f"{tier}: thresholds {thresholds[tier]}")
    if z_deep is not None:
        bar = [thresholds["default"]["broad"][c] for c in CATEGORIES]
        artefact["gate"] = gate(chances["fast"], chances["default"], bar)
        open_ = (chances["fast"][:, :n] >= artefact["gate"]).any(axis=1).mean()
        log(f"gate {artefact['gate']}: {open_:.0%} of the sentences are left open")
    return _write(artefact, files, thresholds, data, out, checker, parts, log)


def _transformer(
    documents: Sequence[LabelledDocument], base: Path | None, network: Path | None, log: Log
) -> tuple[dict[str, Any], bytes]:
    """Give the heads and the ONNX graph: fine-tuned now, or taken over."""
    if network is not None and network.is_dir():
        old = read_manifest(network)
        data = joblib.load(io.BytesIO(read_verified(network, old, "model.joblib")))
        log(f"transformer: taken from {network}")
        return data["deep"], read_verified(network, old, "deep.onnx")
    if base is None:
        raise HypeCheckError("PyTorch weights need the base weights beside them (--base)")
    from hypecheck.training import deep, export

    net, pieces = deep.network(documents, base, network, log)
    graph = export.to_onnx(net)
    log(f"transformer: {len(graph)} bytes, {len(pieces)} word pieces")
    return export.heads(net, pieces), graph


def _deep_margins(
    heads: dict[str, Any], graph: bytes, documents: Sequence[LabelledDocument]
) -> NDArray[np.float64]:
    """Read every sentence with the quantised network, as at run time; (n_sentences, n_labels)."""
    from hypecheck.deep import Deep
    from hypecheck.normalise import normalise
    from hypecheck.training.splits import units

    jobs = []
    for d in units(documents):
        sentences = [normalise(s.text).text for s in d.sentences]
        jobs.append((sentences, [True] * len(sentences)))
    readings = Deep(heads, graph).read(jobs)
    return np.stack([r[i].logits for r in readings for i in sorted(r)]).astype(np.float64)


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
