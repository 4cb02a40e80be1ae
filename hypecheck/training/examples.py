"""Labelled documents to training rows, read by the same scan and guards as at run time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hypecheck import features, guards
from hypecheck.checker import Checker
from hypecheck.corpus import LabelledDocument, LabelledSentence
from hypecheck.features import Features
from hypecheck.normalise import normalise
from hypecheck.training.splits import units
from hypecheck.types import Candidate, Sentence


@dataclass(frozen=True, slots=True)
class Example:
    """One document's sentences, what rules and guards said of them, and their features."""

    document: LabelledDocument
    sentences: tuple[LabelledSentence, ...]
    text: str  # normalised
    spans: tuple[Sentence, ...]  # in ``text``, one a labelled sentence
    candidates: tuple[Candidate, ...]
    silenced: tuple[str | None, ...]
    rows: list[Features]
    words: list[str]  # of the whole document


def build(documents: Iterable[LabelledDocument], checker: Checker) -> list[Example]:
    """Scan, judge and featurise every document; a labelled line is a sentence."""
    out = []
    unless = {r.id: r.unless for r in checker.ruleset.rules}
    for d in units(documents):
        parts = [normalise(s.text, checker.ruleset.evasions).text or "^" for s in d.sentences]
        text = "\n".join(parts)
        spans: list[Sentence] = []
        position = 0
        for i, p in enumerate(parts):
            spans.append(Sentence(position, position + len(p), i))
            position += len(p) + 1
        found, _ = checker.scan(text, spans)
        verdicts = guards.judge(text, spans, found, [unless[c.rule or ""] for c in found])
        silenced = [v.guard if v else None for v in verdicts]
        rows, words = features.extract(text, spans, found, silenced)
        out.append(
            Example(d, d.sentences, text, tuple(spans), tuple(found), tuple(silenced), rows, words)
        )
    return out
