"""Compare two readings of the same texts, sentence by sentence: what data/README.md quotes.

    python benchmarks/agreement.py SECOND_READING.txt [data/corpus]

The second reading is in the guide's markup; its document ids are looked up in the corpus.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hypecheck import corpus
from hypecheck.types import CATEGORIES


def kappa(a: list[bool], b: list[bool]) -> float:
    """Give Cohen's kappa of two binary readings."""
    n = len(a)
    agree = sum(x == y for x, y in zip(a, b, strict=True)) / n
    chance = sum(a) * sum(b) / n**2 + (n - sum(a)) * (n - sum(b)) / n**2
    return (agree - chance) / (1 - chance)


def main(second: Path, first: Path) -> None:
    """Print agreement by category, and the sentences on which the readings differ."""
    known = {d.id: d for d in corpus.read([first])}
    pairs = []
    for d in corpus.read([second]):
        for s, t in zip(known[d.id].sentences, d.sentences, strict=True):
            if not (s.unsure or t.unsure):
                pairs.append((d.id, s, t))
    print(f"{len(pairs)} sentences that neither reader left open")
    scores = []
    for c in CATEGORIES:
        a = [c in s.categories for _, s, _ in pairs]
        b = [c in t.categories for _, _, t in pairs]
        both = sum(x and y for x, y in zip(a, b, strict=True))
        scores.append(2 * both / (sum(a) + sum(b)))
        print(f"{c}: {sum(a)} and {sum(b)} flagged, F1 {scores[-1]:.3f}, kappa {kappa(a, b):.3f}")
    print(f"macro F1 {sum(scores) / len(scores):.3f}")
    for name, s, t in pairs:
        if s.categories != t.categories:
            print(f"  {name} {sorted(s.kinds)} | {sorted(t.kinds)}: {s.text}")


if __name__ == "__main__":
    default = Path(__file__).parent.parent / "data" / "corpus"
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else default)
