"""Normalised texts one behind the other, and their sentences: as the compiled core reads them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

from hypecheck.types import Sentence


class Joined:
    """Some texts and their sentences.

    Args:
        texts: normalised texts.
        starts: of all sentences, in the joined text.
        ends: the same.
        edges: the first sentence of each text, and the number of sentences.

    Attributes:
        text: the texts, joined.
        first: where each text begins in it, and its length.
    """

    def __init__(
        self, texts: Sequence[str], starts: array[int], ends: array[int], edges: array[int]
    ) -> None:
        self.text = "".join(texts).encode("ascii")
        self.first = first_of(texts)
        self.starts, self.ends, self.edges = starts, ends, edges

    @classmethod
    def of(cls, texts: Sequence[str], sentences: Sequence[Sequence[Sentence]]) -> Joined:
        """Join ``texts``, of which each has its own sentences."""
        starts, ends, edges = array("q"), array("q"), array("i", [0])
        for base, inside in zip(first_of(texts), sentences, strict=False):
            starts.extend([base + s.start for s in inside])
            ends.extend([base + s.end for s in inside])
            edges.append(len(starts))
        return cls(texts, starts, ends, edges)

    def __len__(self) -> int:
        """Give the number of texts."""
        return len(self.edges) - 1

    @cached_property
    def low(self) -> bytes:
        """Give the joined text in lower case."""
        return self.text.lower()


def first_of(texts: Sequence[str]) -> array[int]:
    """Give where each text begins if they are joined, and where the last one ends."""
    return array("q", [0, *accumulate(map(len, texts))])
