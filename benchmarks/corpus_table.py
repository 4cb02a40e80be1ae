"""Print the corpus in figures: what data/README.md quotes.

python benchmarks/corpus_table.py
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hypecheck import corpus
from hypecheck.training.splits import split_of
from hypecheck.types import KINDS

CORPUS = Path(__file__).parent.parent / "data" / "corpus"


def main() -> None:
    """Print a table by file, then by split and by kind."""
    documents = corpus.read([CORPUS])
    print("| file | documents | wholly clean | sentences | flagged | unsure |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    groups: dict[str, list[corpus.LabelledDocument]] = {}
    for d in documents:
        groups.setdefault(d.source, []).append(d)
    for name, part in [*sorted(groups.items()), ("all", documents)]:
        sentences = [s for d in part for s in d.sentences]
        clean = sum(not any(s.flags or s.unsure for s in d.sentences) for d in part)
        flagged = sum(bool(s.flags) for s in sentences)
        unsure = sum(s.unsure for s in sentences)
        print(
            f"| `{name}` | {len(part):,} | {clean:,} | {len(sentences):,} | {flagged:,}"
            f" ({flagged / len(sentences):.0%}) | {unsure} |"
        )
    print("\n| split | documents | sentences |\n| --- | ---: | ---: |")
    for split in ("train", "dev", "test"):
        part = [d for d in documents if split_of(d) == split]
        print(f"| {split} | {len(part):,} | {sum(len(d.sentences) for d in part):,} |")
    counts = Counter(k for d in documents for s in d.sentences for k in s.kinds)
    print("\n| category | kind | sentences |\n| --- | --- | ---: |")
    for category, kinds in KINDS.items():
        for kind in kinds:
            print(f"| {category} | {kind} | {counts[kind]:,} |")
    sites = {d.meta.get("site", "none") for d in documents}
    fields = {d.meta.get("field", "") for d in documents}
    forms = {d.meta.get("form", "") for d in documents}
    print(f"\n{len(sites):,} sites, {len(fields):,} fields, {len(forms):,} forms")


if __name__ == "__main__":
    main()
