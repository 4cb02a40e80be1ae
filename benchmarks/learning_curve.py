"""Train on parts of the training documents and measure on dev: is more corpus worth writing?

    python benchmarks/learning_curve.py OUT.jsonl [BASE_WEIGHTS_FOLDER]

Writes one JSON line a share: macro F1 over the categories at the threshold that is best for each,
of the linear half and, with the base weights given, of the transformer alone.
The card shows ``models/learning_curve.jsonl``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hypecheck import corpus
from hypecheck.checker import Checker
from hypecheck.training.examples import build
from hypecheck.training.linear import fit, matrix, targets, vocabulary
from hypecheck.training.splits import split_of
from hypecheck.types import CATEGORIES

SHARES = (25, 50, 75, 100)
CORPUS = Path(__file__).parent.parent / "data" / "corpus"


def best_macro(z: NDArray[np.float64], y: NDArray[np.int8]) -> float:
    """Give the mean over categories of the best F1 that any threshold reaches."""
    out = []
    for k in range(len(CATEGORIES)):
        hit = np.cumsum(y[np.argsort(-z[:, k], kind="stable"), k])
        out.append((2 * hit / (np.arange(1, len(y) + 1) + y[:, k].sum())).max())
    return float(np.mean(out))


def part_of(name: str) -> int:
    """Give a document's place in the order of growth, 0 to 99."""
    return int(hashlib.sha256(("s" + name).encode()).hexdigest(), 16) % 100


def main(out: Path, base: Path | None) -> None:
    """Measure every share."""
    documents = corpus.read([CORPUS])
    train = [d for d in documents if split_of(d) == "train"]
    dev = [d for d in documents if split_of(d) == "dev"]
    checker = Checker(model=None)
    held = build(dev, checker)
    y_dev, sure = targets(held)
    lines = []
    for share in SHARES:
        part = [d for d in train if part_of(d.id) < share]
        examples = build(part, checker)
        index = vocabulary(examples)
        y, known = targets(examples)
        weights, bias = fit(matrix(examples, index)[known], y[known])
        z = matrix(held, index) @ weights + bias
        row = {
            "share": share / 100,
            "sentences": sum(len(d.sentences) for d in part),
            "fast": round(best_macro(z[sure], y_dev[sure]), 4),
        }
        if base is not None:
            row["deep"] = round(_transformer(part, dev, base), 4)
        lines.append(json.dumps(row))
        print(lines[-1], flush=True)
        out.write_text("\n".join(lines) + "\n", "utf-8")


def _transformer(
    train: list[corpus.LabelledDocument], dev: list[corpus.LabelledDocument], base: Path
) -> float:
    from hypecheck.training import deep
    from hypecheck.wordpiece import build_tokenizer

    net, vocabulary = deep.network(train, base, None, print)
    ready = deep.prepare(dev, build_tokenizer(vocabulary))
    z = deep.predict(net, ready, vocabulary, deep.device_of("cpu"))
    y, sure = deep.flat(ready)
    return best_macro(z[sure].astype(np.float64), y[sure].astype(np.int8))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
