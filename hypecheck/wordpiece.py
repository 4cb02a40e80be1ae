"""The transformer's tokeniser: BERT's word pieces over normalised text, by ``tokenizers``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNKNOWN, CLS, SEP = "[UNK]", "[CLS]", "[SEP]"
LONGEST = 96  # pieces of a sentence that are read


@dataclass(frozen=True, slots=True)
class Pieces:
    """The word pieces of one sentence, at least one."""

    ids: Sequence[int]
    offsets: Sequence[tuple[int, int]]  # within the sentence


class WordPieces:
    """Sentences to word pieces; built when first used.

    Args:
        vocabulary: the pieces; a piece's id is its place.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.vocabulary = vocabulary
        self.unknown = vocabulary.index(UNKNOWN)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return build_tokenizer(self.vocabulary)

    def cut(self, sentences: Sequence[str]) -> list[Pieces]:
        """Cut normalised sentences, each at most :data:`LONGEST` pieces."""
        # One by one: a batch wakes threads, which a few sentences do not repay.
        return [
            Pieces(e.ids[:LONGEST] or [self.unknown], e.offsets[:LONGEST] or [(0, 0)])
            for e in map(self._tokenizer.encode, sentences)
        ]


def build_tokenizer(vocabulary: Sequence[str]) -> Tokenizer:
    """Give a tokeniser without special tokens or truncation; offsets count in its input."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    index = {t: i for i, t in enumerate(vocabulary)}
    tokenizer = Tokenizer(WordPiece(index, unk_token=UNKNOWN, max_input_chars_per_word=60))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer
