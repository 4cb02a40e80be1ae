"""HypeCheck reads clinic marketing and shows, phrase by phrase, where it hypes.

>>> import hypecheck
>>> report = hypecheck.check("Our stem cells cure arthritis. Book before Friday!")
>>> report.findings[0].category
'guaranteed_cure'
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from hypecheck.allow import AllowList
from hypecheck.checker import VERSION, Checker
from hypecheck.errors import (
    CorpusError,
    HypeCheckError,
    InputError,
    ModelError,
    RulesetError,
)
from hypecheck.types import (
    ChecklistItem,
    Cue,
    Dismissed,
    Finding,
    Kind,
    Reference,
    Region,
    Report,
    Rule,
    Sentence,
    Suppressed,
    Versions,
)

__version__ = VERSION

__all__ = [
    "AllowList",
    "Checker",
    "ChecklistItem",
    "CorpusError",
    "Cue",
    "Dismissed",
    "Finding",
    "HypeCheckError",
    "InputError",
    "Kind",
    "ModelError",
    "Reference",
    "Region",
    "Report",
    "Rule",
    "RulesetError",
    "Sentence",
    "Suppressed",
    "Versions",
    "__version__",
    "check",
    "check_many",
]


@lru_cache(maxsize=1)
def _default() -> Checker:
    return Checker()


def check(text: str) -> Report:
    """Check one text with the default settings.

    Raises:
        ModelError: the shipped model is missing or damaged.
    """
    return _default().check(text)


def check_many(texts: Iterable[str | tuple[str, str]]) -> Iterator[Report]:
    """Check texts, or pairs (id, text), lazily and in order, with the default settings."""
    return _default().check_many(texts)
