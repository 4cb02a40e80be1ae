"""Training, development and test stay apart: by site, and without near-duplicates across."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from hypecheck import corpus
from hypecheck.corpus import LabelledDocument
from hypecheck.training.splits import group_of, split_of

CORPUS = Path(__file__).parent.parent / "data" / "corpus"
# The disclaimer that the law prescribes word for word (21 CFR 101.93(c)).
PRESCRIBED = "these statements have not been evaluated by the food and drug administration"
LONG = 12  # words: shorter sentences ("Book your visit today.") do recur by chance


@pytest.fixture(scope="module")
def documents() -> list[LabelledDocument]:
    return corpus.read([CORPUS])


def test_a_site_stands_in_one_split_only(documents: list[LabelledDocument]) -> None:
    splits: dict[str, set[str]] = defaultdict(set)
    for d in documents:
        splits[group_of(d)].add(split_of(d))
    assert all(len(s) == 1 for s in splits.values())


def test_shares_are_about_eight_one_one(documents: list[LabelledDocument]) -> None:
    n = len(documents)
    for split, share in (("train", 0.8), ("dev", 0.1), ("test", 0.1)):
        assert abs(sum(split_of(d) == split for d in documents) / n - share) < 0.03


def test_no_long_sentence_recurs_across_splits(documents: list[LabelledDocument]) -> None:
    """Word 5-gram overlap (Jaccard) of 0.7 or more counts as the same sentence."""
    index: dict[str, list[tuple[str, frozenset[str], str]]] = defaultdict(list)
    recurring = []
    for d in documents:
        for s in d.sentences:
            words = re.findall(r"[a-z0-9']+", s.text.lower())
            if len(words) < LONG or " ".join(words).startswith(PRESCRIBED):
                continue
            grams = frozenset(" ".join(words[i : i + 5]) for i in range(len(words) - 4))
            seen: set[str] = set()
            for g in grams:
                for split, other, text in index[g]:
                    if split != split_of(d) and text not in seen:
                        seen.add(text)
                        if len(grams & other) / len(grams | other) >= 0.7:
                            recurring.append((text, s.text))
            for g in grams:
                index[g].append((split_of(d), grams, s.text))
    assert not recurring
