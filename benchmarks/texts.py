"""Adverts and pages to time on: sentences of the labelled corpus, put together anew.

Deterministic: one seed, one list. Sentences are drawn without replacement, so that no text repeats
another's and a cache has nothing to gain but what a language repeats; about one sentence in four
is one that careful readers flagged. Words, numbers and typography are those of 100,000 sentences.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from hypecheck import corpus

CORPUS = Path(__file__).parent.parent / "data" / "corpus"
FLAGGED = 0.25  # share of the sentences
AD, PAGE = 70, 2000  # words


class Texts:
    """Draws texts from the corpus.

    Args:
        seed: the same seed draws the same texts.
    """

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        documents = sorted(corpus.read([CORPUS]), key=lambda d: d.id)
        sentences = list(chain.from_iterable(d.sentences for d in documents))
        self._flagged = self._endless(sorted({s.text for s in sentences if s.flags}))
        self._plain = self._endless(sorted({s.text for s in sentences if not s.flags}))

    def _endless(self, pool: list[str]) -> Iterator[str]:
        while True:
            self._random.shuffle(pool)
            yield from pool

    def _sentence(self) -> str:
        return next(self._flagged if self._random.random() < FLAGGED else self._plain)

    def text(self, words: int) -> str:
        """Give a text of about so many words, in paragraphs of one to five sentences."""
        out: list[str] = []
        size = 0
        left = self._random.randint(1, 5)
        while size < words:
            s = self._sentence()
            size += len(s.split())
            left -= 1
            out += [s, " " if left else "\n\n"]
            left = left or self._random.randint(1, 5)
        return "".join(out).strip()

    def ads(self, n: int) -> list[str]:
        """Give adverts of about 70 words."""
        return [self.text(AD) for _ in range(n)]

    def pages(self, n: int) -> list[str]:
        """Give pages of about 2,000 words."""
        return [self.text(PAGE) for _ in range(n)]
