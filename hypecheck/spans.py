"""The phrase that carries a flag which only the model raises.

Where the transformer read the sentence, its tokens say which of them lie in the claim; otherwise
clauses are weighed by the linear half's attribution.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from hypecheck.types import CATEGORIES, Sentence

if TYPE_CHECKING:
    from hypecheck.deep import Reading
    from hypecheck.linear import Linear

# Where a claim may begin or end: punctuation, and the conjunctions that join clauses.
_BORDER = re.compile(
    r"[,;:()^|]+\s*|\s-+\s|\.\.\.\s*|[.!?]+\s+|\s(?=(?:and|but|so|because|while|which|or|yet|then)\s)"
)
_EDGE = re.compile(r"^(?:(?:and|but|so|because|while|or|yet|then|that)\s+)+", re.I)
# Chosen on dev (models/README.md): a token belongs to the claim from this share of the best
# token's probability on, and gaps of up to so many tokens are closed.
SHARE = 0.5
GAP = 4


def evidence(
    text: str, sentence: Sentence, category: str, linear: Linear, reading: Reading | None
) -> tuple[int, int]:
    """Give the span ``[start, end)`` in ``text`` that carries ``category``."""
    body = text[sentence.start : sentence.end]
    if reading is not None and len(reading.offsets):
        start, end = _from_tokens(reading, category)
        while start > 0 and body[start - 1].isalnum():
            start -= 1
        while end < len(body) and body[end].isalnum():
            end += 1
    else:
        start, end = _from_clauses(body, category, linear)
    piece = body[start:end]
    start += len(piece) - len(piece.lstrip(" \"'^*-(,;:"))
    lead = _EDGE.match(body[start:end])
    if lead and lead.end() < end - start:
        start += lead.end()
    end = start + len(body[start:end].rstrip(" \"'^*-),;:.!?"))
    if end <= start:
        return sentence.start, sentence.end
    return sentence.start + start, sentence.start + end


def _from_tokens(reading: Reading, category: str) -> tuple[int, int]:
    """Take the run of likely tokens that has the most weight."""
    logits = reading.tokens[:, CATEGORIES.index(category)].tolist()
    n = min(len(logits), len(reading.offsets))
    p = [_sigmoid(z) for z in logits[:n]]
    bar = SHARE * max(p)
    runs: list[tuple[float, int, int]] = []
    first = last = -1
    total = 0.0
    for i in range(n):
        if p[i] < bar:
            continue
        if first >= 0 and i - last > GAP:
            runs.append((total, first, last))
            first, total = -1, 0.0
        if first < 0:
            first = i
        last = i
        total += p[i]
    runs.append((total, first, last))
    _, a, b = max(runs, key=lambda r: r[0])
    return reading.offsets[a][0], reading.offsets[b][1]


def _sigmoid(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(min(z, 40.0), -40.0)))


def _from_clauses(body: str, category: str, linear: Linear) -> tuple[int, int]:
    """Take clauses together from the heaviest outwards as long as they add weight."""
    clauses = _clauses(body)
    if len(clauses) == 1:
        return 0, len(body)
    weights = [0.0] * len(clauses)
    position = 0
    k = 0
    for word, weight in zip(body.split(), linear.attribute(body, category), strict=True):
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
    return clauses[a][0], clauses[b][1]


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
