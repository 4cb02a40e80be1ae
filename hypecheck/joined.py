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

    Attributes:
        text: the texts, joined.
        first: where each text begins in it, and its length.
        starts: of all sentences, in the joined text.
        ends: the same.
        edges: the first sentence of each text, and the number of sentences.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.text = "".join(texts).encode("ascii")
        self.first = array("q", [0, *accumulate(map(len, texts))])
        self.starts, self.ends, self.edges = array("q"), array("q"), array("i", [0])

    @classmethod
    def of(cls, texts: Sequence[str], sentences: Sequence[Sequence[Sentence]]) -> Joined:
        """Join ``texts``, of which each has its own sentences."""
        joined = cls(texts)
        for base, inside in zip(joined.first, sentences, strict=False):
            joined.starts.extend([base + s.start for s in inside])
            joined.ends.extend([base + s.end for s in inside])
            joined.edges.append(len(joined.starts))
        return joined

    def __len__(self) -> int:
        """Give the number of texts."""
        return len(self.edges) - 1

    @cached_property
    def low(self) -> bytes:
        """Give the joined text in lower case."""
        return self.text.lower()
