"""The phrase that carries a flag which only the model raises: clauses weighed by attribution."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypecheck.types import Sentence

if TYPE_CHECKING:
    from hypecheck.model import Model

# Where a claim may begin or end: punctuation, and the conjunctions that join clauses.
_BORDER = re.compile(
    r"[,;:()^|]+\s*|\s-+\s|\.\.\.\s*|[.!?]+\s+|\s(?=(?:and|but|so|because|while|which|or|yet|then)\s)"
)
_EDGE = re.compile(r"^(?:(?:and|but|so|because|while|or|yet|then|that)\s+)+", re.I)


def evidence(text: str, sentence: Sentence, label: str, model: Model) -> tuple[int, int]:
    """Give the span ``[start, end)`` in ``text`` of the clauses that carry ``label``.

    Clauses are taken together from the heaviest outwards as long as they add weight.
    """
    body = text[sentence.start : sentence.end]
    clauses = _clauses(body)
    if len(clauses) > 1:
        weights = [0.0] * len(clauses)
        position = 0
        k = 0
        for word, weight in zip(body.split(), model.attribute(body, label), strict=True):
            position = body.index(word, position)
            while k + 1 < len(clauses) and position >= clauses[k + 1][0]:
                k += 1
            weights[k] += weight
            position += len(word)
        best = max(range(len(clauses)), key=lambda j: weights[j])
        a = b = best
        bar = max(0.25 * weights[best], 0.0)
        while a > 0 and weights[a - 1] > bar:
            a -= 1
        while b + 1 < len(clauses) and weights[b + 1] > bar:
            b += 1
        start, end = clauses[a][0], clauses[b][1]
    else:
        start, end = 0, len(body)
    piece = body[start:end]
    start += len(piece) - len(piece.lstrip(" \"'^*-(,;:"))
    lead = _EDGE.match(body[start:end])
    if lead and lead.end() < end - start:
        start += lead.end()
    end = start + len(body[start:end].rstrip(" \"'^*-),;:.!?"))
    if end <= start:
        return sentence.start, sentence.end
    return sentence.start + start, sentence.start + end


def _clauses(body: str) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    last = 0
    for m in _BORDER.finditer(body):
        if len(body[last : m.start()].split()) >= 2:
            out.append((last, m.start()))
            last = m.end()
    if len(body[last:].split()) >= 2 or not out:
        out.append((last, len(body)))
    elif out:
        out[-1] = (out[-1][0], len(body))
    return out
