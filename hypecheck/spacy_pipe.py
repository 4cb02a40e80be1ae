"""HypeCheck as a component of a spaCy pipeline.

>>> import spacy
>>> nlp = spacy.blank("en")
>>> _ = nlp.add_pipe("hypecheck", config={"model": None})
>>> doc = nlp("Our clinic guarantees a cure.")
>>> [(span.text, span.label_) for span in doc.spans["hypecheck"]]
[('guarantees a cure', 'guaranteed_outcome')]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import tee

from spacy.language import Language
from spacy.tokens import Doc

from hypecheck.checker import Checker
from hypecheck.types import Report, Sensitivity


class HypeCheckComponent:
    """Writes findings to ``doc.spans[spans_key]``, labelled by kind, and the report beside them.

    Spans are widened to whole tokens. The report lies in ``doc.user_data["hypecheck"]``.
    """

    def __init__(self, checker: Checker, spans_key: str) -> None:
        self.checker = checker
        self.spans_key = spans_key

    def __call__(self, doc: Doc) -> Doc:
        """Check one document."""
        return self._write(doc, self.checker.check(doc.text))

    def pipe(self, stream: Iterable[Doc], batch_size: int = 64) -> Iterator[Doc]:
        """Check documents as they come; ``batch_size`` is spaCy's and does not matter here."""
        del batch_size
        docs, texts = tee(stream)
        reports = self.checker.check_many(doc.text for doc in texts)
        for doc, report in zip(docs, reports, strict=True):
            yield self._write(doc, report)

    def _write(self, doc: Doc, report: Report) -> Doc:
        spans = []
        for f in report.findings:
            span = doc.char_span(f.start, f.end, label=f.kind, alignment_mode="expand")
            if span is not None:
                spans.append(span)
        doc.spans[self.spans_key] = spans
        doc.user_data["hypecheck"] = report
        return doc


@Language.factory(
    "hypecheck",
    default_config={"sensitivity": "balanced", "model": "default", "spans_key": "hypecheck"},
)
def make_hypecheck(
    nlp: Language, name: str, sensitivity: Sensitivity, model: str | None, spans_key: str
) -> HypeCheckComponent:
    """Make the component; the arguments are the keys of its configuration."""
    del nlp, name
    return HypeCheckComponent(Checker(sensitivity, model), spans_key)
