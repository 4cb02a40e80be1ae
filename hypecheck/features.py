"""A sentence in its document to features: plain Python, the same code for training and running.

Five groups of binary features, each group scaled by 1/sqrt(its size), so that a sentence's score
is a sum over tokens and parts of it can be kept (a word's character n-grams, a document's words):

* ``words``: word 1-3-grams of the sentence; ``chars``: character 2-5-grams inside its words;
* ``before``, ``after``: word 1-2-grams of the neighbours;
* ``document``: the words of the whole text (its voice and field);
* ``signals``: what rules and guards said, position, punctuation, the document's voice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from hypecheck.types import CATEGORY_OF, Candidate, Sentence

GROUPS = ("words", "chars", "before", "after", "document", "signals")
# The weight of each group, chosen on the development split (models/README.md).
SCALE = {
    "words": 1.0,
    "chars": 1.0,
    "before": 0.5,
    "after": 0.5,
    "document": 0.7,
    "signals": 1.0,
}
_TOKEN = re.compile(r"[a-z0][a-z0']*|[%$!?^*:\"]")
_DIGITS = re.compile(r"[0-9]+")
SELLING = frozenset(["we", "our", "us", "you", "your", "book", "call", "today"])
REPORTING = frozenset(
    ["said", "says", "agency", "regulator", "study", "trial", "evidence", "patients", "researchers"]
)


@dataclass(frozen=True, slots=True)
class Features:
    """The features of one sentence, by group; ``document`` is shared by all its sentences."""

    words: Sequence[str]
    tokens: Sequence[str]  # of which the model takes the character n-grams
    before: Sequence[str]
    after: Sequence[str]
    signals: Sequence[str]


def tokenize(text: str) -> list[str]:
    """Give lower-case words (every number is ``0``) and the punctuation that carries tone."""
    return _TOKEN.findall(_DIGITS.sub("0", text.lower()))


@lru_cache(maxsize=65536)
def char_ngrams(token: str) -> tuple[str, ...]:
    """Give the distinct character 2-5-grams of one word, its ends marked by spaces."""
    padded = f" {token} "
    size = len(padded)
    return tuple(
        dict.fromkeys(padded[i : i + n] for n in (2, 3, 4, 5) for i in range(size - n + 1))
    )


def ngrams(tokens: Sequence[str], longest: int) -> list[str]:
    """Give the distinct word n-grams up to ``longest``, in order of first appearance."""
    out = dict.fromkeys(tokens)
    if longest > 1:
        out.update(dict.fromkeys(map(" ".join, pairwise(tokens))))
    if longest > 2:
        triples = zip(tokens, tokens[1:], tokens[2:], strict=False)
        out.update(dict.fromkeys(map(" ".join, triples)))
    return list(out)


def extract(
    text: str,
    sentences: Sequence[Sentence],
    candidates: Sequence[Candidate],
    silenced: Sequence[str | None],
) -> tuple[list[Features], list[str]]:
    """Give the features of each sentence, and the document's words.

    Args:
        text: normalised text.
        sentences: its sentences.
        candidates: what the rules found.
        silenced: for each candidate the guard that silenced it, or None.
    """
    tokens = [tokenize(text[s.start : s.end]) for s in sentences]
    grams = [ngrams(t, 2) for t in tokens]
    document = list(dict.fromkeys(w for t in tokens for w in t))
    hits, live = said(candidates, silenced)
    voice = _voice(tokens, live, len(sentences))
    features = []
    last = len(sentences) - 1
    for i, s in enumerate(sentences):
        features.append(
            Features(
                words=ngrams(tokens[i], 3),
                tokens=tokens[i],
                before=grams[i - 1] if i else ("<start>",),
                after=grams[i + 1] if i < last else ("<end>",),
                signals=[
                    *hits.get(i, ()),
                    *_shape(text[s.start : s.end], len(tokens[i])),
                    f"place {'first' if i == 0 else 'last' if i == last else 'inside'}",
                    *voice,
                ],
            )
        )
    return features, document


def said(
    candidates: Sequence[Candidate], silenced: Sequence[str | None]
) -> tuple[dict[int, list[str]], set[str]]:
    """Give the signals of rules and guards by sentence, and the categories with a live hit."""
    hits: dict[int, dict[str, None]] = {}
    live: set[str] = set()
    for c, guard in zip(candidates, silenced, strict=True):
        out = hits.setdefault(c.sentence, {})
        out |= dict.fromkeys(signals_of(c.kind, c.rule, guard))
        if guard is None:
            live.add(CATEGORY_OF[c.kind])
    return {i: list(names) for i, names in hits.items()}, live


def signals_of(kind: str, rule: str | None, guard: str | None) -> tuple[str, str, str]:
    """Give the signals of what a rule found, and the guard that silenced it, if one did."""
    sign, last = ("+", f"rule {rule}") if guard is None else ("-", f"guard {guard}")
    return sign + kind, sign + CATEGORY_OF[kind], last


def _shape(body: str, size: int) -> list[str]:
    out = [f"length {min(size // 4, 8)}", f"stop {body[-1:] if body[-1:] in '.!?:' else 'none'}"]
    letters = [c for c in body if c.isalpha()]
    if len(letters) > 3 and all(c.isupper() for c in letters):
        out.append("capitals")
    elif size > 2 and body.istitle():
        out.append("title")
    if any(c.isdigit() for c in body):
        out.append("number")
    if "^" in body:
        out.append("symbol")
    if '"' in body:
        out.append("quote")
    return out


def _voice(tokens: Sequence[Sequence[str]], live: set[str], size: int) -> list[str]:
    words = [w for t in tokens for w in t]
    total = max(len(words), 1)
    selling = sum(w in SELLING for w in words) / total
    reporting = sum(w in REPORTING for w in words) / total
    return [
        f"selling {min(int(selling * 50), 5)}",
        f"reporting {min(int(reporting * 100), 5)}",
        f"document {min(size, 15) // 3}",
        *(f"elsewhere {c}" for c in sorted(live)),
    ]
