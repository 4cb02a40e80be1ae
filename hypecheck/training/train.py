"""Rebuild the rules' scores and the model from the labelled corpus.

Fitted on train; weighing, calibration, gate and thresholds on dev; the test split is only measured,
by :mod:`hypecheck.training.evaluate`, through the same ``Checker`` as users run.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import scipy.sparse
import sklearn
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from hypecheck import corpus, features, ruleset
from hypecheck.artefact import FORMAT
from hypecheck.checker import VERSION, Checker
from hypecheck.corpus import LabelledDocument
from hypecheck.features import GROUPS, SCALE
from hypecheck.model import load
from hypecheck.training.evaluate import evaluate
from hypecheck.training.examples import Example, build
from hypecheck.training.splits import split_of
from hypecheck.types import CATEGORIES, CATEGORY_OF, LABELS, SENSITIVITIES, Sensitivity

# A feature must stand in this many training sentences.
MIN_COUNT = {"words": 2, "chars": 3, "before": 3, "after": 3, "document": 3, "signals": 2}
C = 10.0  # inverse regularisation; chosen on dev (models/README.md)
KEEP = 140_000  # features that ship: those with the largest weights
LOST = 0.005  # of what the broad setting flags, the share that the gate may keep back
# Precision to reach on dev; a little above what is promised, as dev is small.
PRECISION: dict[Sensitivity, float] = {"strict": 0.955, "balanced": 0.87, "broad": 0.0}
_SUFFIX = {"fast": "/fast", "default": ""}
PROBE = (
    "Our stem cells cure arthritis, guaranteed.",
    "Only 3 spots left: book before Friday and get 50% off!",
    "95% of our patients are pain-free after one visit.",
    "Be wary of clinics that promise a guaranteed cure.",
    "The clinic is open from nine to five on weekdays.",
)
_PREFIX = {"words": "w", "chars": "c", "before": "<", "after": ">", "document": "d", "signals": "s"}
Matrix = Any  # scipy.sparse.csr_matrix; SciPy ships no stubs
Log = Callable[[str], None]


def score_rules(examples: Sequence[Example], checker: Checker) -> dict[str, float]:
    """Measure each rule: the share of its unsilenced hits whose sentence carries its category.

    Smoothed towards its kind's mean with five pseudo-hits, so that rare rules stay modest.
    """
    hits: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for e in examples:
        for c, guard in zip(e.candidates, e.silenced, strict=True):
            s = e.sentences[c.sentence]
            if guard is None and not s.unsure and c.rule:
                hits[c.rule] += 1
                right[c.rule] += CATEGORY_OF[c.kind] in s.categories
    by_kind: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for r in checker.ruleset.rules:
        by_kind[r.kind][0] += hits[r.id]
        by_kind[r.kind][1] += right[r.id]
    out = {}
    for r in checker.ruleset.rules:
        n, k = by_kind[r.kind]
        prior = (k + 3) / (n + 5)
        out[r.id] = round((right[r.id] + 5 * prior) / (hits[r.id] + 5), 3)
    return out


def write_scores(scores: dict[str, float], path: Path) -> None:
    """Write ``rules/scores.toml``."""
    lines = [
        "# Written by `hypecheck train`: the share of each rule's hits, after the guards, that",
        "# careful readers flagged in its category (training split, smoothed).",
        "",
        "[precision]",
        *(f'"{k}" = {v}' for k, v in sorted(scores.items())),
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _named(e: Example) -> Iterator[dict[str, list[str]]]:
    for f in e.rows:
        chars = [g for t in dict.fromkeys(f.tokens) for g in features.char_ngrams(t)]
        yield {
            "words": list(f.words),
            "chars": chars,
            "before": list(f.before),
            "after": list(f.after),
            "document": e.words,
            "signals": list(f.signals),
        }


def vocabulary(examples: Sequence[Example]) -> dict[str, int]:
    """Give the features that are frequent enough, each with its column."""
    counts: dict[str, Counter[str]] = {g: Counter() for g in GROUPS}
    for e in examples:
        for named in _named(e):
            for group, names in named.items():
                counts[group].update(set(names) if group == "chars" else names)
    names = [
        _PREFIX[g] + n for g in GROUPS for n, k in sorted(counts[g].items()) if k >= MIN_COUNT[g]
    ]
    return {n: i for i, n in enumerate(names)}


def matrix(examples: Sequence[Example], index: dict[str, int]) -> Matrix:
    """Give the features, (n_sentences, n_features) CSR float32, valued as at run time."""
    columns: list[int] = []
    values: list[float] = []
    ends = [0]
    for e in examples:
        for named in _named(e):
            for group, names in named.items():
                value = SCALE[group] / np.sqrt(max(len(names), 1))
                prefix = _PREFIX[group]
                for n in names:
                    column = index.get(prefix + n)
                    if column is not None:
                        columns.append(column)
                        values.append(value)
            ends.append(len(columns))
    x = scipy.sparse.csr_matrix(
        (np.asarray(values, np.float32), np.asarray(columns, np.int32), np.asarray(ends)),
        shape=(len(ends) - 1, len(index)),
    )
    x.sum_duplicates()
    return x


def targets(examples: Sequence[Example]) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Give the labels, (n_sentences, n_labels) in {0, 1}, and which sentences count."""
    y = [
        [label in s.categories or label in s.kinds for label in LABELS]
        for e in examples
        for s in e.sentences
    ]
    sure = [not s.unsure for e in examples for s in e.sentences]
    return np.asarray(y, np.int8), np.asarray(sure)


def fit(x: Matrix, y: NDArray[np.int8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit one logistic regression a label; weights (n_features, n_labels) and biases."""
    # Rare features are shrunk more than frequent ones: idf as in TF-IDF, folded into the weights.
    count = np.asarray((x > 0).sum(axis=0)).ravel()
    idf = np.log((x.shape[0] + 1) / (count + 1)) + 1
    idf /= idf.mean()
    scaled = (x @ scipy.sparse.diags(idf.astype(np.float32))).tocsr()
    scaled.sort_indices()

    def one(k: int) -> tuple[NDArray[np.float64], float]:
        m = LogisticRegression(C=C, solver="liblinear", random_state=0, tol=1e-3)
        m.fit(scaled, y[:, k])
        return m.coef_[0] * idf, float(m.intercept_[0])

    fitted = joblib.Parallel(n_jobs=2, prefer="threads")(
        joblib.delayed(one)(k) for k in range(len(LABELS))
    )
    return np.stack([w for w, _ in fitted], axis=1), np.asarray([b for _, b in fitted])


def stack(
    linear: NDArray[np.float64], deep: NDArray[np.float64] | None, y: NDArray[np.int8]
) -> NDArray[np.float64]:
    """Weigh and calibrate margins on dev by a logistic regression for each label (Platt).

    Returns:
        (n_labels, 3): weight of the linear margin, of the transformer's, offset.
    """
    out = np.zeros((y.shape[1], 3))
    for k in range(y.shape[1]):
        if y[:, k].sum() < 5:
            out[k] = (0.5, 0.5, 0.0) if deep is not None else (1.0, 0.0, 0.0)
            continue
        parts = [linear[:, k]] if deep is None else [linear[:, k], deep[:, k]]
        m = LogisticRegression(C=1.0).fit(np.stack(parts, axis=1), y[:, k])
        out[k] = (m.coef_[0, 0], m.coef_[0, 1] if deep is not None else 0.0, m.intercept_[0])
    return out


def gate(fast: NDArray[np.float64], full: NDArray[np.float64], bar: Sequence[float]) -> list[float]:
    """Give, by category, the fast tier's probability below which a sentence counts as clear.

    Of the sentences that both halves together would flag at the broad setting at most
    :data:`LOST` may lie below it.
    """
    out = []
    for k in range(len(CATEGORIES)):
        flagged = fast[full[:, k] >= bar[k], k]
        out.append(float(np.quantile(flagged, LOST)) if len(flagged) else 0.0)
    return out


def threshold(p: NDArray[np.float64], y: NDArray[np.int8], precision: float) -> float:
    """Give the threshold with the best F1 among those that reach ``precision``.

    Precision is read off a window that ends at the threshold, so that one lucky run at the top
    does not count; without any such threshold the one of highest precision is taken.
    """
    order = np.argsort(-p, kind="stable")
    hit = np.cumsum(y[order])
    n = np.arange(1, len(order) + 1)
    prec = hit / n
    f1 = 2 * hit / (n + y.sum())
    enough = n >= 20
    good = np.flatnonzero((prec >= precision) & enough)
    if not len(good):
        best = int(np.argmax(np.where(enough, prec, 0)))
    else:
        best = int(good[np.argmax(f1[good])])
    return float(round(p[order[best]], 4))


def documents_fit(
    examples: Sequence[Example], p: NDArray[np.float64]
) -> dict[str, tuple[float, float, float]]:
    """Fit each category's document score on dev: top sentence and the rest to "any flag"."""
    out: dict[str, tuple[float, float, float]] = {}
    for k, c in enumerate(CATEGORIES):
        rows, flags = [], []
        position = 0
        for e in examples:
            part = np.sort(p[position : position + len(e.sentences), k])[::-1]
            position += len(e.sentences)
            top = min(max(float(part[0]), 1e-6), 1 - 1e-6)
            rows.append((np.log(top / (1 - top)), np.log1p(part[1:].sum())))
            flags.append(any(c in s.categories for s in e.sentences))
        m = LogisticRegression(C=10.0).fit(np.asarray(rows), np.asarray(flags))
        out[c] = (float(m.coef_[0, 0]), float(m.coef_[0, 1]), float(m.intercept_[0]))
    return out


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
        network: a fine-tuned network saved before, taken instead of fine-tuning again.
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
    if base is not None:
        from hypecheck.training import deep, export

        net, pieces = deep.network(parts["train"], base, network, log)
        artefact["deep"] = export.heads(net, pieces)
        files["deep.onnx"] = export.to_onnx(net)
        z_deep = _deep_margins(artefact["deep"], files["deep.onnx"], parts["dev"])
        log(f"transformer: {len(files['deep.onnx'])} bytes, {len(pieces)} word pieces")
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
    save()
    return manifest
