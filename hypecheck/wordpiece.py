"""The transformer's tokeniser: BERT's word pieces over normalised text, by ``tokenizers``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNKNOWN, CLS, SEP = "[UNK]", "[CLS]", "[SEP]"


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
